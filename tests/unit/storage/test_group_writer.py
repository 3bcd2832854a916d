"""Writes wait for each other in groups, fail alone, and are seen by others once they are committed."""

import asyncio
import sqlite3
import threading
from contextlib import asynccontextmanager

import pytest

from strongroom.core import StorageError
from strongroom.storage import DuplicateError, KeyUseRecord, ReadOnlyStore, Store
from strongroom.storage._sqlite import (
    Generation,
    WriteTurn,
    count_changed_rows,
    reading_engine,
    writing_engine,
)
from unit.storage import record_makers as make


@asynccontextmanager
async def held_writer(store):
    """Keep the writer thread busy, so that what is written meanwhile forms one group."""
    release, started = threading.Event(), threading.Event()

    def hold(_transaction):
        started.set()
        assert release.wait(60)

    task = asyncio.ensure_future(store.write(hold))
    try:
        assert await asyncio.to_thread(started.wait, 30)
        yield task
    finally:
        release.set()


def inserting(record):
    return lambda transaction: make.insert_whole_key(transaction, record)


async def test_a_group_is_one_transaction_for_others_and_shared_within(store, path):
    first, second = make.key(), make.key()

    def look(transaction):
        with ReadOnlyStore.open(path) as others:
            return transaction.get_key(first.key_id), others.get_key(first.key_id)

    async with held_writer(store):
        tasks = [
            asyncio.ensure_future(store.write(work)) for work in (inserting(first), look, inserting(second))
        ]
        await asyncio.sleep(0.05)
    _, seen, _ = await asyncio.gather(*tasks)
    assert seen == (first, None)
    assert store.get_key(first.key_id) == first
    assert store.get_key(second.key_id) == second


async def test_failures_in_a_group_undo_only_their_own_work(store):
    records = [make.key() for _ in range(6)]

    class OwnError(Exception):
        pass

    def fail_after_inserting(transaction):
        make.insert_whole_key(transaction, records[1])
        raise OwnError

    def duplicate(transaction):
        make.insert_whole_key(transaction, records[2])
        transaction.insert_key(records[0])

    def stop_iteration(transaction):
        make.insert_whole_key(transaction, records[3])
        raise StopIteration

    works = [
        inserting(records[0]),
        fail_after_inserting,
        duplicate,
        stop_iteration,
        inserting(records[4]),
        inserting(records[5]),
    ]
    async with held_writer(store):
        tasks = [asyncio.ensure_future(store.write(work)) for work in works]
        await asyncio.sleep(0.05)
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [
        type(None),
        OwnError,
        DuplicateError,
        RuntimeError,
        type(None),
        type(None),
    ]
    kept = [store.get_key(record.key_id) is not None for record in records]
    assert kept == [True, False, False, False, True, True]
    assert store.get_domain(make.DOMAIN_ID).key_count == 3


async def test_results_are_returned_to_their_own_callers(store):
    results = await asyncio.gather(*(store.write(lambda _, n=number: n) for number in range(300)))
    assert results == list(range(300))


async def test_cancelled_before_it_began_is_not_done(store):
    record = make.key()
    async with held_writer(store) as holding:
        task = asyncio.ensure_future(store.write(inserting(record)))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await holding
    await store.write(lambda _: None)
    assert store.get_key(record.key_id) is None


async def test_cancelled_while_it_runs_disturbs_nobody(store):
    async with held_writer(store) as holding:
        holding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await holding
    assert await store.write(lambda _: "after") == "after"


async def test_closing_finishes_what_waits_and_refuses_what_comes(path, store):
    records = [make.key() for _ in range(5)]
    tasks = [asyncio.ensure_future(store.write(inserting(record))) for record in records]
    await asyncio.sleep(0)
    store.close()
    await asyncio.gather(*tasks)
    with pytest.raises(StorageError, match="closed"):
        await store.write(lambda _: None)
    store.close()
    assert not any(thread.name == "storage-writer" for thread in threading.enumerate())
    with ReadOnlyStore.open(path) as reopened:
        assert all(reopened.get_key(record.key_id) for record in records)


async def test_the_generation_changes_with_every_commit_of_anybody(store, path):
    with Store.open(path) as other:
        before, before_other = store.generation(), other.generation()
        assert store.generation() == before
        await store.write(inserting(make.key()))
        after, after_other = store.generation(), other.generation()
        assert after != before
        assert after_other != before_other
        await other.write(inserting(make.key()))
        assert store.generation() != after
        assert other.generation() != after_other


async def test_a_commit_in_the_middle_of_a_look_at_the_generation_is_seen_by_the_next(store, path):
    engine = reading_engine(path)
    with engine.connect() as connection:
        generation = _Interrupted(connection)
        before = generation.read()
        await store.write(inserting(make.key()))
        with sqlite3.connect(path) as other:

            def commit():
                other.execute("PRAGMA user_version = 77")

            generation.between = commit
            assert generation.read() in {before + 1, 77}
        assert generation.read() == 77
    engine.dispose()


class _Interrupted(Generation):
    """Somebody commits behind each single question, once."""

    between = None

    def _pragma(self, name):
        value = super()._pragma(name)
        if self.between is not None and name == "user_version":
            between, self.between = self.between, None
            between()
        return value


async def test_notes_leave_the_generation_of_everybody_alone(store, path):
    key = make.key()
    await store.write(inserting(key))
    use = KeyUseRecord(key.key_id, key.material_id, 1, 1.0, "Encrypt", "request")
    with ReadOnlyStore.open(path) as other:
        before = store.generation(), other.generation()
        for _ in range(3):
            await store.note(lambda tx: tx.note_key_uses([use]))
        assert other.list_key_uses(key.key_id)[0].n_uses == 3
        assert (store.generation(), other.generation()) == before
        await asyncio.gather(
            store.note(lambda _: None), store.write(inserting(make.key()))
        )  # in one transaction, or in two
        assert store.generation() != before[0]
        assert other.generation() != before[1]


async def test_each_work_of_a_group_counts_as_a_change_by_what_it_wrote_itself(store):
    key = make.key()
    await store.write(inserting(key))
    use = KeyUseRecord(key.key_id, key.material_id, 1, 1.0, "Encrypt", "request")

    def fail_after_inserting(transaction):
        make.insert_whole_key(transaction, make.key())
        raise ValueError

    async def group(*more):
        """Write a group of what is no change, and of ``more``; return whether the generation is another then."""
        before = store.generation()
        async with held_writer(store):
            works = [
                store.note(lambda tx: tx.note_key_uses([use])),
                store.write(fail_after_inserting),
                store.write(lambda tx: tx.get_key(key.key_id)),
                *more,
            ]
            tasks = [asyncio.ensure_future(work) for work in works]
            await asyncio.sleep(0.05)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(one) for one in outcomes if isinstance(one, Exception)] == [ValueError]
        return store.generation() != before

    assert not await group()
    assert await group(store.write(inserting(make.key())))
    assert not await group()


async def test_a_change_before_a_note_is_not_hidden_by_it(store, path):
    with ReadOnlyStore.open(path) as other:
        before = other.generation()
        await store.write(inserting(make.key()))
        await store.note(lambda _: None)
        assert other.generation() != before


async def test_the_generation_goes_on_where_its_number_ends(store, path):
    with sqlite3.connect(path) as raw:
        raw.execute(f"PRAGMA user_version = {2**31 - 1}")
    raw.close()
    before = store.generation()
    await store.write(inserting(make.key()))
    assert store.generation() != before


async def test_work_that_changes_nothing_leaves_the_generation_alone(store):
    before = store.generation()
    assert await store.write(lambda tx: tx.remove_unused_domains(made_before=0.0)) == 0
    assert store.generation() == before


@pytest.mark.parametrize(
    ("statement", "is_change"),
    [
        ("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", False),
        ("INSERT INTO t VALUES (1) ON CONFLICT DO UPDATE SET a = a", True),
        ("INSERT OR REPLACE INTO t VALUES (1)", True),
        ("UPDATE t SET a = 3 WHERE a = 2", False),
        ("DELETE FROM t", True),
        ("INSERT INTO seen VALUES (7)", True),  # by a trigger alone
        ("SELECT * FROM t", False),
    ],
)
def test_a_statement_counts_as_a_change_when_it_wrote_a_row(tmp_path, statement, is_change):
    file = tmp_path / "any.sqlite3"
    file.touch()
    engine = writing_engine(file)
    with engine.connect() as connection:
        for made in (
            "CREATE TABLE t (a INTEGER PRIMARY KEY)",
            "INSERT INTO t VALUES (1)",
            "CREATE VIEW seen AS SELECT a FROM t",
            "CREATE TRIGGER put INSTEAD OF INSERT ON seen BEGIN INSERT INTO t VALUES (new.a); END",
        ):
            connection.exec_driver_sql(made)
        before = count_changed_rows(connection)
        connection.exec_driver_sql(statement)
        assert (count_changed_rows(connection) != before) is is_change
    engine.dispose()


async def test_reading_and_failed_work_leave_the_generation_alone(store):
    before = store.generation()
    store.list_keys(after=None, limit=10)
    with pytest.raises(DuplicateError):
        await store.write(lambda transaction: transaction.insert_root(make.root()))
    assert store.generation() == before


async def test_two_stores_on_one_file_write_at_once(store, path):
    with Store.open(path) as other:
        records = [make.key() for _ in range(100)]
        writes = [
            (store, other)[number % 2].write(inserting(record)) for number, record in enumerate(records)
        ]
        await asyncio.gather(*writes)
        assert len(other.list_keys(after=None, limit=1000)) == 100
        assert store.get_domain(make.DOMAIN_ID).key_count == 100


async def test_a_turn_that_another_process_keeps_is_waited_for_and_then_refused(store, path, monkeypatch):
    record = make.key()
    with WriteTurn(path).held():
        monkeypatch.setattr("strongroom.storage._sqlite.BUSY_TIMEOUT_MS", 50)
        with pytest.raises(StorageError, match="another process") as caught:
            await store.write(inserting(record))
        assert caught.value.next_step
        monkeypatch.undo()
        task = asyncio.ensure_future(store.write(inserting(record)))
        await asyncio.sleep(0.02)
        assert not task.done()
    await task
    assert store.get_key(record.key_id) == record


async def test_reading_on_another_thread_is_refused(store):
    with pytest.raises(StorageError, match="thread"):
        await asyncio.to_thread(store.get_key, "x")
