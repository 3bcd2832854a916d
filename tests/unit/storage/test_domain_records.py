"""Records of domains: names are given once, one domain takes the place of another, and counts follow the keys."""

import sqlite3
from contextlib import closing

import pytest

from strongroom.core import KeyState, StorageError
from strongroom.storage import DuplicateError, Store, upgrade_database
from unit.storage import record_makers as make
from unit.storage.test_migration import make_database_of

OLD_ID = "00000000-0000-4000-8000-000000000003"
HEIR_ID = "00000000-0000-4000-8000-000000000002"
DEAD, ALIVE = (f"00000000-0000-4000-8000-00000000000{digit}" for digit in "ab")


@pytest.fixture
async def filled(store):
    """A named domain with a living key and a destroyed one."""
    old = make.domain(domain_id=OLD_ID, kind="dedicated", name="tenant-7", key_count=1)

    def fill(tx):
        tx.insert_domain(old)
        for key_id, state in ((ALIVE, KeyState.ACTIVE), (DEAD, KeyState.DESTROYED)):
            tx.insert_key(make.key(key_id=key_id, state=state, domain_id=OLD_ID))

    await store.write(fill)
    return old


async def replaced(store, old, *, at=7.0):
    def replace(tx):
        tx.insert_domain(make.domain(domain_id=HEIR_ID, kind="dedicated"))
        return tx.replace_domain(tx.get_domain(old.domain_id), HEIR_ID, at)

    return await store.write(replace)


async def test_the_one_in_its_place_has_name_and_keys_of_a_domain(store, filled):
    assert await replaced(store, filled)
    heir, old = store.get_domain(HEIR_ID), store.get_domain(filled.domain_id)
    assert (heir.name, heir.key_count) == ("tenant-7", 1)
    assert (old.name, old.replaced_by, old.replaced_at, old.n_to_move) == (None, HEIR_ID, 7.0, 1)
    assert store.get_named_domain("tenant-7") == heir
    assert store.list_replaced_domains() == [old]
    assert store.find_domain_replaced_by(HEIR_ID) == old


async def test_a_domain_is_replaced_by_one_other(store, filled):
    await replaced(store, filled)

    def again(tx):
        tx.insert_domain(make.domain(domain_id=ALIVE))
        return tx.replace_domain(tx.get_domain(filled.domain_id), ALIVE, 8.0)

    assert not await store.write(again)
    assert store.get_domain(filled.domain_id).replaced_by == HEIR_ID


async def test_a_name_is_given_once(store, filled):
    with pytest.raises(DuplicateError):
        await store.write(lambda tx: tx.insert_domain(make.domain(domain_id=HEIR_ID, name="tenant-7")))


async def test_a_domain_goes_when_no_key_is_in_it_and_the_destroyed_ones_go_over(store, filled):
    await replaced(store, filled)
    assert not await store.write(lambda tx: tx.remove_domain(filled.domain_id, HEIR_ID))

    def move(tx):
        tx.move_key_to_domain(ALIVE, old=tx.get_domain(filled.domain_id), new=tx.get_domain(HEIR_ID))

    await store.write(move)
    assert (store.get_domain(filled.domain_id).key_count, store.get_domain(HEIR_ID).key_count) == (0, 1)
    assert await store.write(lambda tx: tx.remove_domain(filled.domain_id, HEIR_ID))
    assert store.get_key(DEAD).domain_id == store.get_key(ALIVE).domain_id == HEIR_ID


async def test_a_key_that_is_elsewhere_is_not_moved(store, filled):
    with pytest.raises(StorageError, match="not in the domain"):
        await store.write(
            lambda tx: tx.move_key_to_domain(ALIVE, old=make.domain(domain_id=HEIR_ID), new=filled)
        )


async def test_a_blob_is_exchanged_only_while_it_is_what_it_was(store, filled):
    key = store.get_key(ALIVE)
    await store.write(lambda tx: tx.insert_key_version(make.version_of(key)))

    async def exchange(was):
        return await store.write(
            lambda tx: tx.rewrap_key_version(ALIVE, 1, was=was, wrapped=b"under the other")
        )

    assert not await exchange(b"another")
    assert await exchange(b"wrapped KEK")
    assert not await exchange(b"wrapped KEK")
    assert store.get_key_version(ALIVE, 1).wrapped == b"under the other"
    assert store.list_blob_heads(after=("", 0), limit=10) == [(ALIVE, 1, b"under the other")]


async def test_the_head_of_what_is_not_there_is_empty(store, filled):
    key = store.get_key(ALIVE)
    await store.write(lambda tx: tx.insert_key_version(make.version_of(key, wrapped=b"")))
    assert store.list_blob_heads(after=("", 0), limit=10) == [(ALIVE, 1, b"")]


def test_an_upgrade_counts_the_keys_that_are_not_destroyed(tmp_path):
    old = tmp_path / "old.db"
    make_database_of(old, "0010")
    with closing(sqlite3.connect(old)) as connection:
        connection.execute(
            "INSERT INTO roots (root_id, wrap_algorithm, check_kind, check_value, canary, canary_digest, created_at)"
            " VALUES (zeroblob(16), 1, 'CKA_CHECK_VALUE', 'dc95c0', x'01', zeroblob(32), 1.5)"
        )
        connection.execute(
            "INSERT INTO domains VALUES (?, zeroblob(16), 'shard', x'02', 2, 2.5)", (make.DOMAIN_ID,)
        )
        for key_id, state in ((ALIVE, "active"), (DEAD, "destroyed")):
            connection.execute(
                "INSERT INTO keys (key_id, state, description, created_at, domain_id, current_version, material_id)"
                " VALUES (?, ?, '', 3.5, ?, 1, ?)",
                (key_id, state, make.DOMAIN_ID, "ab" * 32),
            )
        connection.commit()
    upgrade_database(old)
    with Store.open(old) as store:
        (domain,) = store.list_domains(after="", limit=10)
        assert (domain.key_count, domain.name, domain.replaced_by, domain.n_to_move) == (1, None, None, 0)
