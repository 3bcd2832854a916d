"""Everything that is SQLite's own: connections, pragmas, files, the generation, and what its errors mean.

Both kinds of connection open an existing file only. Durability: WAL with ``synchronous=FULL`` syncs the log
in every commit before the commit returns, so what was committed survives kill -9 and loss of power.

SQLite 3.7.0 to 3.51.2 has the WAL-reset bug (https://www.sqlite.org/wal.html#walresetbug): a commit that meets
another connection's checkpoint at a bad moment can damage the database. Debian 12 ships such a version. Commits,
and the checkpoints that follow some of them, therefore take turns through a lock file of our own, ``WriteTurn``.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool

BUSY_TIMEOUT_MS: Final = 10_000
"""How long a writer waits for the writers of other processes."""
_TURN_POLL_S: Final = 0.001
_COUNTS: Final = 2**31
"""``user_version`` is a signed number of 32 bits."""

_DISK_NEXT_STEP: Final = "check the disk under the database: free space, quota, mount, hardware"
_DIAGNOSES: Final = {
    sqlite3.SQLITE_FULL: ("the disk is full", "free some space on the disk under the database"),
    sqlite3.SQLITE_IOERR: ("the disk under the database failed or is full", _DISK_NEXT_STEP),
    sqlite3.SQLITE_CORRUPT: ("the database is damaged", "stop the service and restore the last backup"),
    sqlite3.SQLITE_NOTADB: (
        "the file is not a database",
        "check the path of the database, or restore the last backup",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "the database cannot be opened",
        "check that it exists and that this user may read and write it and its folder",
    ),
    sqlite3.SQLITE_READONLY: (
        "the database cannot be written",
        "check the owner and mode of the file and its folder",
    ),
    sqlite3.SQLITE_BUSY: (
        f"the database stayed locked for {BUSY_TIMEOUT_MS // 1000} seconds",
        "look for another program that holds it open",
    ),
}


def reading_engine(path: Path) -> Engine:
    """Return the engine of a connection that only reads; each statement sees the latest commit."""
    engine = _engine(path, "query_only=ON")
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def writing_engine(path: Path) -> Engine:
    """Return the engine of a connection whose transactions are writing ones from their start.

    A transaction that starts by reading and then writes could meet another writer in between, and SQLite
    would refuse it without waiting; BEGIN IMMEDIATE waits at the start instead.
    """
    # secure_delete: what is deleted (the wrapped material of a destroyed key) is overwritten with zeros.
    return _in_write_transactions(_engine(path, "foreign_keys=ON", "secure_delete=ON"))


def migrating_engine(path: Path) -> Engine:
    """Return the engine of a connection that may exchange a table to which others refer.

    References are not enforced meanwhile, so before it commits the caller asks ``count_broken_references``.
    Source: https://www.sqlite.org/lang_altertable.html#otheralter.
    """
    return _in_write_transactions(_engine(path, "foreign_keys=OFF", "secure_delete=ON"))


def count_broken_references(connection: Connection) -> int:
    """Return how many records refer to one that is not there."""
    return len(connection.exec_driver_sql("PRAGMA foreign_key_check").all())


class Generation:
    """How often anybody committed a change, as one connection that only reads sees it.

    The count is ``user_version`` in the header of the database file, which belongs to the application
    (https://www.sqlite.org/pragma.html#pragma_user_version) and is part of the transaction. It is looked at only when
    ``data_version`` says that another connection committed anything at all.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._seen = -1
        self._count = 0

    def read(self) -> int:
        """Return the count. Raises sqlite3.Error."""
        seen = self._pragma("data_version")
        if seen != self._seen:
            # What is committed between the two looks is in the count already, and makes the next look count again.
            self._count = self._pragma("user_version")
            self._seen = seen
        return self._count

    def _pragma(self, name: str) -> int:
        dbapi: sqlite3.Connection = self._connection.connection.dbapi_connection  # type: ignore[assignment]
        (value,) = dbapi.execute(f"PRAGMA {name}").fetchone()
        return int(value)


def count_changed_rows(connection: Connection) -> int:
    """Return how many rows the connection ever wrote or deleted; also those of what was rolled back."""
    dbapi: sqlite3.Connection = connection.connection.dbapi_connection  # type: ignore[assignment]
    return dbapi.total_changes


def count_change(connection: Connection) -> None:
    """Have the present transaction count as a change. Raises SQLAlchemyError."""
    count = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    connection.exec_driver_sql(f"PRAGMA user_version = {(count + 1) % _COUNTS}")


class WriteTurn:
    """The turn to write, among all processes that have the database open: an flock(2) beside the database.

    Not on the database file: closing a descriptor of that would drop the locks which SQLite holds on it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f"{path.name}-turn")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the turn. Raises TimeoutError when another process keeps it too long, and OSError."""
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            until = time.monotonic() + BUSY_TIMEOUT_MS / 1000
            while not _try_lock(descriptor):
                if time.monotonic() >= until:
                    raise TimeoutError
                time.sleep(_TURN_POLL_S)
            yield
        finally:
            os.close(descriptor)  # releases the lock


def make_empty_file(path: Path) -> None:
    """Make an empty database in WAL mode, readable by its owner only. Raises FileExistsError, OSError."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    connection = _connect(path)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


def sync_path(path: Path) -> None:
    """Make a file's content, or a folder's entries, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_duplicate(error: BaseException | None) -> bool:
    """Tell a taken key from other broken constraints."""
    return getattr(error, "sqlite_errorcode", None) in {
        sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
        sqlite3.SQLITE_CONSTRAINT_UNIQUE,
    }


def diagnose(error: BaseException | None) -> tuple[str, str | None]:
    """Return what happened and what to do about it, for an error of the driver."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return f"the database failed: {error}", None
    message, next_step = _DIAGNOSES.get(code & 0xFF, ("the database failed", None))
    return f"{message}: {error}", next_step


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _connect(path: Path) -> sqlite3.Connection:
    # isolation_level=None: the driver starts no transactions of its own.
    return sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode=rw",
        uri=True,
        isolation_level=None,
        timeout=BUSY_TIMEOUT_MS / 1000,
    )


def _engine(path: Path, *pragmas: str) -> Engine:
    def connect() -> sqlite3.Connection:
        connection = _connect(path)
        for pragma in ("synchronous=FULL", "trusted_schema=OFF", *pragmas):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    # hide_parameters: SQLAlchemy's messages would else show the values of a failed statement.
    return create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)


def _in_write_transactions(engine: Engine) -> Engine:
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
