"""Signing in the express lane: as the usual way does it, for keys that are fast and in memory, and for no others."""

import base64
import hashlib

import pytest

from strongroom.core import KeyState, KeyUsage, ManagedKeySpec, SigningAlgorithm
from strongroom.keyring import KeyById, KeyKind, MessageType

MESSAGE = base64.b64encode(b"a message").decode()
DIGEST = base64.b64encode(hashlib.sha256(b"a message").digest()).decode()
FAST = {"ECC_NIST_P256": "ECDSA_SHA_256", "ECC_NIST_EDWARDS25519": "ED25519_SHA_512"}


async def new_key(bench, spec, usage="SIGN_VERIFY", *, is_opened=True):
    kind = KeyKind(ManagedKeySpec(spec), KeyUsage(usage))
    key_id = (await bench.service.create_key(bench.caller(), description="", kind=kind)).key_id
    if is_opened:
        await bench.keyring.uses.public_key(KeyById(key_id))
    return key_id


async def warm(client, lane, bench):
    """Let the signer and its way of writing headers be known."""
    symmetric = (await bench.service.create_key(bench.caller(), description="")).key_id
    for _ in range(2):
        status, _, _ = await client.ask(lane.encrypt(symmetric))
        assert status == 200


@pytest.mark.parametrize("spec", FAST)
async def test_answer_and_entry_are_those_of_the_usual_way(lane, bench, spec):
    key_id = await new_key(bench, spec)
    members = {"KeyId": key_id, "Message": MESSAGE, "SigningAlgorithm": FAST[spec]}
    async with lane.serving() as connect:
        client = await connect()
        await warm(client, lane, bench)
        before = lane.rides
        fast = await client.ask(lane.request("Sign", members))
        assert lane.rides == before + 1
        # Two blanks in a value are for the full verifier to fold.
        slow = await client.ask(lane.request("Sign", members, extra=[("X-Amz-User-Agent", "a  b")]))
        assert lane.rides == before + 1
    assert (fast[0], list(fast[1]), list(fast[2])) == (slow[0], list(slow[1]), list(slow[2]))
    assert {**fast[2], "Signature": ""} == {**slow[2], "Signature": ""}
    one, other = bench.entries()[-2:]
    for name in ("kind", "event", "principal", "access_key_id", "key_id", "key_version", "outcome", "detail"):
        assert getattr(one, name) == getattr(other, name)
    for answer in (fast, slow):
        await bench.keyring.uses.verify(
            KeyById(key_id), SigningAlgorithm(FAST[spec]), b"a message", MessageType.RAW,
            base64.b64decode(answer[2]["Signature"]),
        )  # fmt: skip


async def test_a_digest_takes_it_too(lane, bench):
    key_id = await new_key(bench, "ECC_NIST_P256")
    members = {
        "KeyId": key_id,
        "Message": DIGEST,
        "MessageType": "DIGEST",
        "SigningAlgorithm": "ECDSA_SHA_256",
    }
    async with lane.serving() as connect:
        client = await connect()
        await warm(client, lane, bench)
        before = lane.rides
        status, _, made = await client.ask(lane.request("Sign", members))
        assert (status, lane.rides) == (200, before + 1)
    signature = base64.b64decode(made["Signature"])
    await bench.keyring.uses.verify(
        KeyById(key_id), SigningAlgorithm.ECDSA_SHA_256, b"a message", MessageType.RAW, signature
    )


ELSEWHERE = {
    "a slow key": ({"spec": "ECC_NIST_P384"}, {"SigningAlgorithm": "ECDSA_SHA_384"}, "OK"),
    "a key that is not opened": ({"spec": "ECC_NIST_P256", "is_opened": False}, {}, "OK"),
    "a key for something else": ({"spec": "ECC_NIST_P256", "usage": "KEY_AGREEMENT"}, {}, "InvalidKeyUsageException"),
    "an algorithm of others": ({"spec": "ECC_NIST_P256"}, {"SigningAlgorithm": "ECDSA_SHA_512"}, "InvalidKeyUsageException"),
    "an algorithm that is none": ({"spec": "ECC_NIST_P256"}, {"SigningAlgorithm": "ROT13"}, "ValidationException"),
    "a type that does not fit": ({"spec": "ECC_NIST_P256"}, {"MessageType": "EXTERNAL_MU"}, "ValidationException"),
    "a digest of another length": ({"spec": "ECC_NIST_P256"}, {"MessageType": "DIGEST"}, "ValidationException"),
    "a rehearsal": ({"spec": "ECC_NIST_P256"}, {"DryRun": True}, "DryRunOperationException"),
    "no message": ({"spec": "ECC_NIST_P256"}, {"Message": ""}, "ValidationException"),
    "a long message": ({"spec": "ECC_NIST_P256"}, {"Message": base64.b64encode(bytes(4097)).decode()}, "ValidationException"),
    "a message in another form": ({"spec": "ECC_NIST_P256"}, {"Message": "AB=="}, "SerializationException"),
}  # fmt: skip


@pytest.mark.parametrize("name", ELSEWHERE)
async def test_everything_else_goes_the_usual_way(lane, bench, name):
    kind, changes, code = ELSEWHERE[name]
    key_id = await new_key(bench, **kind)
    members = {"KeyId": key_id, "Message": MESSAGE, "SigningAlgorithm": "ECDSA_SHA_256", **changes}
    async with lane.serving() as connect:
        client = await connect()
        await warm(client, lane, bench)
        before = lane.rides
        status, _, answer = await client.ask(lane.request("Sign", members))
        assert (answer.get("__type", "OK"), status) == (code, 200 if code == "OK" else 400)
        assert lane.rides == before


async def test_a_doubled_member_and_a_suspended_key_are_refused(lane, bench):
    key_id = await new_key(bench, "ECC_NIST_P256")
    doubled = f'{{"KeyId":"{key_id}","Message":"QUJD","SigningAlgorithm":"ECDSA_SHA_256","Message":"QUJE"}}'
    members = {"KeyId": key_id, "Message": MESSAGE, "SigningAlgorithm": "ECDSA_SHA_256"}
    async with lane.serving() as connect:
        client = await connect()
        await warm(client, lane, bench)
        _, _, answer = await client.ask(lane.request("Sign", doubled.encode()))
        assert answer["__type"] == "SerializationException"
        await bench.keyring.set_state(key_id, KeyState.SUSPENDED)
        _, _, answer = await client.ask(lane.request("Sign", members))
        assert answer["__type"] == "DisabledException"
