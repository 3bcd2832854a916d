"""Batches at the door of the data plane: one signed request, many results, one audit entry."""

import asyncio
import base64
import json
import time
from collections.abc import Mapping

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api_support import ACCOUNT, HOST, REGION, Health, send_request
from fakes_service import ACCESS_KEYS, EVERYTHING
from policy_support import ROOT, policy_text, statement
from strongroom.api import Handler, sign_request
from strongroom.core import KeyUsage, ManagedKeySpec, Secret
from strongroom.keyring import MAX_ITEMS, KeyById, KeyKind, PlainItem, SealedItem
from strongroom.service import AccessDeniedError, Credential, NewGrant

SECRET = b"s" * 40
JSON, MSGPACK = "application/json", "application/msgpack"


class Door:
    """Signed requests for batches, in either form."""

    def __init__(self, bench):
        self.clock = bench.clock
        self.access_key_id = ACCESS_KEYS[EVERYTHING]
        bench.service.take_credentials(
            {self.access_key_id: Credential(self.access_key_id, EVERYTHING, Secret(SECRET))}
        )
        self.handler = Handler(bench.service, Health(), clock=bench.clock, account_id=ACCOUNT)

    async def raw(self, key_id, verb, body, *, kind=JSON, method="POST"):
        path = f"/api/v1/keys/{key_id}/batch/{verb}"
        headers = sign_request(
            method=method, path=path, host=HOST, headers={"Content-Type": kind}, body=body, region=REGION,
            access_key_id=self.access_key_id, secret_access_key=Secret(SECRET), clock=self.clock,
        )  # fmt: skip
        return await send_request(self.handler, method, path, list(headers.items()), body)

    async def ask(self, key_id, verb, members, *, kind=JSON):
        if kind == MSGPACK:
            answer = await self.raw(key_id, verb, msgspec.msgpack.encode(members), kind=kind)
            assert answer.status == 200, answer.body
            return msgspec.msgpack.decode(answer.body)
        answer = await self.raw(key_id, verb, msgspec.json.encode(members), kind=kind)
        assert answer.status == 200, answer.body
        return answer.json


@pytest.fixture
def door(bench):
    return Door(bench)


def bytes_of(document, name, kind):
    found = [item[name] for item in document["items"]]
    return [base64.b64decode(text) for text in found] if kind == JSON else found


@pytest.mark.parametrize("kind", [JSON, MSGPACK])
async def test_what_is_encrypted_in_a_batch_decrypts_in_a_batch(door, key_id, kind):
    items = [{"plaintext": b"%d" % at, **({"context": {"at": "x"}} if at % 2 else {})} for at in range(300)]
    made = await door.ask(key_id, "encrypt", {"items": items, "context": {"tenant": "7"}}, kind=kind)
    assert made["keyId"].endswith(f":key/{key_id}")
    sealed = [
        {**item, "ciphertext": text}
        for item, text in zip(items, bytes_of(made, "ciphertext", kind), strict=True)
    ]
    for item in sealed:
        del item["plaintext"]
    opened = await door.ask(key_id, "decrypt", {"items": sealed, "context": {"tenant": "7"}}, kind=kind)
    assert bytes_of(opened, "plaintext", kind) == [b"%d" % at for at in range(300)]
    anew = await door.ask(key_id, "rewrap", {"items": sealed, "context": {"tenant": "7"}}, kind=kind)
    assert not set(bytes_of(anew, "ciphertext", kind)) & set(bytes_of(made, "ciphertext", kind))


async def test_data_keys_come_in_clear_and_encrypted(door, key_id):
    made = await door.ask(key_id, "data-keys", {"count": 3, "bytes": 16, "context": {"a": "b"}}, kind=MSGPACK)
    sealed = [{"ciphertext": item["ciphertext"], "context": {"a": "b"}} for item in made["items"]]
    opened = await door.ask(key_id, "decrypt", {"items": sealed}, kind=MSGPACK)
    assert [item["plaintext"] for item in opened["items"]] == [item["plaintext"] for item in made["items"]]
    assert {len(item["plaintext"]) for item in made["items"]} == {16}


async def test_a_batch_is_one_entry_that_says_how_many_items_there_were(bench, door, key_id):
    before = len(bench.entries())
    items = [{"plaintext": b"x", "context": {"tenant": "secret value"}}] * 5
    made = await door.ask(key_id, "encrypt", {"items": items}, kind=MSGPACK)
    sealed = [{"ciphertext": item["ciphertext"]} for item in made["items"]]
    opened = await door.ask(key_id, "decrypt", {"items": sealed}, kind=MSGPACK)
    assert [item["error"]["code"] for item in opened["items"]] == ["InvalidCiphertextException"] * 5
    encrypted, decrypted = bench.entries()[before:]
    assert (encrypted.event, encrypted.outcome, encrypted.key_id) == ("kms.Encrypt", "ok", key_id)
    assert encrypted.detail == {"context": '["tenant"]', "items": "5", "allowed_by": "role:crypto-user"}
    told = {"items": "5", "failed": "5", "allowed_by": "role:crypto-user"}
    assert (decrypted.event, decrypted.detail) == ("kms.Decrypt", told)
    assert encrypted.key_version
    assert b"secret value" not in bench.logged_bytes()


async def test_signatures_and_macs_come_in_batches(bench, door):
    async def made(spec, usage):
        kind = KeyKind(spec, usage)
        return (await bench.service.create_key(bench.caller(), description="", kind=kind)).key_id

    signer = await made(ManagedKeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY)
    messages = [{"message": b"%d" % at} for at in range(40)]
    signed = await door.ask(
        signer, "sign", {"items": messages, "signingAlgorithm": "ECDSA_SHA_256"}, kind=MSGPACK
    )
    for item, result in zip(messages, signed["items"], strict=True):
        public = await bench.keyring.uses.public_key(KeyById(signer))
        _verify(public.public_key, result["signature"], item["message"])
    maker = await made(ManagedKeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC)
    maced = await door.ask(maker, "mac", {"items": messages, "macAlgorithm": "HMAC_SHA_256"}, kind=MSGPACK)
    assert len({item["mac"] for item in maced["items"]}) == 40
    digests = [{"message": bytes(32)}, {"message": bytes(31)}]
    members = {"items": digests, "signingAlgorithm": "ECDSA_SHA_256", "messageType": "DIGEST"}
    mixed = await door.ask(signer, "sign", members, kind=MSGPACK)
    assert [sorted(item) for item in mixed["items"]] == [["signature"], ["error"]]


def _verify(spki_der, signature, message):
    serialization.load_der_public_key(spki_der).verify(signature, message, ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize(
    ("verb", "members", "code"),
    [
        ("encrypt", {"items": []}, "ValidationException"),
        ("encrypt", {"items": [{"plaintext": b""}]}, "ValidationException"),
        ("encrypt", {"items": [{"plaintext": bytes(4_097)}]}, "ValidationException"),
        ("encrypt", {"items": [{"plaintext": b"x"}], "dryRun": True}, "ValidationException"),
        ("encrypt", {"items": [{"plaintext": b"x", "extra": 1}]}, "ValidationException"),
        ("encrypt", {"items": [{"plaintext": "text"}]}, "ValidationException"),
        ("encrypt", [1, 2], "ValidationException"),
        ("data-keys", {"count": MAX_ITEMS + 1}, "ValidationException"),
        ("data-keys", {"count": 1, "bytes": 1_025}, "ValidationException"),
        ("data-keys", {"count": 1_025, "bytes": 1_024}, "ValidationException"),
        ("sign", {"items": [{"message": b"x"}], "signingAlgorithm": "NONE"}, "ValidationException"),
        ("sign", {"items": [{"message": b"x"}], "signingAlgorithm": "ECDSA_SHA_256"}, "InvalidKeyUsageException"),
    ],
)  # fmt: skip
async def test_what_is_no_batch_is_refused_as_a_whole(door, key_id, verb, members, code):
    answer = await door.raw(key_id, verb, msgspec.msgpack.encode(members), kind=MSGPACK)
    assert (answer.status, answer.code) == (400, code)


async def test_too_many_items_are_refused(door, key_id):
    items = [{"plaintext": b"x"}] * (MAX_ITEMS + 1)
    answer = await door.raw(key_id, "encrypt", msgspec.msgpack.encode({"items": items}), kind=MSGPACK)
    assert (answer.status, answer.code) == (400, "ValidationException")


async def test_only_the_two_forms_are_read(door, key_id):
    for kind in ("text/plain", "application/x-amz-json-1.1", ""):
        answer = await door.raw(key_id, "encrypt", b"{}", kind=kind)
        assert (answer.status, answer.code) == (400, "ValidationException")
    answer = await door.raw(key_id, "encrypt", b"\xc1", kind=MSGPACK)
    assert answer.code == "SerializationException"
    assert (await door.raw(key_id, "encrypt", b"", method="GET")).status == 405
    assert (await door.raw(key_id, "destroy", b"{}")).status == 404


async def test_who_may_not_use_keys_may_not_in_batches_either(bench, key_id):
    officer = bench.caller("user/crypto-officer")
    for ask in (
        bench.service.encrypt_batch(officer, KeyById(key_id), [PlainItem(b"x", {})]),
        bench.service.rewrap_batch(officer, KeyById(key_id), [SealedItem(b"x", {})]),
    ):
        with pytest.raises(AccessDeniedError):
            await ask
        entry = bench.entries()[-1]
        assert (entry.outcome, entry.key_id) == ("AccessDeniedError", key_id)


async def test_a_policy_decides_about_every_encryption_context_of_a_batch(bench, key_id):
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"},
            {
                "Effect": "Deny", "Principal": "*", "Action": "kms:Encrypt", "Resource": "*",
                "Condition": {"StringEquals": {"kms:EncryptionContext:tenant": "7"}},
            },
        ],
    }  # fmt: skip
    await bench.service.put_key_policy(
        bench.caller(), key_id, document=json.dumps(policy), skip_lockout_check=False
    )
    fine = [PlainItem(b"x", {"tenant": str(at)}) for at in range(100, 300)]
    await bench.service.encrypt_batch(bench.caller(), KeyById(key_id), fine)
    with pytest.raises(AccessDeniedError):
        await bench.service.encrypt_batch(
            bench.caller(), KeyById(key_id), [*fine, PlainItem(b"x", {"tenant": "7"})]
        )


@pytest.mark.parametrize("action", ["ReEncryptFrom", "ReEncryptTo"])
async def test_who_rewraps_must_be_allowed_both_to_open_and_to_encrypt(bench, key_id, action):
    sealed = await bench.service.encrypt_batch(bench.caller(), KeyById(key_id), [PlainItem(b"x", {})])
    items = [SealedItem(sealed.results[0], {})]
    await bench.service.rewrap_batch(bench.caller(), KeyById(key_id), items)
    document = policy_text(
        statement(principal=ROOT), statement("Deny", principal="*", action=f"kms:{action}")
    )
    await bench.service.put_key_policy(bench.caller(), key_id, document=document, skip_lockout_check=False)
    with pytest.raises(AccessDeniedError):
        await bench.service.rewrap_batch(bench.caller(), KeyById(key_id), items)


async def test_decisions_that_take_long_let_others_have_their_turn(bench, key_id, monkeypatch):
    decide = bench.authority.authorise_now
    turns, seen = 0, set()

    def slowly(*asked, **more):
        seen.add(turns)
        time.sleep(0.01)
        return decide(*asked, **more)

    async def count_turns():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(bench.authority, "authorise_now", slowly)
    other = asyncio.create_task(count_turns())
    items = [PlainItem(b"x", {"tenant": str(at)}) for at in range(30)]
    try:
        await bench.service.encrypt_batch(bench.caller(), KeyById(key_id), items)
    finally:
        other.cancel()
    assert len(seen) > 25


async def test_a_batch_names_every_grant_that_allows_a_part_of_it(bench, key_id):
    stranger = f"arn:aws:iam::{ACCOUNT}:user/stranger"
    made = [
        await bench.service.create_grant(
            bench.caller(),
            key_id,
            wanted=NewGrant(stranger, frozenset({"Encrypt"}), equals={"tenant": tenant}),
        )
        for tenant in "123"
    ]
    items = [PlainItem(b"x", {"tenant": tenant}) for tenant in "1223"]
    await bench.service.encrypt_batch(bench.caller("user/stranger"), KeyById(key_id), items)
    assert bench.entries()[-1].detail["allowed_by"].split() == [f"grant:{grant.grant_id}" for grant in made]


async def test_a_suspended_key_does_nothing_in_batches(bench, door, key_id):
    await bench.service.disable_key(bench.caller(), key_id)
    answer = await door.raw(key_id, "encrypt", json.dumps({"items": [{"plaintext": "eA=="}]}).encode())
    assert answer.code == "DisabledException"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    verb=st.sampled_from(["encrypt", "decrypt", "rewrap", "data-keys", "sign", "mac"]),
    body=st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.binary(max_size=20) | st.text(max_size=8),
            lambda inner: st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["items", "context", "plaintext", "ciphertext", "message", "count"]), inner),
            max_leaves=12,
        ),
    ),
    kind=st.sampled_from([JSON, MSGPACK]),
)  # fmt: skip
async def test_whatever_is_sent_is_answered_and_never_with_a_5xx(door, key_id, verb, body, kind):
    if not isinstance(body, bytes):
        encode = msgspec.msgpack.encode if kind == MSGPACK else msgspec.json.encode
        body = encode(body)
    answer = await door.raw(key_id, verb, body, kind=kind)
    assert answer.status in {200, 400}
    if answer.status == 200:
        decode = msgspec.msgpack.decode if kind == MSGPACK else msgspec.json.decode
        assert isinstance(decode(answer.body), Mapping)
