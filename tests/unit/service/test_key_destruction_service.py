"""Keys whose date has come are destroyed once, with an intent before and an outcome behind, whatever breaks."""

import asyncio

import pytest

from strongroom.audit import read_entries
from strongroom.core import AuditUnavailableError, KeyState, StorageError
from strongroom.keyring import KeyById, KeyNotFoundError

DAY_S = 86_400.0


@pytest.fixture
async def due_id(bench, service, key_id):
    """A key with an alias, whose date has come."""
    await service.schedule_key_deletion(bench.caller(), key_id, days=7)
    bench.clock.advance(7 * DAY_S)
    return key_id


def destruction_entries(bench):
    return [entry for entry in read_entries(bench.directory) if entry.event == "keyring.DestroyKey"]


def is_there(bench, key_id):
    return bench.stores[0].get_key_version(key_id, 1) is not None


async def test_a_due_key_is_destroyed_with_intent_and_outcome(bench, service, due_id):
    bench.store.seen.clear()
    assert await service.destroy_due_keys() == 1
    assert not is_there(bench, due_id)
    intent, outcome = destruction_entries(bench)
    assert (intent.kind, intent.key_id, intent.principal) == ("intent", due_id, "strongroom")
    assert (outcome.kind, outcome.key_id, outcome.outcome) == ("outcome", due_id, "ok")
    assert outcome.detail == {"versions": "1", "aliases": "1"}
    (logged_before,) = bench.store.seen
    assert logged_before[-1] == ("intent", "keyring.DestroyKey")
    with pytest.raises(KeyNotFoundError):
        await service.describe_key(bench.caller(), KeyById(due_id))


async def test_without_due_keys_nothing_is_written(bench, service, key_id):
    await service.schedule_key_deletion(bench.caller(), key_id, days=7)
    bench.clock.advance(7 * DAY_S - 1)
    logged = len(bench.entries())
    bench.store.seen.clear()
    assert await service.destroy_due_keys() == 0
    assert bench.store.seen == []
    assert len(bench.entries()) == logged


async def test_again_and_at_once_is_harmless(bench, service, due_id):
    assert sorted(await asyncio.gather(*(service.destroy_due_keys() for _ in range(3)))) == [0, 0, 1]
    assert await service.destroy_due_keys() == 0
    outcomes = [entry.outcome for entry in destruction_entries(bench) if entry.kind == "outcome"]
    assert sorted(outcomes) == ["NotDue", "NotDue", "ok"]


@pytest.mark.parametrize("fault", ["lost", "half", "persisted"])
async def test_without_a_durable_intent_nothing_is_destroyed(bench, service, due_id, fault):
    bench.disk.decide = lambda asked: fault if asked == "sync" else None
    with pytest.raises(AuditUnavailableError):
        await service.destroy_due_keys()
    assert is_there(bench, due_id)


async def test_a_crash_behind_the_intent_is_made_good_by_the_next_call(bench, service, due_id, monkeypatch):
    async def crash(_key_id):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(bench.keyring.lifecycle, "destroy_due", crash)
        with pytest.raises(KeyboardInterrupt):
            await service.destroy_due_keys()
    assert is_there(bench, due_id)
    assert await service.destroy_due_keys() == 1
    assert [entry.kind for entry in destruction_entries(bench)] == ["intent", "intent", "outcome"]


async def test_an_outcome_that_cannot_be_recorded_leaves_the_intent(bench, service, due_id):
    syncs = []

    def fail_the_second(asked):
        syncs.append(asked)
        return "lost" if syncs.count("sync") >= 2 else None

    bench.disk.decide = fail_the_second
    with pytest.raises(AuditUnavailableError):
        await service.destroy_due_keys()
    assert not is_there(bench, due_id)
    bench.disk.decide = lambda _asked: None
    bench.audit.close()
    assert [entry.kind for entry in destruction_entries(bench)] == ["intent"]


async def test_a_key_that_cannot_be_destroyed_does_not_hold_up_the_others(
    bench, service, due_id, monkeypatch
):
    second = await service.create_key(bench.caller(), description="second")
    await service.schedule_key_deletion(bench.caller(), second.key_id, days=7)
    bench.clock.advance(8 * DAY_S)
    real = bench.keyring.lifecycle.destroy_due

    async def failing(key_id):
        if key_id == due_id:
            raise StorageError("the disk is full")
        return await real(key_id)

    monkeypatch.setattr(bench.keyring.lifecycle, "destroy_due", failing)
    assert await service.destroy_due_keys() == 1
    outcomes = {entry.key_id: entry.outcome for entry in destruction_entries(bench)}
    assert outcomes == {due_id: "StorageError", second.key_id: "ok"}
    assert is_there(bench, due_id)


async def test_a_destruction_that_is_cut_short_says_so(bench, service, due_id, monkeypatch):
    begun = asyncio.Event()

    async def hang(_key_id):
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(bench.keyring.lifecycle, "destroy_due", hang)
    work = asyncio.ensure_future(service.destroy_due_keys())
    await begun.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    await bench.audit.record("event", "test.all-before-this-is-durable")
    assert [entry.outcome for entry in destruction_entries(bench)] == ["", "Cancelled"]


@pytest.mark.parametrize("turns", [1, 2, 3, 5, 8])
async def test_a_destruction_is_cut_short_at_any_moment_without_leaving_an_intent_alone(
    bench, service, due_id, turns
):
    work = asyncio.ensure_future(service.destroy_due_keys())
    for _ in range(turns):
        await asyncio.sleep(0)
    work.cancel()
    await asyncio.wait({work})
    await bench.audit.record("event", "test.all-before-this-is-durable")
    assert [entry.kind for entry in destruction_entries(bench)] == ["intent", "outcome"]


async def test_the_whole_way_is_in_the_log(bench, service, key_id):
    await service.schedule_key_deletion(bench.caller(), key_id, days=30)
    await service.cancel_key_deletion(bench.caller(), key_id)
    info = await service.describe_key(bench.caller(), KeyById(key_id))
    assert (info.state, info.destroy_at) == (KeyState.SUSPENDED, None)
    await service.schedule_key_deletion(bench.caller(), key_id, days=7)
    entries = [entry for entry in bench.entries() if entry.key_id == key_id]
    told = [(entry.event, entry.detail.get("days")) for entry in entries if entry.kind == "outcome"]
    assert told[-4:] == [
        ("kms.ScheduleKeyDeletion", "30"),
        ("kms.CancelKeyDeletion", None),
        ("kms.DescribeKey", None),
        ("kms.ScheduleKeyDeletion", "7"),
    ]
