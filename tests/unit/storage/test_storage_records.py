"""Records come back as they went in, pages go on where they ended, and the schema refuses what is wrong."""

import sqlite3
import uuid

import pytest

from strongroom.core import KeyState, StorageError
from strongroom.storage import DuplicateError, ReadOnlyStore
from unit.storage import record_makers as make


async def test_every_record_comes_back_as_it_went_in(store):
    key = make.key(description="Schlüssel 🔑", state=KeyState.SUSPENDED)
    alias, access_key, member = make.alias(key.key_id), make.access_key(), make.member()

    def work(transaction):
        make.insert_whole_key(transaction, key)
        transaction.insert_alias(alias)
        transaction.insert_access_key(access_key)
        transaction.insert_member(member)
        assert transaction.get_key(key.key_id) == key

    await store.write(work)
    assert store.get_key(key.key_id) == key
    assert isinstance(store.get_key(key.key_id).state, KeyState)
    assert store.get_key_version(key.key_id, 1) == make.version_of(key)
    assert store.get_alias(alias.name) == alias
    assert store.list_access_keys() == [access_key]
    assert store.list_members() == [member]
    assert store.list_roots() == [make.root()]
    assert store.get_domain(make.DOMAIN_ID) == make.domain(key_count=1)


async def test_what_is_not_there_is_none(store):
    absent = str(uuid.uuid4())
    assert store.get_key(absent) is None
    assert store.get_key_version(absent, 1) is None
    assert store.get_alias("alias/none") is None
    assert store.get_domain(absent) is None
    assert store.find_open_domain("dedicated", 1000) is None


async def test_pages_of_keys_join_without_gap_or_overlap(store):
    records = await make.insert_keys(store, 7)
    seen, after = [], None
    while page := store.list_keys(after=after, limit=3):
        seen += page
        after = page[-1].key_id
    assert seen == records


async def test_aliases_are_listed_of_one_key_or_of_all_in_pages(store):
    first, second = await make.insert_keys(store, 2)
    aliases = [make.alias((first, second)[number % 2].key_id, name=f"alias/{number}") for number in range(6)]

    def work(transaction):
        for alias in aliases:
            transaction.insert_alias(alias)

    await store.write(work)
    assert store.list_aliases(key_id=None, after=None, limit=100) == aliases
    assert store.list_aliases(key_id=None, after="alias/2", limit=2) == aliases[3:5]
    assert store.list_aliases(key_id=first.key_id, after=None, limit=2) == aliases[0:4:2]
    assert store.list_aliases(key_id=first.key_id, after="alias/2", limit=2) == [aliases[4]]


async def test_the_fullest_domain_with_room_is_found(store):
    ids = [str(uuid.uuid4()) for _ in range(3)]

    def work(transaction):
        for domain_id, count in zip(ids, (998, 1000, 5), strict=True):
            transaction.insert_domain(make.domain(domain_id=domain_id, key_count=count))
        found = [transaction.find_open_domain("shard", 1000).domain_id]
        for _ in range(2):
            transaction.count_key_in_domain(ids[0])
            found.append(transaction.find_open_domain("shard", 1000).domain_id)
        return found

    assert await store.write(work) == [ids[0], ids[0], ids[2]]
    assert store.get_domain(ids[0]).key_count == 1000


async def test_a_key_changes_its_state(store):
    (record,) = await make.insert_keys(store, 1)
    suspended = record._replace(state=KeyState.SUSPENDED)
    await store.write(lambda transaction: transaction.change_key(suspended))
    assert store.get_key(record.key_id) == suspended


async def test_changing_what_is_not_there_is_an_error(store):
    absent = str(uuid.uuid4())
    with pytest.raises(StorageError, match="no key has the id"):
        await store.write(lambda transaction: transaction.change_key(make.key()))
    with pytest.raises(StorageError, match="no alias has the name"):
        await store.write(lambda transaction: transaction.move_alias("alias/none", absent, 1.0))
    with pytest.raises(StorageError, match="no alias has the name"):
        await store.write(lambda transaction: transaction.delete_alias("alias/none"))
    with pytest.raises(StorageError, match="no domain has the id"):
        await store.write(lambda transaction: transaction.count_key_in_domain(absent))


async def test_taken_names_raise_duplicate_and_change_nothing(store):
    first, second = await make.insert_keys(store, 2)
    await store.write(lambda transaction: transaction.insert_alias(make.alias(first.key_id)))
    with pytest.raises(DuplicateError):
        await store.write(lambda transaction: transaction.insert_alias(make.alias(second.key_id)))
    with pytest.raises(DuplicateError):
        await store.write(lambda transaction: transaction.insert_key(first))
    with pytest.raises(DuplicateError):
        await store.write(lambda transaction: transaction.insert_key_version(make.version_of(first)))
    assert store.get_alias("alias/invoices").key_id == first.key_id


async def test_work_may_catch_a_duplicate_and_go_on(store):
    (record,) = await make.insert_keys(store, 1)

    def work(transaction):
        with pytest.raises(DuplicateError):
            transaction.insert_key(record)
        transaction.insert_alias(make.alias(record.key_id))

    await store.write(work)
    assert store.get_alias("alias/invoices") is not None


NOBODY = "00000000-0000-4000-8000-00000000dead"
KEY = make.key()


@pytest.mark.parametrize(
    ("insert", "record"),
    [
        ("insert_root", make.root(root_id=bytes(15))),
        ("insert_root", make.root(root_id=bytes(16), canary_digest=bytes(31))),
        ("insert_root", make.root(root_id=bytes(16), canary=bytes(6145))),
        ("insert_domain", make.domain(domain_id=NOBODY, kind="other")),
        ("insert_domain", make.domain(domain_id=NOBODY, root_id=bytes(16))),
        ("insert_domain", make.domain(domain_id=NOBODY, key_count=-1)),
        ("insert_domain", make.domain(domain_id="short")),
        ("insert_key", make.key(domain_id=NOBODY)),
        ("insert_key", make.key(state="lost")),
        ("insert_key", make.key(state=KeyState.ACTIVE, destroy_at=7.5)),
        ("insert_key", make.key(current_version=0)),
        ("insert_key", make.key(material_id="ab")),
        ("insert_key", make.key(description=None)),
        ("insert_key", make.key(description="d" * 8193)),
        ("insert_key_version", make.version_of(make.key())),
        ("insert_alias", make.alias(NOBODY)),
        ("put_tag", make.tag(NOBODY)),
        ("put_tag", make.tag(NOBODY, name="")),
        ("put_tag", make.tag(NOBODY, name="n" * 129)),
        ("put_tag", make.tag(NOBODY, value="v" * 257)),
        ("insert_access_key", make.access_key(wrapped_secret=b"")),
        ("insert_member", make.member(position=-1)),
    ],
)
async def test_records_that_break_a_rule_are_refused(store, insert, record):
    with pytest.raises(StorageError, match="rule of the schema") as caught:
        await store.write(lambda transaction: getattr(transaction, insert)(record))
    assert not isinstance(caught.value, DuplicateError)


async def test_errors_do_not_show_the_values_of_a_record(store):
    with pytest.raises(StorageError) as caught:
        await store.write(
            lambda transaction: transaction.insert_key(
                make.key(material_id="the-value", description="the-value")
            )
        )
    assert "the-value" not in f"{caught.value} {caught.value.__cause__}"


async def test_reads_and_writes_on_a_read_only_store_do_not_change_it(path):
    with ReadOnlyStore.open(path) as looking:
        assert looking.list_keys(after=None, limit=10) == []
        assert not hasattr(looking, "write")
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            looking._connection.connection.dbapi_connection.execute("DELETE FROM keys")
