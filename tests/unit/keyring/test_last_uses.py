"""The last use of a key: joined over processes, written seldom, bounded, and never lost by a failed write."""

import asyncio

import pytest

from strongroom.core import Secret, StorageError
from strongroom.keyring import KeyById, KeyNotFoundError, LastUses, VersionSamples, _last_uses
from strongroom.storage import Store

NOBODY = "00000000-0000-4000-8000-00000000dead"


class FailingStore(Store):
    """Fails as many notes as it is told to."""

    failures = 0

    async def note(self, work):
        if self.failures:
            self.failures -= 1
            raise StorageError("the disk is full")
        return await super().note(work)


@pytest.fixture
async def key(keyring):
    return await keyring.create_key("for tests")


def uses_of(bench, key):
    return {use.material_id: use.n_uses for use in bench.stores[0].list_key_uses(key.key_id)}


async def test_a_key_that_nobody_used_says_since_when_that_is_known(bench, keyring, key):
    known = keyring.last_uses.last_use(key.key_id)
    assert (known.used_at, known.created_at) == (None, key.created_at)
    assert known.tracked_since >= key.created_at
    with pytest.raises(KeyNotFoundError):
        keyring.last_uses.last_use(NOBODY)


async def test_the_later_use_of_two_processes_counts_and_both_are_counted(bench, keyring, key):
    one, other = keyring.last_uses, bench.open_keyring().last_uses
    one.note(key.key_id, key.material_id, "Encrypt", "first")
    bench.clock.advance(5)
    other.note(key.key_id, key.material_id, "Decrypt", "second")
    other.note(key.key_id, "b" * 64, "Decrypt", "third")
    assert one.last_use(key.key_id).request_id == "first"
    assert await other.flush() == 2
    assert await one.flush() == 1
    for uses in (one, other):
        last = uses.last_use(key.key_id)
        assert (last.used_at, last.operation) == (bench.clock.now(), "Decrypt")
    assert uses_of(bench, key) == {key.material_id: 2, "b" * 64: 1}
    (version,) = keyring.last_uses.uses_of_versions(key.key_id).versions
    assert (version.n_uses, version.used_at) == (2, bench.clock.now())


async def test_a_million_uses_are_one_row_and_a_flush_without_uses_writes_nothing(bench, keyring, key):
    for _ in range(10_000):
        keyring.last_uses.note(key.key_id, key.material_id, "Encrypt", "r")
    assert await keyring.last_uses.flush() == 1
    assert uses_of(bench, key) == {key.material_id: 10_000}
    generation = bench.stores[0].generation()
    assert await keyring.last_uses.flush() == 0
    assert bench.stores[0].generation() == generation


async def test_what_could_not_be_written_is_written_later_with_what_came_meanwhile(
    bench, keyring, key, monkeypatch
):
    monkeypatch.setattr(_last_uses, "_ROWS_A_WRITE", 2)
    store = FailingStore.open(bench.path)
    bench.stores.append(store)
    uses = LastUses(store, VersionSamples(bench.clock), clock=bench.clock)
    for number in range(5):
        uses.note(key.key_id, f"{number}" * 64, "Encrypt", "r")
    store.failures = 1
    with pytest.raises(StorageError):
        await uses.flush()
    uses.note(key.key_id, "0" * 64, "Decrypt", "later")
    await uses.flush()
    assert uses_of(bench, key) == {"0" * 64: 2, **{f"{number}" * 64: 1 for number in range(1, 5)}}
    assert uses.last_use(key.key_id).request_id in {"later", "r"}


class HangingStore(Store):
    """Never begins what it is given, while ``hangs``."""

    hangs = True

    async def note(self, work):
        if self.hangs:
            await asyncio.get_running_loop().create_future()
        return await super().note(work)


async def test_a_flush_that_is_cancelled_leaves_its_uses_to_the_next(bench, keyring, key):
    """So it is at the end of a process: what flushes now and then is cancelled, and the last flush comes."""
    store = HangingStore.open(bench.path)
    bench.stores.append(store)
    uses = LastUses(store, VersionSamples(bench.clock), clock=bench.clock)
    uses.note(key.key_id, key.material_id, "Encrypt", "r")
    flushing = asyncio.ensure_future(uses.flush())
    await asyncio.sleep(0)
    flushing.cancel()
    await asyncio.wait([flushing])
    store.hangs = False
    assert await uses.flush() == 1
    assert uses_of(bench, key) == {key.material_id: 1}


async def test_memory_is_bounded_and_what_found_no_room_is_counted(keyring, key, monkeypatch):
    monkeypatch.setattr(_last_uses, "_MAX_HELD", 3)
    for number in range(5):
        keyring.last_uses.note(key.key_id, f"{number}" * 64, "Encrypt", "r")
    keyring.last_uses.note(key.key_id, "0" * 64, "Encrypt", "r")
    assert keyring.last_uses.n_forgotten == 2
    assert await keyring.last_uses.flush() == 3


async def test_each_version_tells_its_own_uses(bench, keyring, key):
    keyring.last_uses.note(key.key_id, key.material_id, "Encrypt", "r")
    await keyring.last_uses.flush()
    second = await keyring.rotations.rotate_on_demand(key.key_id)
    keyring.last_uses.note(key.key_id, key.material_id, "Decrypt", "r")
    known = keyring.last_uses.uses_of_versions(key.key_id)
    told = [(use.version, use.material_id, use.is_current, use.n_uses) for use in known.versions]
    assert told == [(1, key.material_id, False, 2), (2, second.material_id, True, 0)]
    assert known.versions[1].used_at is None


async def test_one_damaged_sample_keeps_no_use_from_being_written(bench, keyring, key):
    """Else versions would look less recently used than they are, and might be retired for that."""
    ids = key.key_id, (await keyring.create_key("another")).key_id
    store = bench.stores[0]
    made = [await keyring.encrypt(KeyById(key_id), Secret(b"data"), {}) for key_id in ids]
    damaged = {(ids[0], made[0].material_id): b"damaged"}
    await store.write(lambda tx: tx.put_version_samples(damaged))
    for one in made:
        keyring.last_uses.note(one.key_id, one.material_id, "Encrypt", "r")
    assert await keyring.last_uses.flush() == 2
    assert [use.n_uses for key_id in ids for use in store.list_key_uses(key_id)] == [1, 1]
    assert store.list_version_samples(ids[0]) == {made[0].material_id: b"damaged"}, "whoever looks is told"
    assert list(store.list_version_samples(ids[1])) == [made[1].material_id]
    again = await keyring.encrypt(KeyById(ids[0]), Secret(b"data"), {})
    keyring.last_uses.note(again.key_id, again.material_id, "Encrypt", "r")
    assert await keyring.last_uses.flush() == 1
