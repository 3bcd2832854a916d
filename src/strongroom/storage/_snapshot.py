"""A copy of the database as it is at one moment, made while others read and write, and looking at such a copy.

SQLite's online backup (https://www.sqlite.org/backup.html) in one step: it reads under one snapshot of the log, so no writer
waits for it and the copy is of one moment.

A copy may come out of a bundle, made by somebody who wants us to run what is in it. So its schema is looked at before its records
(https://www.sqlite.org/security.html): it may hold our tables and their indexes, and nothing that runs by itself.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

from strongroom.core import StorageError
from strongroom.storage._schema import REVISIONS, metadata
from strongroom.storage._sqlite import diagnose, sync_path

_REVISION_TABLE: Final = "alembic_version"
_OTHER_TABLES: Final = frozenset({_REVISION_TABLE, "sqlite_sequence", "sqlite_stat1", "sqlite_stat4"})
"""Tables that Alembic and SQLite make by themselves."""


class DatabaseSnapshot(NamedTuple):
    """What is in a copy."""

    revision: str
    counts: dict[str, int]
    """Rows by table."""


def snapshot_database(path: Path, copy: Path) -> DatabaseSnapshot:
    """Copy a database into a new file, mode 0600, and look at it. Blocks; may run on any thread.

    Raises StorageError, also when there is a file already, and for a copy that is damaged.
    """
    try:
        os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        with _translating(), closing(_opened(path, "ro")) as source, closing(_opened(copy, "rw")) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")  # one file, whole by itself
        sync_path(copy)
    except OSError as error:
        raise StorageError(
            f"the database cannot be copied to {copy}: {error.strerror}",
            next_step="check the folder and the disk under it",
        ) from error
    return inspect_snapshot(copy)


def inspect_snapshot(path: Path) -> DatabaseSnapshot:
    """Check a copy whole: its schema, its pages, its references, and that it is ours. Blocks.

    Nobody else may have it open. Raises StorageError when it is damaged, or holds what no database of ours does.
    """
    # immutable: nothing that lies beside it is played into it.
    with _translating(), closing(_opened(path, "ro&immutable=1")) as connection:
        connection.execute("PRAGMA query_only=ON")
        connection.execute("PRAGMA cell_size_check=ON")
        names = _our_tables(connection)
        found = connection.execute("PRAGMA integrity_check(1)").fetchall()
        if found != [("ok",)]:
            raise StorageError(f"the copy of the database is damaged: {found[0][0]}")
        if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
            raise StorageError("records in the copy of the database refer to what is not there")
        revisions = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        if len(revisions) != 1 or revisions[0][0] not in REVISIONS:
            raise StorageError(
                "the copy is of a database that is newer than this software",
                next_step="use the Strongroom that made it, or a later one",
            )
        counts = {name: _count(connection, name) for name in names}
    return DatabaseSnapshot(revisions[0][0], counts)


def _our_tables(connection: sqlite3.Connection) -> list[str]:
    """Return the tables that are ours, by name. Raises StorageError for a schema that no revision of ours has."""
    names = []
    for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name"):
        is_known = name in metadata.tables or name in _OTHER_TABLES
        is_table = kind == "table" and is_known and str(sql).startswith("CREATE TABLE ")  # no virtual one
        if not (is_table or kind == "index") or _computes(connection, name):
            raise StorageError(
                f"the copy holds what no Strongroom database does: the {kind} {str(name)[:80]!r}",
                next_step="find out who made it; look at it with no tool that runs its triggers and views",
            )
        if name in metadata.tables:
            names.append(name)
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [_REVISION_TABLE]).fetchone() is None:
        raise StorageError("the copy is not of a Strongroom database")
    return names


def _computes(connection: sqlite3.Connection, name: str) -> bool:
    """Whether a table has columns that are computed (``hidden`` of https://www.sqlite.org/pragma.html#pragma_table_xinfo)."""
    found = connection.execute("SELECT 1 FROM pragma_table_xinfo(?) WHERE hidden <> 0", [name]).fetchone()
    return found is not None


def _count(connection: sqlite3.Connection, table: str) -> int:
    (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608  # a name of our own
    return int(count)


def _opened(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}", uri=True, isolation_level=None, timeout=10.0
    )
    connection.execute("PRAGMA trusted_schema=OFF")
    return connection


@contextmanager
def _translating() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        message, next_step = diagnose(error)
        raise StorageError(message, next_step=next_step) from error
