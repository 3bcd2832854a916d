"""Backups in the database: one set is made active once, with its custodians; what is over stays over."""

import pytest

from strongroom.core import StorageError, TransportKind
from strongroom.storage import (
    BackupRecord,
    BackupSetRecord,
    BackupSetState,
    BackupState,
    BackupTransportRecord,
    CeremonyRecord,
    CustodianRecord,
    DuplicateError,
)

SET, OTHER = bytes(range(16)), bytes(16)


def backup_set(set_id=SET, **changes):
    return BackupSetRecord(set_id, b"", BackupSetState.MAKING, 1.0)._replace(**changes)


def transport(number=1, **changes):
    record = BackupTransportRecord(bytes([number] * 16), SET, "alpha", TransportKind.AES, 4233, 1.5)
    return record._replace(**changes)


def backup(number=1, **changes):
    record = BackupRecord(
        f"backup-{number}", SET, float(number), f"{number:064x}", "/b", BackupState.PRESENT, None, 7
    )
    return record._replace(**changes)


async def activate(store, set_id=SET, *, at=2.0, holders=("anna", "ben")):
    await store.write(lambda tx: tx.insert_backup_set(backup_set(set_id)))
    await store.write(lambda tx: tx.activate_backup_set(set_id, b"{}", at=at, holders=holders))


async def test_a_set_that_is_being_made_becomes_active_with_its_document_and_custodians(store):
    await store.write(lambda tx: tx.insert_backup_set(backup_set()))
    assert store.get_backup_set(SET) == backup_set()
    assert store.get_active_backup_set() is None
    await store.write(lambda tx: tx.activate_backup_set(SET, b"{}", at=2.0, holders=("ben", "anna")))
    whole = backup_set(document=b"{}", state=BackupSetState.ACTIVE, activated_at=2.0)
    assert store.get_active_backup_set() == store.get_backup_set(SET) == whole
    assert store.list_custodians(SET) == [
        CustodianRecord(SET, "anna", proved_at=2.0),
        CustodianRecord(SET, "ben", proved_at=2.0),
    ]
    with pytest.raises(StorageError, match="is being made"):
        await store.write(lambda tx: tx.activate_backup_set(SET, b"[]", at=3.0, holders=()))
    assert store.get_backup_set(SET) == whole


async def test_of_two_active_sets_the_one_activated_last_takes_new_backups(store):
    await activate(store, OTHER, at=5.0)
    await activate(store, SET, at=6.0)
    assert store.get_active_backup_set().set_id == SET
    assert {record.set_id for record in store.list_backup_sets()} == {SET, OTHER}


async def test_a_set_given_up_is_never_active(store):
    await store.write(lambda tx: tx.insert_backup_set(backup_set()))
    assert await store.write(lambda tx: tx.abandon_backup_set(SET, at=3.0))
    assert not await store.write(lambda tx: tx.abandon_backup_set(SET, at=4.0))
    assert not await store.write(lambda tx: tx.retire_backup_set(SET, at=4.0))
    with pytest.raises(StorageError, match="is being made"):
        await store.write(lambda tx: tx.activate_backup_set(SET, b"{}", at=3.0, holders=()))
    assert store.get_backup_set(SET) == backup_set(state=BackupSetState.ABANDONED, ended_at=3.0)


async def test_retiring_a_set_condemns_its_backups_and_no_others(store):
    await activate(store, OTHER)
    await activate(store)
    mine, gone, others = backup(1), backup(2), backup(3, set_id=OTHER)
    for record in (mine, gone, others):
        await store.write(lambda tx, record=record: tx.insert_backup(record))
    assert await store.write(lambda tx: tx.note_backup_destroyed(gone.backup_id, at=8.0))
    assert await store.write(lambda tx: tx.retire_backup_set(SET, at=9.0))
    assert store.list_backups(state=BackupState.TO_DESTROY, limit=9) == [
        mine._replace(state=BackupState.TO_DESTROY)
    ]
    assert store.get_backup(others.backup_id) == others
    assert store.get_backup(gone.backup_id).ended_at == 8.0
    assert store.get_active_backup_set().set_id == OTHER


async def test_backups_are_found_by_id_by_hash_and_newest_first(store):
    await activate(store)
    records = [backup(number) for number in range(1, 5)]
    for record in records:
        await store.write(lambda tx, record=record: tx.insert_backup(record))
    assert store.list_backups(set_id=SET, limit=2) == records[:1:-1]
    assert store.list_backups(set_id=OTHER, limit=2) == []
    assert store.find_backup(records[0].sha256) == records[0]
    assert store.find_backup("f" * 64) is None
    assert await store.write(lambda tx: tx.note_backup_verified("backup-1", at=3.0))
    assert not await store.write(lambda tx: tx.note_backup_verified("backup-9", at=3.0))
    assert store.get_backup("backup-1").verified_at == 3.0
    with pytest.raises(DuplicateError):
        await store.write(lambda tx: tx.insert_backup(records[0]))


async def test_a_backup_is_destroyed_once(store):
    await activate(store)
    await store.write(lambda tx: tx.insert_backup(backup()))
    assert await store.write(lambda tx: tx.note_backup_destroyed("backup-1", at=3.0))
    assert not await store.write(lambda tx: tx.note_backup_destroyed("backup-1", at=4.0))
    assert store.get_backup("backup-1") == backup(state=BackupState.DESTROYED, ended_at=3.0)


async def test_transport_keys_of_sets_are_known_until_they_are_forgotten(store):
    await store.write(lambda tx: tx.insert_backup_set(backup_set()))
    records = [transport(), transport(2, member="beta"), transport(3, kind=TransportKind.MAC)]
    for record in records:
        await store.write(lambda tx, record=record: tx.insert_backup_transport_key(record))
    assert store.list_backup_transport_keys(SET) == [records[0], records[2], records[1]]
    assert store.list_backup_transport_keys() == store.list_backup_transport_keys(SET)
    assert store.list_backup_transport_keys(OTHER) == []
    with pytest.raises(DuplicateError):
        await store.write(lambda tx: tx.insert_backup_transport_key(transport(4)))
    await store.write(lambda tx: tx.forget_backup_transport_keys(SET))
    assert store.list_backup_transport_keys() == []


@pytest.mark.parametrize(
    "record",
    [
        backup_set(b"short"),
        backup_set(document=b"{}"),
        backup_set(state=BackupSetState.ACTIVE, activated_at=1.0),
        backup_set(state=BackupSetState.ACTIVE, document=b"{}"),
        backup_set(state=BackupSetState.RETIRED, document=b"{}", activated_at=1.0),
        backup_set(ended_at=1.0),
        backup_set(state=BackupSetState.ACTIVE, document=b"d" * 262145, activated_at=1.0),
    ],
)
async def test_a_set_that_breaks_a_rule_is_refused(store, record):
    with pytest.raises(StorageError, match="rule of the schema"):
        await store.write(lambda tx: tx.insert_backup_set(record))


@pytest.mark.parametrize("changes", [{"sha256": ""}, {"location": ""}, {"size": 0}, {"set_id": OTHER}])
async def test_a_backup_that_breaks_a_rule_is_refused(store, changes):
    await activate(store)
    with pytest.raises(StorageError, match="rule of the schema"):
        await store.write(lambda tx: tx.insert_backup(backup(**changes)))


async def test_a_ceremony_ends_once_and_a_rehearsal_is_nobodys_predecessor(store):
    real = CeremonyRecord("c-1", "root-key", 1.0)
    rehearsal = CeremonyRecord("c-2", "root-key", 2.0, rehearsal=True)
    for record in (real, rehearsal):
        await store.write(lambda tx, record=record: tx.insert_ceremony(record))
    assert store.get_last_ceremony() is None
    for number, name in enumerate(("c-1", "c-2"), start=3):

        def end(tx, name=name, number=number):
            return tx.end_ceremony(name, transcript_sha256=f"{number:064x}", at=float(number))

        assert await store.write(end)
        assert not await store.write(end)
    assert store.get_last_ceremony() == real._replace(ended_at=3.0, transcript_sha256=f"{3:064x}")
    assert [record.ceremony_id for record in store.list_ceremonies(limit=9)] == ["c-2", "c-1"]
    assert store.get_ceremony("c-2").rehearsal is True
    assert store.get_ceremony("c-9") is None
    with pytest.raises(DuplicateError):
        await store.write(lambda tx: tx.insert_ceremony(real))
    with pytest.raises(StorageError, match="rule of the schema"):
        await store.write(lambda tx: tx.insert_ceremony(real._replace(ceremony_id="c-4", ended_at=1.0)))
