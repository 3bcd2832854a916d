"""Each step from one revision to the next keeps every record of every table, to the letter."""

import sqlite3
from contextlib import closing
from string import Template

import pytest
from alembic import command
from alembic.config import Config

from strongroom.storage import Store
from strongroom.storage._schema import REVISIONS
from strongroom.storage._sqlite import count_broken_references, make_empty_file, migrating_engine

NAMES = {
    "KEY": "00000000-0000-4000-8000-00000000000a",
    "DOMAIN": "00000000-0000-4000-8000-00000000000b",
    "MATERIAL": "ab" * 32,
}
RECORDS = {
    "0001": """
        INSERT INTO roots VALUES (zeroblob(16), 1, 'CKA_CHECK_VALUE', 'dc95c0', x'01', zeroblob(32), 1.5);
        INSERT INTO members VALUES ('alpha', 'softhsm2', '0123', 'label', 0);
        INSERT INTO domains VALUES ('$DOMAIN', zeroblob(16), 'shard', x'02', 1, 2.5);
        INSERT INTO keys VALUES ('$KEY', 'suspended', 'ключ', 3.5, '$DOMAIN', 1, '$MATERIAL');
        INSERT INTO key_versions VALUES ('$KEY', 1, '$MATERIAL', x'0300ff', 3.5);
        INSERT INTO aliases VALUES ('alias/old', '$KEY', 4.5, 5.5);
        INSERT INTO access_keys VALUES ('AKIA', 'user/a', '["crypto-user"]', x'04', 1, 6.5);
    """,
    "0002": """
        UPDATE keys SET destroy_at = 1e9;
        INSERT INTO key_tags VALUES ('$KEY', 'name', 'value');
    """,
    "0003": """
        INSERT INTO hsm_keys VALUES (zeroblob(16), 'AES_256', 'ENCRYPT_DECRYPT', 'k', 1, 'active', x'', 1.5, NULL);
        INSERT INTO hsm_keys VALUES (x'01010101010101010101010101010101', 'RSA_2048', 'SIGN_VERIFY', 'k', 0, 'destroyed', x'05', 1.5, 2.5);
        INSERT INTO hsm_key_copies VALUES (zeroblob(16), 'alpha', 'held');
        INSERT INTO transport_keys VALUES (zeroblob(16), 'alpha', 'rsa', 9, 1.5);
    """,
    "0004": "UPDATE hsm_keys SET canary = zeroblob(32) WHERE state = 'active';",
    "0005": "UPDATE keys SET state = 'compromised', rotation_days = 90, rotate_at = 7.5; UPDATE key_versions SET expires_at = 8.5, made_by = 'import';",
    "0006": """
        INSERT INTO custom_key_stores VALUES ('cks-00000000000000000', 'hsm', 'cluster-strongroomhsms', 1, 9.5);
        UPDATE hsm_keys SET made_for = '$KEY/1' WHERE state = 'active';
    """,
    "0007": """
        INSERT INTO key_policies VALUES ('$KEY', '{}', 1.5);
        INSERT INTO grants VALUES ('$MATERIAL', '$KEY', '', 'arn', '', '["Decrypt"]', NULL, '{"a": "b"}', zeroblob(32), 'user/a', 2.5);
        INSERT INTO access_key_uses VALUES ('AKIA', 3.5);
        UPDATE access_changes SET n_changes = 7;
    """,
    "0008": """
        UPDATE keys SET expires_at = 8.5;
        UPDATE key_versions SET description = 'mine', rotated_at = 9.5;
        INSERT INTO import_digest_keys VALUES ('$KEY', x'06');
    """,
    "0009": "INSERT INTO key_uses VALUES ('$KEY', '$MATERIAL', 3, 1.5, 'Encrypt', 'request');",
}  # fmt: skip
"""What the software of each revision could write first: in SQL, for the tables of later software are others."""


def step_to(path, revision):
    config = Config()
    config.set_main_option("script_location", "strongroom.storage:migrations")
    config.set_main_option("path_separator", "os")
    engine = migrating_engine(path)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        assert count_broken_references(connection) == 0
    engine.dispose()


def records_of(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        tables = [
            row["name"]
            for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if row["name"] != "alembic_version"
        ]
        return {
            table: [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2")]  # noqa: S608  # names of our own tables
            for table in tables
        }


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "old.db"
    make_empty_file(path)
    return path


def test_no_step_changes_a_record(old):
    before = {}
    for revision in REVISIONS:
        step_to(old, revision)
        after = records_of(old)
        for table, rows in before.items():
            kept = [{name: row[name] for name in rows[0]} for row in after[table]] if rows else []
            assert kept == rows, (revision, table)
        with closing(sqlite3.connect(old)) as connection:
            connection.execute("PRAGMA foreign_keys=ON")
            connection.executescript(Template(RECORDS.get(revision, "")).substitute(NAMES))
        before = records_of(old)
        if revision in RECORDS:
            assert all(before.values()), "each table has a record to lose"
    with Store.open(old) as store:
        (key,) = store.list_keys(after=None, limit=10)
        assert (key.description, key.rotation_days, key.expires_at) == ("ключ", 90, 8.5)
