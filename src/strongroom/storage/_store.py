"""An open database: reads on the caller's thread, writes by the writer thread."""

import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from strongroom.core import StorageError
from strongroom.storage._errors import translated
from strongroom.storage._migrate import require_file, require_head
from strongroom.storage._reader import Reader
from strongroom.storage._sqlite import Generation, diagnose, reading_engine
from strongroom.storage._transaction import Transaction
from strongroom.storage._writer import GroupWriter

T = TypeVar("T")


class ReadOnlyStore(Reader):
    """An existing database, to look at only. It belongs to the thread that opened it.

    A read takes about 20 µs and is done inline. Each sees the latest commit of any process; two reads may
    see different ones.
    """

    def __init__(self, path: Path, engine: Engine, connection: Connection) -> None:
        """Take what ``open`` opened; nothing else calls this."""
        super().__init__(connection)
        self._path = path
        self._engine = engine
        self._generation = Generation(connection)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open an existing database of the newest revision.

        Raises StorageError when there is none, when it is older or newer than this software, not ours or
        damaged.
        """
        require_file(path)
        engine = reading_engine(path)
        with ExitStack() as on_failure:
            on_failure.callback(engine.dispose)
            try:
                connection = engine.connect()
                on_failure.callback(connection.close)
                require_head(connection, path)
            except SQLAlchemyError as error:
                raise translated(error) from error
            on_failure.pop_all()
        return cls(path, engine, connection)

    def generation(self) -> int:
        """Return a number that changes whenever anybody committed a change, this process included (3 µs).

        What ``note`` wrote is no change. Only whether the number changed means anything. Raises StorageError.
        """
        try:
            return self._generation.read()
        except sqlite3.Error as error:
            message, next_step = diagnose(error)
            raise StorageError(message, next_step=next_step) from error

    def close(self) -> None:
        """Close the read connection, on the thread that opened it."""
        self._connection.close()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Store(ReadOnlyStore):
    """An existing database, to read and to write.

    Reads are those of ``ReadOnlyStore``, on the thread that opened the store. ``write`` may be awaited on any
    event loop; the work itself runs on the store's writer thread. Other processes may have the same database
    open: writers take turns, waiting up to 10 seconds.
    """

    def __init__(self, path: Path, engine: Engine, connection: Connection) -> None:
        """Take what ``open`` opened and start the writer thread."""
        super().__init__(path, engine, connection)
        self._writer = GroupWriter(path)

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` in a transaction and return its result once the commit is durable.

        What ``work`` raises undoes its own changes only and is raised here unchanged. StorageError says that
        the database failed: nothing of it was kept, except that after a failed sync and a crash right behind
        it, SQLite may find the transaction complete in its log and keep it. Whoever cancels this call does
        not know whether the work was done.

        ``work`` shares its transaction with others and holds the write lock of the database: it must be
        short and must do no other I/O. Only DuplicateError may be caught inside it. Where it wrote no row, the
        generation stays as it was.
        """
        return await self._writer.write(work)

    async def note(self, work: Callable[[Transaction], T]) -> T:
        """As ``write``, for what nobody keeps in memory, such as when a key was last used: the generation stays as it was.

        So nobody forgets what they have in memory and reads it anew.
        """
        return await self._writer.write(work, is_note=True)

    def close(self) -> None:
        """Finish the writes that wait, end the writer thread, and close. Reads end with it."""
        self._writer.close()
        super().close()
