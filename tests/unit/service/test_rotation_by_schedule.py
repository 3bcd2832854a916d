"""Keys whose date of rotation has come get one new version, with an intent before and an outcome behind it."""

import asyncio

import pytest

from strongroom.audit import read_entries
from strongroom.core import AuditUnavailableError, KeyState, StorageError
from strongroom.keyring import KeyById

DAY_S = 86_400.0


@pytest.fixture
async def due_id(bench, service, key_id):
    await service.enable_key_rotation(bench.caller(), key_id, days=90)
    bench.clock.advance(90 * DAY_S)
    return key_id


def entries_of(bench):
    return [entry for entry in read_entries(bench.directory) if entry.event == "keyring.RotateKey"]


async def test_a_due_key_is_rotated_with_intent_and_outcome(bench, service, due_id):
    bench.store.seen.clear()
    assert await service.rotate_due_keys() == 1
    intent, outcome = entries_of(bench)
    assert (intent.kind, intent.key_id, intent.principal) == ("intent", due_id, "strongroom")
    assert (outcome.kind, outcome.key_id, outcome.outcome) == ("outcome", due_id, "ok")
    assert outcome.detail == {"version": "2"}
    info = await service.describe_key(bench.caller(), KeyById(due_id))
    assert outcome.key_version == info.material_id
    (logged_before,) = bench.store.seen
    assert logged_before[-1] == ("intent", "keyring.RotateKey")
    assert await service.rotate_due_keys() == 0
    assert len(entries_of(bench)) == 2


async def test_at_once_from_several_sides_a_key_is_rotated_once(bench, service, due_id):
    assert sorted(await asyncio.gather(*(service.rotate_due_keys() for _ in range(3)))) == [0, 0, 1]
    outcomes = [entry.outcome for entry in entries_of(bench) if entry.kind == "outcome"]
    assert sorted(outcomes) == ["NotDue", "NotDue", "ok"]


async def test_without_a_durable_intent_nothing_is_rotated(bench, service, due_id):
    bench.disk.decide = lambda asked: "lost" if asked == "sync" else None
    with pytest.raises(AuditUnavailableError):
        await service.rotate_due_keys()
    assert bench.stores[0].get_key(due_id).current_version == 1


async def test_a_crash_behind_the_intent_is_made_good_by_the_next_call(bench, service, due_id, monkeypatch):
    async def crash(_key_id):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(bench.keyring.rotations, "rotate_due", crash)
        with pytest.raises(KeyboardInterrupt):
            await service.rotate_due_keys()
    assert await service.rotate_due_keys() == 1
    assert [entry.kind for entry in entries_of(bench)] == ["intent", "intent", "outcome"]
    assert bench.stores[0].get_key(due_id).current_version == 2


async def test_a_key_that_cannot_be_rotated_does_not_hold_up_the_others(bench, service, due_id, monkeypatch):
    second = await service.create_key(bench.caller(), description="second")
    await service.enable_key_rotation(bench.caller(), second.key_id, days=90)
    bench.clock.advance(90 * DAY_S)
    real = bench.keyring.rotations.rotate_due

    async def failing(key_id):
        if key_id == due_id:
            raise StorageError("the disk is full")
        return await real(key_id)

    monkeypatch.setattr(bench.keyring.rotations, "rotate_due", failing)
    assert await service.rotate_due_keys() == 1
    outcomes = {entry.key_id: entry.outcome for entry in entries_of(bench) if entry.kind == "outcome"}
    assert outcomes == {due_id: "StorageError", second.key_id: "ok"}


@pytest.mark.parametrize("turns", [1, 2, 3, 5, 8])
async def test_a_rotation_cut_short_leaves_no_intent_alone(bench, service, due_id, turns):
    work = asyncio.ensure_future(service.rotate_due_keys())
    for _ in range(turns):
        await asyncio.sleep(0)
    work.cancel()
    await asyncio.wait({work})
    await bench.audit.record("event", "test.all-before-this-is-durable")
    assert [entry.kind for entry in entries_of(bench)] == ["intent", "outcome"]


async def test_a_suspended_key_waits_without_an_entry(bench, service, due_id):
    await service.disable_key(bench.caller(), due_id)
    assert await service.rotate_due_keys() == 0
    assert entries_of(bench) == []
    assert bench.stores[0].get_key(due_id).state is KeyState.SUSPENDED
