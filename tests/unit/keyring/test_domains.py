"""Domains fill up one after the other, never beyond their limit, whoever creates keys at the same time."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from strongroom.core import (
    HsmIntegrityError,
    NoMemberError,
    RootId,
    Secret,
    StorageError,
    WrapAlgorithm,
)
from strongroom.envelope import EnvelopeIntegrityError
from strongroom.keyring import CREDENTIALS, MAX_KEYS_IN_DOMAIN, KeyById, MissingRecordError
from strongroom.storage import RootRecord


@pytest.fixture
def limit(monkeypatch):
    monkeypatch.setattr("strongroom.keyring._creation.MAX_KEYS_IN_DOMAIN", 5)
    return 5


def run_sql(bench, statement, **values):
    """Do what somebody with access to the database file can do."""
    with closing(sqlite3.connect(bench.path)) as connection, connection:
        return connection.execute(statement, values).fetchall()


def counts(bench):
    """Keys per domain: as the domain counts them, and as they are."""
    actual = "(SELECT count(*) FROM keys WHERE keys.domain_id = domains.domain_id)"
    statement = f"SELECT key_count, {actual} FROM domains WHERE kind = 'shard' ORDER BY key_count DESC"  # noqa: S608
    return run_sql(bench, statement)


def test_a_domain_holds_at_most_a_thousand_keys():
    assert MAX_KEYS_IN_DOMAIN == 1_000


async def test_a_domain_is_filled_before_the_next_is_made(bench, keyring, limit):
    for number in range(1, 2 * limit + 2):
        await keyring.create_key(f"key {number}")
        full, rest = divmod(number, limit)
        assert counts(bench) == [(limit, limit)] * full + [(rest, rest)] * bool(rest)


async def test_concurrent_creations_share_the_first_domain(bench, keyring, limit):
    await asyncio.gather(*(keyring.create_key(str(number)) for number in range(limit)))
    assert counts(bench) == [(limit, limit)]


async def test_concurrent_creations_in_one_process_never_overfill_a_domain(bench, keyring, limit):
    made = await asyncio.gather(*(keyring.create_key(str(number)) for number in range(4 * limit)))
    assert len({key.key_id for key in made}) == len({key.material_id for key in made}) == 4 * limit
    assert all(count == actual <= limit for count, actual in counts(bench))
    assert sum(actual for _, actual in counts(bench)) == 4 * limit
    for key in made:
        await keyring.encrypt(KeyById(key.key_id), Secret(b"data"), {})


async def test_concurrent_creations_in_several_processes_never_overfill_a_domain(bench, keyring, limit):
    keyrings = [keyring, bench.open_keyring(), bench.open_keyring()]
    await asyncio.gather(*(keyrings[number % 3].create_key(str(number)) for number in range(3 * limit)))
    assert all(count == actual <= limit for count, actual in counts(bench))
    assert sum(actual for _, actual in counts(bench)) == 3 * limit


async def test_more_creations_at_once_than_tries_help_fail_cleanly(bench, keyring, monkeypatch):
    monkeypatch.setattr("strongroom.keyring._creation.MAX_KEYS_IN_DOMAIN", 1)
    made = await asyncio.gather(*(keyring.create_key("x") for _ in range(20)), return_exceptions=True)
    failed = [answer for answer in made if isinstance(answer, BaseException)]
    assert {type(failure) for failure in failed} <= {StorageError}
    assert all(count == actual <= 1 for count, actual in counts(bench))
    assert sum(actual for _, actual in counts(bench)) == len(made) - len(failed) >= 1


async def test_keys_never_go_into_the_domain_of_credentials(bench, keyring):
    store = bench.stores[0]
    credentials = await keyring.ciphers.new_domain(RootId(bench.root_id), CREDENTIALS)
    await store.write(lambda tx: tx.insert_domain(credentials))
    made = await keyring.create_key("for tests")
    assert store.get_key(made.key_id).domain_id != credentials.domain_id


async def test_no_key_is_left_half_made_when_the_hsm_fails(bench, keyring):
    bench.cluster.is_down = True
    with pytest.raises(NoMemberError):
        await keyring.create_key("for tests")
    assert counts(bench) == []
    assert keyring.list_keys(limit=10, after=None).keys == ()


async def test_every_key_has_material_of_its_own(bench, keyring):
    made = [await keyring.create_key("for tests") for _ in range(5)]
    store = bench.stores[0]
    wrapped = {store.get_key_version(key.key_id, 1).wrapped for key in made}
    assert len(wrapped) == len({key.material_id for key in made}) == 5


async def test_a_kek_moved_to_another_key_does_not_open(bench, keyring):
    """Whoever can write to the database cannot have data encrypted under a key that they know better."""
    mine, theirs = [(await keyring.create_key("for tests")).key_id for _ in range(2)]
    run_sql(
        bench,
        "UPDATE key_versions SET wrapped = (SELECT wrapped FROM key_versions WHERE key_id = :mine) WHERE key_id = :theirs",
        mine=mine, theirs=theirs,
    )  # fmt: skip
    with pytest.raises(EnvelopeIntegrityError):
        await bench.open_keyring().encrypt(KeyById(theirs), Secret(b"data"), {})


async def test_a_domain_kek_moved_to_another_domain_does_not_open(bench, keyring, monkeypatch):
    monkeypatch.setattr("strongroom.keyring._creation.MAX_KEYS_IN_DOMAIN", 1)
    mine, theirs = [(await keyring.create_key("for tests")).key_id for _ in range(2)]
    run_sql(
        bench,
        "UPDATE domains SET wrapped = (SELECT d.wrapped FROM domains d JOIN keys USING (domain_id) WHERE key_id = :mine)",
        mine=mine,
    )
    fresh = bench.open_keyring()
    await fresh.encrypt(KeyById(mine), Secret(b"data"), {})
    with pytest.raises(HsmIntegrityError):
        await fresh.encrypt(KeyById(theirs), Secret(b"data"), {})


async def test_a_domain_is_not_kept_that_was_wrapped_by_another_algorithm_than_its_root_s(bench, keyring):
    """Its AAD names the root's algorithm: nobody could ever open it again."""
    root_id = RootId(bytes(16))
    root = RootRecord(root_id, int(WrapAlgorithm.HSM_AES_CBC_HMAC), "x", "00", b"canary", bytes(32), 2.0)
    bench.cluster.hsm.generate_root(root_id, "root")
    await bench.stores[0].write(lambda tx: tx.insert_root(root))
    with pytest.raises(HsmIntegrityError, match="another algorithm"):
        await keyring.ciphers.new_domain(root_id, CREDENTIALS)


async def test_a_domain_needs_a_root_that_is_known(keyring):
    with pytest.raises(MissingRecordError, match="root"):
        await keyring.ciphers.new_domain(RootId(b"\7" * 16), CREDENTIALS)
