"""Whatever is sent to an operation is answered, by no 5xx, in bounded time; it is recorded, and no record holds a secret."""

import asyncio
import base64
import contextlib
import gc
import json
import time
from functools import partial

import pytest
import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings

from api_support import ACCOUNT, HOST, REGION, Health, send_request
from fakes_direct_keys import CLUSTER
from fakes_keyring import HsmAndDatabase
from fakes_service import ACCESS_KEYS, EVERYTHING, ServiceBench
from hostile_requests import SECRET, bodies_of
from kms_model import OPERATIONS, modelled_errors
from strongroom.api import Handler, sign_request
from strongroom.api._arns import Arns
from strongroom.api._errors import ApiError
from strongroom.api._kms import OPERATIONS as SERVED
from strongroom.core import Secret
from strongroom.service import Credential

REFUSAL = "UnsupportedOperationException"
SIGNING_KEY = Secret(b"s" * 40)
KINDS = [
    {}, {"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"}, {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"},
    {"KeySpec": "ECC_NIST_P256", "KeyUsage": "KEY_AGREEMENT"}, {"Origin": "EXTERNAL"},
]  # fmt: skip
PEER = ec.derive_private_key(7, ec.SECP256R1()).public_key()
ARNS = Arns(ACCOUNT, REGION)


class Door:
    """A whole service in this process, with signed requests to it from outside of its loop."""

    def __init__(self, folder):
        self.loop = asyncio.new_event_loop()
        self.bench = ServiceBench(HsmAndDatabase(folder), folder)
        self.access_key_id = ACCESS_KEYS[EVERYTHING]
        credential = Credential(self.access_key_id, EVERYTHING, SIGNING_KEY)
        self.bench.service.take_credentials({self.access_key_id: credential})
        self.handler = Handler(self.bench.service, Health(), clock=self.bench.clock, account_id=ACCOUNT)
        self.rsa = self.new_key({"KeySpec": "RSA_2048", "KeyUsage": "ENCRYPT_DECRYPT"})

    def send(self, operation, body):
        named = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"TrentService.{operation}"}
        headers = sign_request(
            method="POST", path="/", host=HOST, headers=named, body=body, region=REGION,
            access_key_id=self.access_key_id, secret_access_key=SIGNING_KEY, clock=self.bench.clock,
        )  # fmt: skip
        sent = send_request(self.handler, "POST", "/", list(headers.items()), body)
        return self.loop.run_until_complete(sent)

    def call(self, operation, **members):
        answer = self.send(operation, json.dumps(members).encode())
        assert answer.status == 200, answer
        return answer.json if answer.body else {}

    def new_key(self, members):
        return self.call("CreateKey", **members)["KeyMetadata"]["KeyId"]

    def known(self):
        """Make keys of each kind and what hangs on them; return what requests may name."""
        keys = [*map(self.new_key, KINDS), self.rsa]
        alias = f"alias/{keys[0]}"
        self.call("CreateAlias", AliasName=alias, TargetKeyId=keys[0])
        refs = [*keys, keys[0], keys[0], alias, ARNS.key(keys[0]), ARNS.alias(alias), "alias/none", "junk"]
        sealed = self.call("Encrypt", KeyId=keys[0], Plaintext=base64.b64encode(SECRET).decode())
        grantee = f"arn:aws:iam::{ACCOUNT}:user/alice"
        grant = self.call("CreateGrant", KeyId=keys[0], GranteePrincipal=grantee, Operations=["Encrypt"])
        asked = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
        token = self.call("GetParametersForImport", KeyId=keys[4], **asked)["ImportToken"]
        named = {"CustomKeyStoreName": f"store {keys[0]}", "CloudHsmClusterId": CLUSTER}
        store_id = self.call("CreateCustomKeyStore", **named)["CustomKeyStoreId"]
        self.call("ConnectCustomKeyStore", CustomKeyStoreId=store_id)
        policy = self.call("GetKeyPolicy", KeyId=keys[0])["Policy"]
        public = PEER.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return {
            **dict.fromkeys(("KeyId", "TargetKeyId", "SourceKeyId", "DestinationKeyId"), refs),
            "AliasName": [alias, f"{alias}/x", "alias/aws/x", "alias/"],
            "CiphertextBlob": [sealed["CiphertextBlob"], "eA==", sealed["CiphertextBlob"][4:]],
            "CloudHsmClusterId": [CLUSTER, "cluster-other2hsms2"],
            "CustomKeyStoreId": [store_id, "cks-00000000000000000"],
            "GrantId": [grant["GrantId"], "0" * 64],
            "GrantToken": [grant["GrantToken"], "x"],
            "GrantTokens": [grant["GrantToken"], "x"],
            "GranteePrincipal": [grantee, "user/x"],
            "RetiringPrincipal": [grantee, "user/x"],
            "ImportToken": [token, "eA=="],
            "Policy": [policy, "{}", policy[:-1], "[" * 5_000, policy.replace("kms:*", "*" * 999)],
            "PolicyName": ["default", "other"],
            "PublicKey": [base64.b64encode(public).decode(), "eA=="],
        }

    def close(self):
        self.bench.close()
        self.loop.close()


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    made = Door(tmp_path_factory.mktemp("hostile"))
    yield made
    made.close()


def _try(door, operation, n_examples):
    known, request_ids, logged = door.known(), [], []

    @settings(max_examples=n_examples, deadline=None)
    @given(body=bodies_of(operation, known))
    def send(body):
        with structlog.testing.capture_logs() as lines:
            answer = door.send(operation, body)
        logged.extend(lines)
        request_ids.append(answer.headers["x-amzn-requestid"])
        assert answer.status in {200, 400}, answer
        assert answer.code in {"OK", REFUSAL, *modelled_errors(operation)}, answer
        assert b"Traceback" not in answer.body

    send()
    ended = {entry.request_id for entry in door.bench.entries() if entry.kind in {"outcome", "refusal"}}
    assert set(request_ids) <= ended
    said = door.bench.logged_bytes() + repr(logged).encode()
    assert [
        form for form in (SECRET, base64.b64encode(SECRET)[:-2], SECRET.hex().encode()) if form in said
    ] == []


@pytest.mark.parametrize("operation", OPERATIONS)
def test_whatever_is_sent_is_answered_and_recorded(door, operation):
    _try(door, operation, 6)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_whatever_is_sent_for_long_is_answered_and_recorded(door, operation):
    _try(door, operation, 250)


def _of(name, piece, n_bytes, *, between=b",", ends=b"[]"):
    head, tail = b'{"%s":%c' % (name, ends[0]), b"%c}" % ends[1]
    return head + between.join([piece] * (n_bytes // (len(piece) + len(between)))) + tail


def _distinct(name, n_bytes):
    pairs = {f"{at:06d}": "v" for at in range(n_bytes // 16)}
    return json.dumps({name: pairs}, separators=(",", ":")).encode()


BODIES = {
    "nested lists": (lambda n: b'{"a":' + b"[" * (n // 2) + b"]" * (n // 2) + b"}", "Encrypt", "CreateKey"),
    "open objects": (lambda n: b'{"a":' * (n // 5), "Encrypt", "CreateKey"),
    "backslashes": (lambda n: b'{"KeyId":"' + b"\\" * (n | 1) + b'"}', "Encrypt", "CreateKey"),
    "quotes": (lambda n: b'"' * n, "Encrypt", "CreateKey"),
    "escapes in a text": (lambda n: b'{"KeyId":"' + b"\\u0041" * (n // 6) + b'"}', "Encrypt", "CreateKey"),
    "colons in a text": (lambda n: b'{"KeyId":"' + b":" * n + b'"}', "Encrypt", "CreateKey"),
    "one text": (lambda n: b'{"KeyId":"' + b"a" * n + b'"}', "Encrypt", "CreateKey"),
    "blanks": (lambda n: b'{"KeyId":' + b" " * n + b'"x"}', "Encrypt", "CreateKey"),
    "digits": (lambda n: b'{"NumberOfBytes":' + b"1" * n + b"}", "GenerateDataKey", "CreateKey"),
    "base64": (lambda n: b'{"Plaintext":"' + b"eHh4" * (n // 4) + b'"}', "Encrypt", "CreateKey"),
    "a policy": (lambda n: b'{"KeyId":"x","Policy":"' + b"a" * n + b'"}', "PutKeyPolicy", "CreateKey"),
    "pairs of a context": (partial(_distinct, "EncryptionContext"), "Encrypt", "CreateKey"),
    "tokens": (partial(_of, b"GrantTokens", b'"a"'), "CreateGrant", "CreateKey"),
    "operations": (partial(_of, b"Operations", b'"a"'), "CreateGrant", "CreateKey"),
    "names of tags": (partial(_of, b"TagKeys", b'""'), "UntagResource", "CreateKey"),
    "tags": (partial(_of, b"Tags", b'{"TagKey":"a","TagValue":"b"}'), "TagResource", "CreateKey"),
    "empty tags": (partial(_of, b"Tags", b"{}"), "TagResource", "CreateKey"),
    "the same member": (lambda n: b"{" + b",".join([b'"a":1'] * (n // 6)) + b"}", "Encrypt", "CreateKey"),
    "other members": (lambda n: b"{" + b",".join(b'"%06d":1' % at for at in range(n // 11)) + b"}", "Encrypt", "CreateKey"),
}  # fmt: skip
"""Name → what makes a body of about so many bytes, an operation that reads it, one that has no such member."""
LARGEST = 65_536
"""Bytes of a body: longer ones are refused before they are read (docs/api-compatibility.md)."""
TIMES_AS_LONG = 2.5


@pytest.fixture
def no_collector():
    """What the collector of garbage takes depends on all that the process holds."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def _seconds(operation, body):
    """Return the least processor time that reading and checking a request took."""
    took = []
    for _ in range(5):
        started = time.thread_time()
        with contextlib.suppress(ApiError):
            SERVED[operation](body, ARNS)
        took.append(time.thread_time() - started)
    return min(took)


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("name", BODIES)
def test_twice_the_bytes_take_about_twice_the_time(name):
    make, ratios = BODIES[name][0], []
    for operation in BODIES[name][1:]:
        for _ in range(20):
            half, whole = (_seconds(operation, make(n)[:LARGEST]) for n in (LARGEST // 2 - 64, LARGEST - 64))
            ratios.append(whole / max(half, 20e-6))
            if ratios[-1] <= TIMES_AS_LONG:
                break
        else:
            pytest.fail(f"{operation}: {ratios}")
