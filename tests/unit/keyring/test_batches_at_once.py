"""Batches of signatures and MACs that a key in memory makes at once: as single calls make them, counted, and stopped half way."""

import asyncio

import pytest

from strongroom.core import KeyState, KeyUsage, MacAlgorithm, ManagedKeySpec, SigningAlgorithm
from strongroom.keyring import (
    CryptoperiodOverError,
    KeyByAlias,
    KeyById,
    KeyKind,
    KeyStateError,
    KeyUsageError,
    MessageType,
    UnfitRequestError,
)

P256 = (ManagedKeySpec.ECC_NIST_P256, SigningAlgorithm.ECDSA_SHA_256)
ED25519 = (ManagedKeySpec.ECC_NIST_EDWARDS25519, SigningAlgorithm.ED25519_SHA_512)
MAC = MacAlgorithm.HMAC_SHA_256
MESSAGES = [b"%d" % at for at in range(100)]


async def made(keyring, spec, usage=KeyUsage.SIGN_VERIFY):
    return KeyById((await keyring.create_key("k", {}, KeyKind(spec, usage))).key_id)


async def signed(keyring, key, messages, algorithm=P256[1], kind=MessageType.RAW):
    return (await keyring.batches.singly.sign(key, messages, algorithm=algorithm, kind=kind)).results


async def macs(keyring, key, messages):
    return (await keyring.batches.singly.mac(key, messages, algorithm=MAC)).results


@pytest.mark.parametrize(("spec", "algorithm"), [P256, ED25519])
async def test_signatures_verify_in_order_whether_the_key_was_in_memory_or_not(keyring, spec, algorithm):
    key = await made(keyring, spec)
    for _ in range(2):
        signatures = await signed(keyring, key, MESSAGES, algorithm)
        for message, signature in zip(MESSAGES, signatures, strict=True):
            await keyring.uses.verify(key, algorithm, message, MessageType.RAW, signature)
    assert keyring.ready_uses.sign_many(key, algorithm, MESSAGES, MessageType.RAW) is not None


async def test_a_digest_of_another_length_is_told_at_its_place(keyring):
    key = await made(keyring, P256[0])
    await signed(keyring, key, [b"warm"])
    results = await signed(keyring, key, [bytes(32), bytes(31), bytes(32)], kind=MessageType.DIGEST)
    assert [type(result) for result in results] == [bytes, UnfitRequestError, bytes]


async def test_macs_are_those_of_single_calls(keyring):
    key = await made(keyring, ManagedKeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC)
    single = [(await keyring.uses.generate_mac(key, MAC, message)).mac for message in MESSAGES]
    assert await macs(keyring, key, MESSAGES) == single
    assert keyring.ready_uses.mac_many(key, MAC, MESSAGES) == single
    results = await macs(keyring, key, [b"", b"message"])
    assert [type(result) for result in results] == [UnfitRequestError, bytes]


async def test_a_key_that_is_suspended_half_way_signs_no_more(keyring):
    key = await made(keyring, P256[0])
    await signed(keyring, key, [b"warm"])
    running = asyncio.ensure_future(signed(keyring, key, MESSAGES * 20))
    await asyncio.sleep(0)
    await keyring.set_state(key.key_id, KeyState.SUSPENDED)
    with pytest.raises(KeyStateError):
        await running


async def test_others_have_their_turn_while_a_batch_is_signed(keyring):
    key = await made(keyring, P256[0])
    await signed(keyring, key, [b"warm"])
    running, turns = asyncio.ensure_future(signed(keyring, key, MESSAGES * 20)), 0
    while not running.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns >= 2_000 / 32


async def test_what_a_batch_signed_counts_and_a_batch_goes_no_further_than_the_limit(keyring):
    key = await made(keyring, P256[0])
    await keyring.cryptoperiods.limit(key.key_id, days=0, max_uses=120)
    assert len(await signed(keyring, key, MESSAGES)) == 100
    with pytest.raises(CryptoperiodOverError):
        await signed(keyring, key, MESSAGES)


@pytest.mark.parametrize(
    ("spec", "usage"),
    [(P256[0], KeyUsage.SIGN_VERIFY), (ManagedKeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC)],
)
async def test_a_key_for_something_else_does_neither_at_once(keyring, spec, usage):
    key = await made(keyring, spec, usage)
    act, ready = (macs, "mac_many") if usage is KeyUsage.SIGN_VERIFY else (signed, "sign_many")
    arguments = (MAC, MESSAGES) if ready == "mac_many" else (P256[1], MESSAGES, MessageType.RAW)
    assert getattr(keyring.ready_uses, ready)(key, *arguments) is None
    with pytest.raises(KeyUsageError):
        await act(keyring, key, MESSAGES)


async def test_what_was_found_is_found_again_once_it_changed(keyring):
    key, other = await made(keyring, P256[0]), await made(keyring, P256[0])
    await keyring.create_alias("alias/a", key.key_id)
    for one in (key, other):
        await signed(keyring, one, [b"warm"])

    def sign(name):
        return keyring.ready_uses.sign(name, P256[1], b"message", MessageType.RAW)

    assert [sign(KeyByAlias("alias/a")).key_id for _ in range(2)] == [key.key_id] * 2
    await keyring.aliases.move("alias/a", other.key_id)
    assert sign(KeyByAlias("alias/a")).key_id == other.key_id
    assert sign(key).key_id == key.key_id
    await keyring.set_state(key.key_id, KeyState.SUSPENDED)
    with pytest.raises(KeyStateError):
        sign(key)
