"""A copy of the database is of one moment, whole, and its damage is seen."""

import sqlite3
from contextlib import closing

import pytest

from fresh_database import fresh_database
from strongroom.core import StorageError
from strongroom.storage import BackupSetRecord, BackupSetState, Store, inspect_snapshot, snapshot_database


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "strongroom.db"
    fresh_database(path)
    return path


async def test_a_copy_is_made_beside_an_open_store_and_holds_what_was_committed(database, tmp_path):
    copy = tmp_path / "copy.db"
    with Store.open(database) as store:
        first = BackupSetRecord(b"1" * 16, b"", BackupSetState.MAKING, 1.0)
        await store.write(lambda tx: tx.insert_backup_set(first))
        made = snapshot_database(database, copy)
        await store.write(lambda tx: tx.insert_backup_set(first._replace(set_id=b"2" * 16)))
    assert made.counts["backup_sets"] == 1
    assert made == inspect_snapshot(copy)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.glob("copy*")) == ["copy.db"]
    with Store.open(copy) as store:
        assert [one.set_id for one in store.list_backup_sets()] == [b"1" * 16]


def test_a_copy_never_goes_over_another_file(database, tmp_path):
    copy = tmp_path / "copy.db"
    copy.write_bytes(b"something")
    with pytest.raises(StorageError, match="cannot be copied"):
        snapshot_database(database, copy)
    assert copy.read_bytes() == b"something"


def test_a_copy_that_is_damaged_or_of_something_else_is_refused(database, tmp_path):
    copy = tmp_path / "copy.db"
    snapshot_database(database, copy)
    data = bytearray(copy.read_bytes())
    for place in range(4096, len(data), 512):
        data[place] ^= 0xFF
    copy.write_bytes(data)
    with pytest.raises(StorageError):
        inspect_snapshot(copy)
    copy.write_bytes(b"no database at all, whatever it is called" * 100)
    with pytest.raises(StorageError):
        inspect_snapshot(copy)
    copy.write_bytes(b"")
    with pytest.raises(StorageError, match="not of a Strongroom database"):
        inspect_snapshot(copy)


HOSTILE = {
    "trigger": "CREATE TRIGGER t AFTER UPDATE ON roots BEGIN DELETE FROM custody_documents; END",
    "view": "DROP TABLE aliases; CREATE VIEW aliases AS SELECT load_extension(1)",
    "other table": "CREATE TABLE notes (text)",
    "virtual table": "DROP TABLE aliases; CREATE VIRTUAL TABLE aliases USING fts5(name)",
    "table that computes": "ALTER TABLE aliases ADD COLUMN n GENERATED ALWAYS AS (length(name)) VIRTUAL",
    "name to be shown": 'CREATE TABLE "\x1b[2J\n" (text)',
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_copy_that_holds_what_could_run_by_itself_is_refused_unread(database, what):
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(HOSTILE[what])
    with pytest.raises(StorageError, match="holds what no Strongroom database does") as refused:
        inspect_snapshot(database)
    assert refused.value.message.isprintable()


async def test_what_a_schema_would_have_run_does_not_run_in_an_open_store(database):
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(
            "CREATE TRIGGER t AFTER INSERT ON backup_sets BEGIN SELECT file FROM pragma_database_list; END"
        )
    with Store.open(database) as store:
        made = BackupSetRecord(b"1" * 16, b"", BackupSetState.MAKING, 1.0)
        with pytest.raises(StorageError, match="unsafe use"):
            await store.write(lambda tx: tx.insert_backup_set(made))


async def test_what_lies_beside_a_copy_is_not_played_into_it(database, tmp_path):
    copy, wal = tmp_path / "copy.db", tmp_path / "strongroom.db-wal"
    made = snapshot_database(database, copy)
    with Store.open(database) as store:
        first = BackupSetRecord(b"1" * 16, b"", BackupSetState.MAKING, 1.0)
        await store.write(lambda tx: tx.insert_backup_set(first))
        (tmp_path / "copy.db-wal").write_bytes(wal.read_bytes())
        assert inspect_snapshot(copy) == made
