"""Key policies, grants and access keys: what is stored is found, and every change of them is counted."""

import hashlib
from functools import partial

import pytest

from strongroom.core import StorageError
from strongroom.storage import DuplicateError, GrantRecord, KeyPolicyRecord, Transaction
from unit.storage.record_makers import access_key, key, version_of

GRANTEE = "arn:aws:iam::123456789012:user/app"
RETIRING = "arn:aws:iam::123456789012:user/officer"


def grant(key_id, number=1, **changes):
    digest = hashlib.sha256(b"%d" % number).digest()
    record = GrantRecord(
        f"{number:064x}", key_id, "nightly", GRANTEE, RETIRING, ("Decrypt", "Encrypt"), {"a": "1"}, None, digest,
        "user/officer", 7.5,
    )  # fmt: skip
    return record._replace(**changes)


@pytest.fixture
async def key_id(store):
    made = key()

    def insert(tx):
        tx.insert_key(made)
        tx.insert_key_version(version_of(made))

    await store.write(insert)
    return made.key_id


async def counted(store, work):
    """Do some work, and return by how much the count of changes has grown."""
    before = store.count_access_changes()
    await store.write(work)
    return store.count_access_changes() - before


async def test_the_newest_policy_of_a_key_is_the_one_that_it_has(store, key_id):
    assert store.get_key_policy(key_id) is None
    for document in ("first", "second"):
        record = KeyPolicyRecord(key_id, document, 1.5)
        assert await counted(store, partial(Transaction.put_key_policy, record=record)) == 1
        assert store.get_key_policy(key_id) == record
        assert store.count_key_policies() == 1


async def test_grants_are_found_by_id_key_grantee_and_retiring_principal(store, key_id):
    grants = [grant(key_id, number) for number in range(1, 6)]
    grants[1] = grants[1]._replace(grantee="arn:aws:iam::123456789012:user/other", retiring="")
    grants[2] = grants[2]._replace(context_equals=None, context_subset={"b": "ü"})
    for record in grants:
        assert await counted(store, partial(Transaction.insert_grant, record=record)) == 1
    assert [store.get_grant(record.grant_id) for record in grants] == grants
    assert store.list_grants(key_id, after=None, limit=9) == grants
    assert store.list_grants(key_id, after=grants[1].grant_id, limit=2) == grants[2:4]
    assert store.list_grants(key_id, grantee=GRANTEE, after=None, limit=9) == [grants[0], *grants[2:]]
    assert store.list_retirable_grants(RETIRING, after=grants[0].grant_id, limit=9) == grants[2:]
    assert store.count_grants(key_id) == 5
    assert store.find_same_grant(grants[3]._replace(grant_id="0" * 64)) == grants[3]
    assert store.get_grant("0" * 64) is None


async def test_a_key_has_no_two_grants_that_say_the_same(store, key_id):
    await store.write(partial(Transaction.insert_grant, record=grant(key_id)))
    with pytest.raises(DuplicateError):
        await store.write(partial(Transaction.insert_grant, record=grant(key_id, grant_id="f" * 64)))


async def test_what_is_removed_is_counted_too(store, key_id):
    record = grant(key_id)
    await store.write(partial(Transaction.insert_grant, record=record))
    assert await counted(store, lambda tx: tx.delete_grant(record.grant_id)) == 1
    assert await store.write(lambda tx: tx.delete_grant(record.grant_id)) is False
    await store.write(partial(Transaction.insert_grant, record=record))
    await store.write(lambda tx: tx.put_key_policy(KeyPolicyRecord(key_id, "{}", 1.5)))
    assert await counted(store, lambda tx: tx.delete_access_to(key_id)) == 1
    assert (store.count_grants(key_id), store.count_key_policies()) == (0, 0)


async def test_access_keys_change_their_roles_and_end(store):
    record = access_key()
    name = record.access_key_id
    assert await counted(store, lambda tx: tx.insert_access_key(record)) == 1
    assert await counted(store, lambda tx: tx.set_access_key_active(name, is_active=False)) == 1
    assert await counted(store, lambda tx: tx.set_access_key_roles(name, ("operator",))) == 1
    assert store.list_access_keys() == [record._replace(active=False, roles=("operator",))]
    await store.write(lambda tx: tx.note_access_key_use(name, 8.5))
    assert await counted(store, lambda tx: tx.note_access_key_use(name, 9.5)) == 0
    assert store.list_access_key_uses() == {name: 9.5}
    assert await counted(store, lambda tx: tx.delete_access_key(name)) == 1
    assert (store.list_access_keys(), store.list_access_key_uses()) == ([], {})


@pytest.mark.parametrize(
    "change",
    [
        lambda tx: tx.set_access_key_active("AKIANOBODY", is_active=False),
        lambda tx: tx.set_access_key_roles("AKIANOBODY", ()),
        lambda tx: tx.delete_access_key("AKIANOBODY"),
        lambda tx: tx.note_access_key_use("AKIANOBODY", 1.5),
    ],
)
async def test_an_access_key_that_is_not_there_cannot_be_changed(store, change):
    with pytest.raises(StorageError):
        await store.write(change)
