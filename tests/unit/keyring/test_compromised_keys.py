"""A compromised key protects nothing from that moment on, in every process; what it protected can be moved away."""

import asyncio

import pytest

from strongroom.core import KeyState, Secret
from strongroom.keyring import DestructionScheduledError, KeyById, KeyCompromisedError, KeyDestroyedError

DAY_S = 86_400.0


@pytest.fixture
async def key_id(keyring):
    return (await keyring.create_key("for tests")).key_id


async def test_it_encrypts_nothing_in_any_process_and_opens_what_it_encrypted(bench, keyring, key_id):
    other, fresh = bench.open_keyring(), bench.open_keyring()
    key = KeyById(key_id)
    old = (await keyring.encrypt(key, Secret(b"old"), {})).ciphertext
    await keyring.rotations.rotate_on_demand(key_id)
    new = (await other.encrypt(key, Secret(b"new"), {})).ciphertext
    info = await keyring.lifecycle.mark_compromised(key_id)
    assert info.state is KeyState.COMPROMISED
    for ring in (keyring, other, fresh):
        for act in (
            lambda ring=ring: ring.encrypt(key, Secret(b"x"), {}),
            lambda ring=ring: ring.generate_data_key(key, 32, {}),
            lambda ring=ring: ring.rotations.rotate_on_demand(key_id),
            lambda ring=ring: ring.rotations.enable(key_id, days=90),
            lambda ring=ring: ring.set_state(key_id, KeyState.ACTIVE),
            lambda ring=ring: ring.set_state(key_id, KeyState.SUSPENDED),
        ):
            with pytest.raises(KeyCompromisedError):
                await act()
        opened = [await ring.decrypt(blob, {}, key=None) for blob in (old, new)]
        assert [made.plaintext.reveal() for made in opened] == [b"old", b"new"]


async def test_its_data_moves_to_another_key_and_never_to_itself(keyring, key_id):
    made = await keyring.encrypt(KeyById(key_id), Secret(b"data"), {})
    await keyring.lifecycle.mark_compromised(key_id)
    other = KeyById((await keyring.create_key("other")).key_id)
    context = {"source_key": None, "source_context": {}, "context": {}}
    moved = await keyring.re_encrypt(made.ciphertext, key=other, **context)
    assert (await keyring.decrypt(moved.ciphertext, {}, key=other)).plaintext.reveal() == b"data"
    with pytest.raises(KeyCompromisedError):
        await keyring.re_encrypt(moved.ciphertext, key=KeyById(key_id), **context)


async def test_its_schedule_of_rotation_ends(bench, keyring, key_id):
    await keyring.rotations.enable(key_id, days=90)
    await keyring.lifecycle.mark_compromised(key_id)
    bench.clock.advance(91 * DAY_S)
    assert keyring.rotations.list_due(limit=10) == []
    assert await keyring.rotations.rotate_due(key_id) is None


@pytest.mark.parametrize("is_scheduled_first", [True, False])
async def test_a_date_of_destruction_comes_and_goes_without_making_it_whole(
    bench, keyring, key_id, is_scheduled_first
):
    made = await keyring.encrypt(KeyById(key_id), Secret(b"data"), {})
    if is_scheduled_first:
        await keyring.lifecycle.schedule_destruction(key_id, days=7)
    await keyring.lifecycle.mark_compromised(key_id)
    if not is_scheduled_first:
        await keyring.lifecycle.schedule_destruction(key_id, days=7)
    await asyncio.sleep(0)
    with pytest.raises(DestructionScheduledError):
        await keyring.decrypt(made.ciphertext, {}, key=None)
    await keyring.lifecycle.cancel_destruction(key_id)
    await asyncio.sleep(0)
    assert keyring.describe(KeyById(key_id)).state is KeyState.COMPROMISED
    await keyring.lifecycle.schedule_destruction(key_id, days=7)
    bench.clock.advance(7 * DAY_S)
    assert keyring.lifecycle.list_due(limit=10) == [key_id]
    assert await keyring.lifecycle.destroy_due(key_id) is not None
    with pytest.raises(KeyDestroyedError):
        await keyring.lifecycle.mark_compromised(key_id)


async def test_a_suspended_key_can_be_marked_and_marking_twice_changes_nothing(keyring, key_id):
    await keyring.set_state(key_id, KeyState.SUSPENDED)
    first = await keyring.lifecycle.mark_compromised(key_id)
    assert await keyring.lifecycle.mark_compromised(key_id) == first
