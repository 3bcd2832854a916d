"""Batches: the ciphertexts of single calls, in order, and an item that is bad spoils no other."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strongroom.core import KeyState, KeyUsage, ManagedKeySpec, Secret, SigningAlgorithm
from strongroom.keyring import (
    IncorrectKeyError,
    InvalidCiphertextError,
    KeyByAlias,
    KeyById,
    KeyKind,
    KeyStateError,
    MessageType,
)
from strongroom.keyring._batch_values import BatchDataKey, PlainItem, SealedItem

CONTEXT = {"tenant": "7"}


async def made(keyring):
    return KeyById((await keyring.create_key("a key")).key_id)


def revealed(results):
    return [result if isinstance(result, bytes) else type(result) for result in results]


async def test_what_a_batch_encrypted_each_call_decrypts(keyring):
    key = await made(keyring)
    items = [PlainItem(b"%d" % at, {"at": str(at % 3)} if at % 2 else {}) for at in range(700)]
    batch = await keyring.batches.encrypt(key, items)
    assert len(batch.results) == 700
    for at in (0, 1, 255, 256, 257, 699):
        opened = await keyring.decrypt(batch.results[at], items[at].context, key=key)
        assert opened.plaintext.reveal() == items[at].plaintext
        assert (opened.key_id, opened.material_id) == (batch.key_id, batch.material_id)


async def test_what_calls_encrypted_a_batch_decrypts_in_order(keyring):
    key = await made(keyring)
    sealed = [(await keyring.encrypt(key, Secret(b"%d" % at), CONTEXT)).ciphertext for at in range(300)]
    batch = await keyring.batches.decrypt(key, [SealedItem(text, CONTEXT) for text in sealed])
    assert revealed(batch.results) == [b"%d" % at for at in range(300)]


async def test_a_bad_item_is_told_at_its_place_and_spoils_no_other(keyring):
    key, other = await made(keyring), await made(keyring)
    good = (await keyring.encrypt(key, Secret(b"good"), CONTEXT)).ciphertext
    elsewhere = (await keyring.encrypt(other, Secret(b"other"), CONTEXT)).ciphertext
    of_no_version = good[:19] + (9).to_bytes(4, "big") + good[23:]
    items = [
        SealedItem(good, CONTEXT),
        SealedItem(b"junk", CONTEXT),
        SealedItem(elsewhere, CONTEXT),
        SealedItem(good[:-1] + bytes((good[-1] ^ 1,)), CONTEXT),
        SealedItem(good, {"tenant": "8"}),
        SealedItem(of_no_version, CONTEXT),
        SealedItem(good, CONTEXT),
    ]
    bad = [InvalidCiphertextError, IncorrectKeyError, *[InvalidCiphertextError] * 3]
    assert revealed((await keyring.batches.decrypt(key, items)).results) == [b"good", *bad, b"good"]
    rewrapped = (await keyring.batches.rewrap(key, items)).results
    assert [type(result) for result in rewrapped] == [bytes, *bad, bytes]
    assert len({good, rewrapped[0], rewrapped[-1]}) == 3
    assert (await keyring.decrypt(rewrapped[0], CONTEXT, key=key)).plaintext.reveal() == b"good"


async def test_data_keys_differ_and_decrypt(keyring):
    key = await made(keyring)
    batch = await keyring.batches.data_keys(key, count=300, n_bytes=32, context=CONTEXT)
    assert len({item.plaintext for item in batch.results}) == 300
    for item in (batch.results[0], batch.results[-1]):
        assert len(item.plaintext) == 32
        assert (await keyring.decrypt(item.ciphertext, CONTEXT, key=key)).plaintext.reveal() == item.plaintext


async def test_a_key_that_is_suspended_half_way_gives_nothing(bench, keyring):
    key = await made(keyring)
    bench.cluster.hold_unwraps()
    elsewhere = bench.open_keyring()  # as another process: it has to ask the HSM first
    running = asyncio.ensure_future(elsewhere.batches.encrypt(key, [PlainItem(b"x", {})] * 3))
    await bench.cluster.arrived.wait()
    await keyring.set_state(key.key_id, KeyState.SUSPENDED)
    bench.cluster.let_go()
    with pytest.raises(KeyStateError):
        await running
    with pytest.raises(KeyStateError):
        await keyring.batches.decrypt(key, [])


@pytest.mark.parametrize("verb", ["decrypt", "rewrap"])
async def test_a_key_that_is_suspended_while_its_version_is_fetched_gives_nothing(bench, keyring, verb):
    key = await made(keyring)
    old = (await keyring.encrypt(key, Secret(b"old"), {})).ciphertext
    bench.cluster.hold_unwraps()
    elsewhere = bench.open_keyring()
    running = asyncio.ensure_future(getattr(elsewhere.batches, verb)(key, [SealedItem(old, {})]))
    await bench.cluster.arrived.wait()
    await keyring.set_state(key.key_id, KeyState.SUSPENDED)
    bench.cluster.let_go()
    with pytest.raises(KeyStateError):
        await running


async def test_an_alias_that_moves_half_way_does_not_move_the_batch(keyring):
    kind = KeyKind(ManagedKeySpec.ECC_NIST_P384, KeyUsage.SIGN_VERIFY)
    first, second = [await keyring.create_key("k", {}, kind) for _ in range(2)]
    await keyring.create_alias("alias/a", first.key_id)
    algorithm, messages = SigningAlgorithm.ECDSA_SHA_384, [b"%d" % at for at in range(100)]
    running = asyncio.ensure_future(
        keyring.batches.singly.sign(
            KeyByAlias("alias/a"), messages, algorithm=algorithm, kind=MessageType.RAW
        )
    )
    await asyncio.sleep(0)
    await keyring.aliases.move("alias/a", second.key_id)
    batch = await running
    assert batch.key_id == first.key_id
    for message, signature in zip(messages, batch.results, strict=True):
        await keyring.uses.verify(KeyById(first.key_id), algorithm, message, MessageType.RAW, signature)


async def test_others_have_their_turn_between_the_parts_of_a_batch(keyring):
    key = await made(keyring)
    await keyring.encrypt(key, Secret(b"warm"), {})
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count())
    await keyring.batches.encrypt(key, [PlainItem(b"x", {})] * 10_000)
    counting.cancel()
    assert turns >= 30


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(data=st.data())
def test_any_mixture_comes_back_in_order(bench, data):
    contexts = [{}, CONTEXT, {"a": "b", "c": "d"}]
    texts = data.draw(st.lists(st.tuples(st.binary(min_size=1, max_size=64), st.sampled_from(contexts))))
    spoilt = data.draw(st.sets(st.integers(0, max(len(texts) - 1, 0)), max_size=5)) if texts else set()

    async def run():
        keyring = bench.open_keyring()
        key = await made(keyring)
        sealed = (await keyring.batches.encrypt(key, [PlainItem(*item) for item in texts])).results
        items = [
            SealedItem(blob[:-1] + bytes((blob[-1] ^ 1,)) if at in spoilt else blob, texts[at][1])
            for at, blob in enumerate(sealed)
        ]
        opened = (await keyring.batches.decrypt(key, items)).results
        assert revealed(opened) == [
            InvalidCiphertextError if at in spoilt else text for at, (text, _) in enumerate(texts)
        ]

    asyncio.run(run())


def test_no_plaintext_shows_in_a_repr():
    assert "hidden" not in repr(PlainItem(b"hidden", {})) + repr(BatchDataKey(b"hidden", b""))
