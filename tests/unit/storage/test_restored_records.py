"""What a restored database forgets of the HSMs that are gone, and what of backups it keeps."""

from strongroom.core import TransportKind
from strongroom.storage import (
    BackupRecord,
    BackupSetRecord,
    BackupSetState,
    BackupState,
    BackupTransportRecord,
    TransportKeyRecord,
)
from unit.storage.record_makers import member

SETS = [bytes([number] * 16) for number in range(3)]


async def test_sets_of_lost_members_end_and_their_backups_are_not_condemned(store):
    for set_id in SETS:
        record = BackupSetRecord(set_id, b"", BackupSetState.MAKING, 1.0)
        await store.write(lambda tx, record=record: tx.insert_backup_set(record))
    for set_id in SETS[:2]:
        await store.write(lambda tx, set_id=set_id: tx.activate_backup_set(set_id, b"{}", at=2.0, holders=()))
    await store.write(lambda tx: tx.retire_backup_set(SETS[0], at=3.0))
    backup = BackupRecord("one", SETS[1], 2.5, "0" * 64, "/b", BackupState.PRESENT, None, 7)
    await store.write(lambda tx: tx.insert_backup(backup))
    assert await store.write(lambda tx: tx.end_backup_sets_of_lost_members(at=4.0)) == 1
    ended = {one.set_id: (one.state, one.ended_at) for one in store.list_backup_sets()}
    assert ended == {
        SETS[0]: (BackupSetState.RETIRED, 3.0),
        SETS[1]: (BackupSetState.RETIRED, 4.0),
        SETS[2]: (BackupSetState.ABANDONED, 4.0),
    }
    assert store.list_backups(limit=5) == [backup]
    assert await store.write(lambda tx: tx.end_backup_sets_of_lost_members(at=5.0)) == 0


async def test_every_member_is_forgotten_with_what_was_known_of_it(store):
    set_record = BackupSetRecord(SETS[1], b"", BackupSetState.MAKING, 1.0)
    backup_transport = BackupTransportRecord(bytes(16), SETS[1], "hsm-1", TransportKind.AES, 4233, 1.5)
    transport = TransportKeyRecord(bytes([7] * 16), "hsm-1", TransportKind.AES, 4233, 1.5)

    def fill(tx):
        tx.insert_member(member())
        tx.insert_transport_key(transport)
        tx.insert_backup_set(set_record)
        tx.insert_backup_transport_key(backup_transport)

    await store.write(fill)
    await store.write(lambda tx: tx.forget_all_members())
    assert (store.list_members(), store.list_transport_keys(), store.list_backup_transport_keys()) == (
        [],
        [],
        [],
    )
    assert store.list_backup_sets() == [set_record]
    await store.write(lambda tx: tx.insert_member(member(name="new")))  # in the place that is free now
