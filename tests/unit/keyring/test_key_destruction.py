"""From the date that is set to the material that is gone: what a key does on the way, in every process."""

import asyncio

import pytest

from strongroom.core import KeyState, KeyUsage, ManagedKeySpec, Secret, SigningAlgorithm, StorageError
from strongroom.keyring import (
    AliasNotFoundError,
    Destroyed,
    DestructionNotScheduledError,
    DestructionScheduledError,
    KeyByAlias,
    KeyById,
    KeyDestroyedError,
    KeyKind,
    KeyNotFoundError,
    KeyStateError,
    MessageType,
)

DAY_S = 86_400.0
PAIR = KeyKind(ManagedKeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY)
NOBODY = "00000000-0000-4000-8000-00000000dead"


@pytest.fixture
async def key_id(keyring):
    made = await keyring.create_key("for tests", {"team": "blue"})
    await keyring.create_alias("alias/payroll", made.key_id)
    return made.key_id


@pytest.fixture
async def ciphertext(keyring, key_id):
    return (await keyring.encrypt(KeyById(key_id), Secret(b"data"), {})).ciphertext


def uses_of(keyring, key_id, ciphertext, other_id):
    key = KeyById(key_id)
    return [
        lambda: keyring.encrypt(key, Secret(b"x"), {}),
        lambda: keyring.encrypt(KeyByAlias("alias/payroll"), Secret(b"x"), {}),
        lambda: keyring.generate_data_key(key, 32, {}),
        lambda: keyring.decrypt(ciphertext, {}, key=None),
        lambda: keyring.decrypt(ciphertext, {}, key=key),
        lambda: re_encrypted(keyring, ciphertext, KeyById(other_id)),
        lambda: re_encrypted(keyring, ciphertext, key),
    ]


def re_encrypted(keyring, ciphertext, key):
    return keyring.re_encrypt(ciphertext, source_key=None, source_context={}, key=key, context={})


def changes_of(keyring, key_id):
    return [
        lambda: keyring.set_state(key_id, KeyState.ACTIVE),
        lambda: keyring.set_state(key_id, KeyState.SUSPENDED),
        lambda: keyring.lifecycle.set_description(key_id, "x"),
        lambda: keyring.lifecycle.schedule_destruction(key_id, days=7),
        lambda: keyring.create_alias("alias/another", key_id),
        lambda: keyring.tags.put(key_id, {"a": "b"}),
        lambda: keyring.tags.remove(key_id, ["team"]),
    ]


async def test_a_scheduled_key_is_suspended_and_has_its_date(bench, keyring, key_id):
    before = bench.clock.now()
    info = await keyring.lifecycle.schedule_destruction(key_id, days=12)
    assert (info.state, info.destroy_at) == (KeyState.SUSPENDED, before + 12 * DAY_S)
    assert keyring.describe(KeyById(key_id)) == info


@pytest.mark.parametrize("days", [-1, 0, 6, 31])
async def test_a_date_too_near_or_too_far_is_a_mistake(keyring, key_id, days):
    with pytest.raises(ValueError, match="days"):
        await keyring.lifecycle.schedule_destruction(key_id, days=days)
    assert keyring.describe(KeyById(key_id)).state is KeyState.ACTIVE


async def test_a_scheduled_key_is_refused_for_every_use_and_change_by_every_process(
    bench, keyring, key_id, ciphertext
):
    other, other_id = bench.open_keyring(), (await keyring.create_key("x")).key_id
    await other.decrypt(ciphertext, {}, key=None)
    await keyring.lifecycle.schedule_destruction(key_id, days=7)
    before = keyring.describe(KeyById(key_id))
    for ring in (keyring, other):
        for act in uses_of(ring, key_id, ciphertext, other_id) + changes_of(ring, key_id):
            with pytest.raises(DestructionScheduledError) as refused:
                await act()
            assert refused.value.key_id == key_id
    assert keyring.describe(KeyById(key_id)) == before
    assert keyring.list_aliases(key_id=key_id, limit=9, after=None).aliases != ()
    assert keyring.tags.page(key_id, limit=9, after=None).tags == (("team", "blue"),)


async def test_cancelling_leaves_it_suspended_until_it_is_made_active(keyring, key_id, ciphertext):
    await keyring.lifecycle.schedule_destruction(key_id, days=7)
    await keyring.lifecycle.cancel_destruction(key_id)
    info = keyring.describe(KeyById(key_id))
    assert (info.state, info.destroy_at) == (KeyState.SUSPENDED, None)
    with pytest.raises(KeyStateError) as refused:
        await keyring.decrypt(ciphertext, {}, key=None)
    assert not isinstance(refused.value, DestructionScheduledError)
    await keyring.set_state(key_id, KeyState.ACTIVE)
    assert (await keyring.decrypt(ciphertext, {}, key=None)).plaintext.reveal() == b"data"


@pytest.mark.parametrize("state", [KeyState.ACTIVE, KeyState.SUSPENDED])
async def test_what_is_not_scheduled_cannot_be_cancelled(keyring, key_id, state):
    await keyring.set_state(key_id, state)
    with pytest.raises(DestructionNotScheduledError):
        await keyring.lifecycle.cancel_destruction(key_id)
    assert keyring.describe(KeyById(key_id)).state is state


async def test_nothing_is_destroyed_before_its_date_nor_without_one(bench, keyring, key_id, ciphertext):
    await keyring.lifecycle.schedule_destruction(key_id, days=7)
    suspended = (await keyring.create_key("x")).key_id
    await keyring.set_state(suspended, KeyState.SUSPENDED)
    bench.clock.advance(7 * DAY_S - 0.5)
    assert keyring.lifecycle.list_due(limit=10) == []
    for named in (key_id, suspended, NOBODY):
        assert await keyring.lifecycle.destroy_due(named) is None
    await keyring.lifecycle.cancel_destruction(key_id)
    bench.clock.advance(10.0)
    assert keyring.lifecycle.list_due(limit=10) == []
    assert await keyring.lifecycle.destroy_due(key_id) is None
    await keyring.set_state(key_id, KeyState.ACTIVE)
    assert (await keyring.decrypt(ciphertext, {}, key=None)).plaintext.reveal() == b"data"


async def test_a_destroyed_key_is_gone_but_for_its_record(bench, keyring, key_id, ciphertext):
    other, other_id = bench.open_keyring(), (await keyring.create_key("stays")).key_id
    await keyring.lifecycle.schedule_destruction(key_id, days=7)
    bench.clock.advance(7 * DAY_S)
    assert keyring.lifecycle.list_due(limit=10) == [key_id]
    assert await other.lifecycle.destroy_due(key_id) == Destroyed(key_id, n_versions=1, n_aliases=1)
    for ring in (keyring, other):
        with pytest.raises(KeyDestroyedError):
            ring.describe(KeyById(key_id))
        with pytest.raises(AliasNotFoundError):
            ring.describe(KeyByAlias("alias/payroll"))
        for act in uses_of(ring, key_id, ciphertext, other_id):
            with pytest.raises((KeyDestroyedError, AliasNotFoundError)):
                await act()
        for act in changes_of(ring, key_id):
            with pytest.raises(KeyDestroyedError):
                await act()
        with pytest.raises(KeyDestroyedError):
            await ring.lifecycle.cancel_destruction(key_id)
        assert [info.key_id for info in ring.list_keys(limit=9, after=None).keys] == [other_id]
    store = bench.stores[0]
    assert store.get_key_version(key_id, 1) is None
    assert store.get_key(key_id).state is KeyState.DESTROYED
    await keyring.create_alias("alias/payroll", other_id)


async def test_destroying_twice_and_from_two_processes_happens_once(bench, keyring, key_id):
    other = bench.open_keyring()
    await keyring.lifecycle.schedule_destruction(key_id, days=7)
    bench.clock.advance(8 * DAY_S)
    done = await asyncio.gather(
        *(ring.lifecycle.destroy_due(key_id) for ring in (keyring, other, keyring, other))
    )
    assert sorted(map(bool, done)) == [False, False, False, True]
    assert keyring.lifecycle.list_due(limit=10) == []


async def test_a_key_whose_destruction_is_cancelled_at_the_last_moment_stays(bench, keyring, key_id):
    """The list was read, then the officer cancelled: the transaction looks again."""
    await keyring.lifecycle.schedule_destruction(key_id, days=7)
    bench.clock.advance(8 * DAY_S)
    due = keyring.lifecycle.list_due(limit=10)
    await bench.open_keyring().lifecycle.cancel_destruction(key_id)
    assert [await keyring.lifecycle.destroy_due(named) for named in due] == [None]
    assert keyring.describe(KeyById(key_id)).state is KeyState.SUSPENDED


async def test_scheduling_needs_no_hsm_and_neither_does_destroying(bench, keyring, key_id):
    bench.cluster.is_down = True
    await keyring.lifecycle.schedule_destruction(key_id, days=7)
    bench.clock.advance(8 * DAY_S)
    assert await keyring.lifecycle.destroy_due(key_id) is not None


async def test_a_key_scheduled_while_the_hsm_works_is_refused(bench, keyring, key_id, ciphertext):
    cold = bench.open_keyring()
    bench.cluster.hold_unwraps()
    under_way = asyncio.ensure_future(cold.decrypt(ciphertext, {}, key=None))
    await bench.cluster.arrived.wait()
    await keyring.lifecycle.schedule_destruction(key_id, days=7)
    bench.cluster.let_go()
    with pytest.raises(DestructionScheduledError):
        await under_way


@pytest.mark.parametrize("use", ["decrypt", "sign"])
async def test_a_key_destroyed_while_the_hsm_works_is_no_key(bench, keyring, key_id, ciphertext, use):
    pair = KeyById((await keyring.create_key("pair", {}, PAIR)).key_id)
    cold = bench.open_keyring()
    work = {
        "decrypt": lambda: cold.decrypt(ciphertext, {}, key=None),
        "sign": lambda: cold.uses.sign(pair, SigningAlgorithm.ECDSA_SHA_256, b"x", MessageType.RAW),
    }[use]
    bench.cluster.hold_unwraps()
    under_way = asyncio.ensure_future(work())
    await bench.cluster.arrived.wait()
    for named in (key_id, pair.key_id):
        await keyring.lifecycle.schedule_destruction(named, days=7)
    bench.clock.set_wall_clock(bench.clock.now() + 8 * DAY_S)  # no deadline passes
    for named in (key_id, pair.key_id):
        await keyring.lifecycle.destroy_due(named)
    bench.cluster.let_go()
    with pytest.raises(KeyDestroyedError):
        await under_way


async def test_a_description_changes_for_every_process(bench, keyring, key_id):
    other = bench.open_keyring()
    assert other.describe(KeyById(key_id)).description == "for tests"
    for text in ("", "d" * 8_192, "Löhne 🔑"):
        await keyring.lifecycle.set_description(key_id, text)
        assert other.describe(KeyById(key_id)).description == text
    with pytest.raises(StorageError):
        await keyring.lifecycle.set_description(key_id, "d" * 8_193)


async def test_no_state_is_reached_by_a_short_cut(keyring, key_id):
    with pytest.raises(ValueError, match="destroy_due"):
        await keyring.set_state(key_id, KeyState.DESTROYED)


async def test_a_key_that_never_was_is_not_found(keyring):
    for act in changes_of(keyring, NOBODY):
        with pytest.raises(KeyNotFoundError) as missed:
            await act()
        assert not isinstance(missed.value, KeyDestroyedError)
