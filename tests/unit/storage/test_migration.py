"""Creating never overwrites, opening never creates, and what cannot be opened says what to do."""

import asyncio
import re
import sqlite3
import stat
from contextlib import closing

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from strongroom.core import KeyState, StorageError
from strongroom.storage import ReadOnlyStore, Store, create_database, upgrade_database
from strongroom.storage._schema import REVISIONS, metadata
from strongroom.storage._sqlite import make_empty_file, migrating_engine
from unit.storage import record_makers as make

OPENERS = [Store.open, ReadOnlyStore.open, upgrade_database]


def schema_of(database):
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE name <> 'alembic_version' AND sql IS NOT NULL"
        )
        return {name: statement_of(sql) for name, sql in rows}


def statement_of(sql):
    """Return the statement as its parts in one order: a table that Alembic copied has its CHECKs in any."""
    head, _, parts = sql.replace('"', "").partition("(\n")
    separate = re.split(r",\s|\n", parts)  # columns that came later stand on one line
    return " ".join(head.split()), sorted(part.strip(" \t\n,)") for part in separate if part.strip(" \t\n,)"))


def execute(database, statement):
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(statement)


def test_a_new_database_is_private_complete_and_alone_in_its_folder(path):
    assert [entry.name for entry in path.parent.iterdir()] == ["strongroom.db"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_the_migrations_make_the_schema_that_the_queries_see(path, tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path / 'declared.db'}")
    metadata.create_all(engine)
    engine.dispose()
    assert schema_of(path) == schema_of(tmp_path / "declared.db")


def test_the_known_revisions_are_those_that_are_shipped():
    config = Config()
    config.set_main_option("script_location", "strongroom.storage:migrations")
    config.set_main_option("path_separator", "os")
    shipped = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(shipped)) == REVISIONS


def make_database_of(path, revision):
    """Make a database as the software of that revision did."""
    make_empty_file(path)
    config = Config()
    config.set_main_option("script_location", "strongroom.storage:migrations")
    config.set_main_option("path_separator", "os")
    engine = migrating_engine(path)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


OLD_KEY = "00000000-0000-4000-8000-00000000000a"
OLD_RECORDS = """
INSERT INTO roots VALUES (zeroblob(16), 1, 'CKA_CHECK_VALUE', 'dc95c0', x'01', zeroblob(32), 1.5);
INSERT INTO domains VALUES ('{domain}', zeroblob(16), 'shard', x'02', 1, 2.5);
INSERT INTO keys VALUES ('{key}', 'suspended', 'old', 3.5, '{domain}', 1, '{material}');
INSERT INTO key_versions VALUES ('{key}', 1, '{material}', x'03', 3.5);
INSERT INTO aliases VALUES ('alias/old', '{key}', 4.5, 4.5);
""".format(key=OLD_KEY, domain=make.DOMAIN_ID, material="ab" * 32)


def test_a_database_of_the_first_revision_keeps_its_keys_when_it_is_upgraded(path, tmp_path):
    old = tmp_path / "old.db"
    make_database_of(old, "0001")
    with closing(sqlite3.connect(old)) as connection:
        connection.executescript(OLD_RECORDS)
    with pytest.raises(StorageError, match="older Strongroom"):
        Store.open(old)
    upgrade_database(old)
    assert schema_of(old) == schema_of(path)
    with Store.open(old) as store:
        (key,) = store.list_keys(after=None, limit=10)
        assert key == make.key(
            key_id=OLD_KEY, state=KeyState.SUSPENDED, description="old", material_id="ab" * 32
        )
        assert store.get_key_version(OLD_KEY, 1).wrapped == b"\x03"
        assert store.get_alias("alias/old").key_id == OLD_KEY
        with pytest.raises(StorageError, match="rule of the schema"):
            asyncio.run(store.write(lambda tx: tx.insert_alias(make.alias("nobody"))))


def test_direct_keys_of_before_canaries_keep_all_that_was_known_of_them(path, tmp_path):
    old = tmp_path / "old.db"
    make_database_of(old, "0003")
    with closing(sqlite3.connect(old)) as connection:
        connection.executescript("""
            INSERT INTO hsm_keys VALUES (zeroblob(16), 'AES_256', 'ENCRYPT_DECRYPT', 'k', 1, 'active', x'', 1.5, NULL);
            INSERT INTO hsm_key_copies VALUES (zeroblob(16), 'alpha', 'held');
        """)
    upgrade_database(old)
    assert schema_of(old) == schema_of(path)
    with Store.open(old) as store:
        (record,) = store.list_hsm_keys()
        assert (record.label, record.may_leave, record.canary) == ("k", True, None)
        assert [copy.member for copy in store.list_hsm_key_copies(record.key_id)] == ["alpha"]


def test_an_upgrade_that_would_lose_a_reference_changes_nothing(tmp_path):
    old = tmp_path / "old.db"
    make_database_of(old, "0001")
    with closing(sqlite3.connect(old)) as connection:
        connection.executescript(OLD_RECORDS)
        connection.execute("DELETE FROM keys")
        connection.commit()
    before = schema_of(old)
    with pytest.raises(StorageError, match="refer to what is not there") as caught:
        upgrade_database(old)
    assert "backup" in caught.value.next_step
    assert schema_of(old) == before


def test_connections_sync_every_commit_and_enforce_foreign_keys(path):
    with Store.open(path) as store:

        def pragma(connection, name):
            return connection.exec_driver_sql(f"PRAGMA {name}").scalar()

        with store._writer._engine.connect() as connection:
            assert pragma(connection, "synchronous") == 2
            assert pragma(connection, "foreign_keys") == 1
            assert pragma(connection, "secure_delete") == 1
            assert pragma(connection, "busy_timeout") == 10_000
        assert pragma(store._connection, "query_only") == 1


def test_creating_refuses_what_exists_and_leaves_it(tmp_path):
    existing = tmp_path / "strongroom.db"
    existing.write_bytes(b"precious")
    with pytest.raises(StorageError, match="exists already") as caught:
        create_database(existing)
    assert caught.value.next_step
    assert existing.read_bytes() == b"precious"
    assert len(list(tmp_path.iterdir())) == 1


def test_creating_in_an_absent_folder_says_so(tmp_path):
    with pytest.raises(StorageError, match="cannot be made") as caught:
        create_database(tmp_path / "absent" / "strongroom.db")
    assert caught.value.next_step


def test_a_creation_that_fails_half_way_leaves_nothing(tmp_path, monkeypatch):
    def fail(_path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("strongroom.storage._migrate._migrate_to_head", fail)
    with pytest.raises(StorageError, match="No space left"):
        create_database(tmp_path / "strongroom.db")
    assert list(tmp_path.iterdir()) == []


def test_upgrading_the_newest_changes_nothing(path):
    before = path.read_bytes()
    upgrade_database(path)
    assert path.read_bytes() == before


def test_an_empty_revision_is_upgraded(path, tmp_path):
    from strongroom.storage._migrate import _migrate_to_head

    fresh = tmp_path / "fresh.db"
    make_empty_file(fresh)
    _migrate_to_head(fresh)
    assert schema_of(fresh) == schema_of(path)


@pytest.mark.parametrize("opener", OPENERS)
def test_an_absent_database_is_an_error_and_stays_absent(opener, tmp_path):
    with pytest.raises(StorageError, match="no database") as caught:
        opener(tmp_path / "strongroom.db")
    assert "strongroom init" in caught.value.next_step
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("opener", OPENERS)
def test_a_newer_database_is_refused(opener, path):
    execute(path, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageError, match=r"newer than this software.*9999") as caught:
        opener(path)
    assert "install" in caught.value.next_step


@pytest.mark.parametrize("opener", OPENERS[:2])
def test_an_older_database_is_not_opened(opener, path, monkeypatch):
    monkeypatch.setattr("strongroom.storage._migrate.REVISIONS", (*REVISIONS, "9999"))
    with pytest.raises(StorageError, match="older Strongroom") as caught:
        opener(path)
    assert "upgrade" in caught.value.next_step


@pytest.mark.parametrize("opener", OPENERS)
def test_a_database_of_something_else_is_refused(opener, tmp_path):
    foreign = tmp_path / "other.db"
    execute(foreign, "CREATE TABLE something (x)")
    with pytest.raises(StorageError, match="not a Strongroom database") as caught:
        opener(foreign)
    assert caught.value.next_step


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_refused(opener, content, tmp_path):
    garbage = tmp_path / "strongroom.db"
    garbage.write_bytes(content)
    with pytest.raises(StorageError) as caught:
        opener(garbage)
    assert caught.value.next_step


def test_a_damaged_page_is_reported_when_it_is_met(path):
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    with pytest.raises(StorageError) as caught, Store.open(path) as store:
        store.list_keys(after=None, limit=10)
    assert "backup" in caught.value.next_step


USES_OF_0009 = """
INSERT INTO roots VALUES (zeroblob(16), 1, 'CKA_CHECK_VALUE', 'dc95c0', x'01', zeroblob(32), 1.5);
INSERT INTO domains VALUES ('{domain}', zeroblob(16), 'shard', x'02', 1, 2.5);
INSERT INTO keys (key_id, state, description, created_at, domain_id, current_version, material_id)
    VALUES ('{key}', 'active', 'old', 3.5, '{domain}', 1, '{material}');
INSERT INTO key_uses VALUES ('{key}', '{material}', 7, 9.5, 'Encrypt', 'r');
""".format(key=OLD_KEY, domain=make.DOMAIN_ID, material="ab" * 32)


def test_uses_of_before_they_were_told_apart_count_for_both_kinds(path, tmp_path):
    old = tmp_path / "old.db"
    make_database_of(old, "0009")
    with closing(sqlite3.connect(old)) as connection:
        connection.executescript(USES_OF_0009)
    upgrade_database(old)
    assert schema_of(old) == schema_of(path)
    with Store.open(old) as store:
        (use,) = store.list_key_uses(OLD_KEY)
        assert (use.n_uses, use.n_protected, use.protected_at, use.processed_at) == (7, 0, 9.5, 9.5)
        assert not store.get_key(OLD_KEY).is_limited
