"""Custom key stores: what is stored comes back; and Direct keys that no version names are found."""

import pytest

from strongroom.core import HsmKeyId, KeySpec, KeyState, KeyUsage, StorageError
from strongroom.storage import DuplicateError, HsmKeyRecord, HsmKeyState, KeyStoreRecord
from unit.storage import record_makers as make

STORE = KeyStoreRecord("cks-0123456789abcdef0", "hsm", "cluster-strongroomhsms", False, 1.5)


def hsm_key(number, made_for, state=HsmKeyState.ACTIVE):
    key_id = HsmKeyId(bytes([number]) * 16)
    destroyed_at = 2.5 if state is HsmKeyState.DESTROYED else None
    return HsmKeyRecord(
        key_id,
        KeySpec.AES_256,
        KeyUsage.ENCRYPT_DECRYPT,
        "k",
        True,
        state,
        b"",
        1.5,
        destroyed_at,
        None,
        made_for,
    )


async def test_a_store_is_made_changed_found_and_deleted(store):
    await store.write(lambda tx: tx.insert_key_store(STORE))
    assert store.get_key_store(STORE.store_id) == store.find_key_store("hsm") == STORE
    changed = STORE._replace(name="other", cluster_id="cluster-strongroomnext", is_connected=True)
    await store.write(lambda tx: tx.change_key_store(changed))
    assert store.list_key_stores(after=None, limit=10) == [changed]
    assert store.find_key_store("hsm") is None
    await store.write(lambda tx: tx.delete_key_store(STORE.store_id))
    assert store.get_key_store(STORE.store_id) is None
    for work in (lambda tx: tx.change_key_store(changed), lambda tx: tx.delete_key_store(STORE.store_id)):
        with pytest.raises(StorageError, match="no such custom key store"):
            await store.write(work)


async def test_stores_are_listed_in_the_order_of_their_ids_page_by_page(store):
    made = [STORE._replace(store_id=f"cks-{number:017x}", name=str(number)) for number in (3, 1, 2)]
    for record in made:
        await store.write(lambda tx, record=record: tx.insert_key_store(record))
    first = store.list_key_stores(after=None, limit=2)
    assert first + store.list_key_stores(after=first[-1].store_id, limit=2) == sorted(made)


async def test_no_two_stores_have_one_name(store):
    await store.write(lambda tx: tx.insert_key_store(STORE))
    other = STORE._replace(store_id="cks-00000000000000001")
    with pytest.raises(DuplicateError):
        await store.write(lambda tx: tx.insert_key_store(other))
    await store.write(lambda tx: tx.insert_key_store(other._replace(name="two")))
    with pytest.raises(DuplicateError):
        await store.write(lambda tx: tx.change_key_store(other))


@pytest.mark.parametrize("changes", [{"store_id": "cks-1"}, {"name": ""}, {"cluster_id": "cluster-x"}])
async def test_what_breaks_a_rule_is_refused(store, changes):
    with pytest.raises(StorageError, match="rule of the schema"):
        await store.write(lambda tx: tx.insert_key_store(STORE._replace(**changes)))


async def test_the_keys_of_a_store_are_counted_until_they_are_destroyed(store):
    record = make.key(store_id=STORE.store_id)
    await store.write(lambda tx: make.insert_whole_key(tx, record))
    assert store.count_keys_in_store(STORE.store_id) == 1
    assert store.count_keys_in_store("cks-00000000000000001") == 0
    await store.write(lambda tx: tx.change_key(record._replace(state=KeyState.DESTROYED)))
    assert store.count_keys_in_store(STORE.store_id) == 0


async def test_active_direct_keys_that_no_version_names_are_found_and_no_others(store):
    claimed, unclaimed = hsm_key(1, "a/1"), hsm_key(2, "b/1")
    others = [
        hsm_key(3, ""),
        hsm_key(4, "c/1", HsmKeyState.PENDING),
        hsm_key(5, "d/1", HsmKeyState.DESTROYED),
    ]

    def insert(tx):
        for one in (claimed, unclaimed, *others):
            tx.insert_hsm_key(one)
        record = make.key()
        tx.insert_key(record)
        tx.insert_key_version(make.version_of(record, wrapped=b"", hsm_key_id=claimed.key_id))

    await store.write(insert)
    assert store.list_unclaimed_hsm_keys() == [unclaimed]
    assert store.find_hsm_key_made_for("b/1") == unclaimed
    assert store.find_hsm_key_made_for("d/1") is None
    assert store.count_hsm_keys() == 4
