"""A copy of the database as it is at one moment, made while others read and write, and looking at such a copy.

SQLite's online backup (https://www.sqlite.org/backup.html) in one step: it reads under one snapshot of the log, so no writer
waits for it and the copy is of one moment.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from strongroom.core import StorageError
from strongroom.storage._schema import REVISIONS
from strongroom.storage._sqlite import diagnose, sync_path


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
    """Check a copy whole: its pages, its references, and that it is ours. Blocks. Raises StorageError when it is damaged."""
    with _translating(), closing(_opened(path, "ro")) as connection:
        found = connection.execute("PRAGMA integrity_check(1)").fetchall()
        if found != [("ok",)]:
            raise StorageError(f"the copy of the database is damaged: {found[0][0]}")
        if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
            raise StorageError("records in the copy of the database refer to what is not there")
        names = [
            name
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
            )
            if not name.startswith("sqlite_")
        ]
        if "alembic_version" not in names:
            raise StorageError("the copy is not of a Strongroom database")
        revisions = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        if len(revisions) != 1 or revisions[0][0] not in REVISIONS:
            raise StorageError(
                "the copy is of a database that is newer than this software",
                next_step="use the Strongroom that made it, or a later one",
            )
        counts = {name: _count(connection, name) for name in names if name != "alembic_version"}
    return DatabaseSnapshot(revisions[0][0], counts)


def _count(connection: sqlite3.Connection, table: str) -> int:
    quoted = '"' + table.replace('"', '""') + '"'
    (count,) = connection.execute(f"SELECT count(*) FROM {quoted}").fetchone()  # noqa: S608  # quoted, from the schema
    return int(count)


def _opened(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}", uri=True, isolation_level=None, timeout=10.0
    )


@contextmanager
def _translating() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        message, next_step = diagnose(error)
        raise StorageError(message, next_step=next_step) from error
