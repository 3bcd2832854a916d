"""What may change of a key changes alone; what is destroyed is gone from lists, tables and the file."""

import sqlite3

import pytest

from strongroom.core import KeyOrigin, KeyState, KeyUsage, ManagedKeySpec, StorageError, VersionMadeBy
from unit.storage import record_makers as make

NOBODY = "00000000-0000-4000-8000-00000000dead"


async def test_a_key_changes_what_may_change_and_nothing_else(store):
    record, other = await make.insert_keys(store, 2)
    changed = record._replace(
        state=KeyState.SUSPENDED,
        description="other",
        destroy_at=99.5,
        current_version=7,
        material_id="00" * 32,
        rotation_days=90,
        rotate_at=99.5,
    )
    forged = changed._replace(
        created_at=0.0, spec=ManagedKeySpec.RSA_2048, usage=KeyUsage.SIGN_VERIFY, origin=KeyOrigin.EXTERNAL
    )
    await store.write(lambda transaction: transaction.change_key(forged))
    assert store.get_key(record.key_id) == changed
    assert store.get_key(other.key_id) == other


async def test_keys_are_due_once_their_date_has_come_the_oldest_first(store):
    records = await make.insert_keys(store, 5)
    dates = (40.0, 20.0, None, 30.0, 10.0)

    def work(transaction):
        for record, date in zip(records, dates, strict=True):
            transaction.change_key(record._replace(state=KeyState.SUSPENDED, destroy_at=date))
        transaction.change_key(records[4]._replace(state=KeyState.DESTROYED, destroy_at=10.0))

    await store.write(work)
    assert [due.destroy_at for due in store.list_keys_due(30.0, limit=10)] == [20.0, 30.0]
    assert [due.destroy_at for due in store.list_keys_due(99.0, limit=2)] == [20.0, 30.0]
    assert store.list_keys_due(19.9, limit=10) == []


async def test_a_destroyed_key_is_on_no_list_but_its_record_stays(store):
    records = await make.insert_keys(store, 3)
    gone = records[1]._replace(state=KeyState.DESTROYED, destroy_at=1.0)
    await store.write(lambda transaction: transaction.change_key(gone))
    assert store.list_keys(after=None, limit=10) == [records[0], records[2]]
    assert store.list_keys(after=records[0].key_id, limit=10) == [records[2]]
    assert store.get_key(gone.key_id) == gone


async def test_material_and_aliases_go_without_those_of_other_keys(store):
    first, second = await make.insert_keys(store, 2)

    def work(transaction):
        for number, record in enumerate((first, first, second)):
            transaction.insert_alias(make.alias(record.key_id, name=f"alias/{number}"))
        assert transaction.count_aliases(first.key_id) == 2
        return [
            transaction.delete_material(first.key_id),
            transaction.delete_material(first.key_id),
            transaction.delete_aliases_of(first.key_id),
        ]

    assert await store.write(work) == [1, 0, 2]
    assert store.get_key_version(first.key_id, 1) is None
    assert store.get_key_version(second.key_id, 1) is not None
    assert [alias.name for alias in store.list_aliases(key_id=None, after=None, limit=9)] == ["alias/2"]
    assert (store.count_aliases(first.key_id), store.count_aliases(second.key_id)) == (0, 1)


async def test_an_alias_moves_and_goes(store):
    first, second = await make.insert_keys(store, 2)
    alias = make.alias(first.key_id)

    def work(transaction):
        transaction.insert_alias(alias)
        transaction.move_alias(alias.name, second.key_id, 77.5)

    await store.write(work)
    assert store.get_alias(alias.name) == alias._replace(key_id=second.key_id, updated_at=77.5)
    with pytest.raises(StorageError, match="rule of the schema"):
        await store.write(lambda transaction: transaction.move_alias(alias.name, NOBODY, 78.5))
    await store.write(lambda transaction: transaction.delete_alias(alias.name))
    assert store.get_alias(alias.name) is None


async def test_tags_are_put_replaced_listed_in_pages_and_deleted(store):
    first, second = await make.insert_keys(store, 2)
    tags = [make.tag(first.key_id, name=f"tag {number}") for number in range(5)]

    def put(transaction):
        for tag in reversed(tags):
            transaction.put_tag(tag)
        transaction.put_tag(make.tag(second.key_id))

    await store.write(put)
    assert store.list_tags(first.key_id, after=None, limit=3) == tags[:3]
    assert store.list_tags(first.key_id, after="tag 2", limit=3) == tags[3:]
    assert (store.count_tags(first.key_id), store.count_tags(second.key_id)) == (5, 1)

    def change(transaction):
        transaction.put_tag(tags[0]._replace(value="ß" * 256))
        transaction.delete_tag(first.key_id, "tag 1")
        transaction.delete_tag(first.key_id, "never was")

    await store.write(change)
    values = [tag.value for tag in store.list_tags(first.key_id, after=None, limit=9)]
    assert values == ["ß" * 256, *(tag.value for tag in tags[2:])]
    assert store.list_tags(second.key_id, after=None, limit=9) == [make.tag(second.key_id)]


async def test_deleted_material_is_overwritten_in_the_file(store, path):
    record = make.key()
    material = b"wrapped material that must go" * 20

    def insert(transaction):
        transaction.insert_key(record)
        transaction.insert_key_version(make.version_of(record, wrapped=material))

    def checkpoint():
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return path.read_bytes()

    await store.write(insert)
    assert material in checkpoint()
    await store.write(lambda transaction: transaction.delete_material(record.key_id))
    assert material[:40] not in checkpoint()


async def test_what_is_known_of_a_key_and_of_its_versions_is_read_back(store):
    record = make.key(
        state=KeyState.PENDING_IMPORT,
        spec=ManagedKeySpec.ECC_NIST_P256,
        usage=KeyUsage.KEY_AGREEMENT,
        origin=KeyOrigin.AWS_CLOUDHSM,
        store_id="cks-0123456789abcdef0",
        rotation_days=365,
        rotate_at=7.5,
    )
    version = make.version_of(
        record,
        wrapped=b"",
        public_key=b"spki",
        hsm_key_id=bytes(range(16)),
        made_by=VersionMadeBy.ON_DEMAND,
        expires_at=8.5,
    )

    def work(transaction):
        transaction.insert_key(record)
        transaction.insert_key_version(version)

    await store.write(work)
    assert store.get_key(record.key_id) == record
    assert store.get_key_version(record.key_id, 1) == version
