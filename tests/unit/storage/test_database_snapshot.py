"""A copy of the database is of one moment, whole, and its damage is seen."""

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
