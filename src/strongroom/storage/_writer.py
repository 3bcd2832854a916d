"""The writer thread: one durable transaction for all the work that waits.

A commit costs one sync of the disk, however much is in it. While the thread waits for that sync, new work
gathers and goes into the next transaction; nobody waits on purpose.
"""

import asyncio
import contextlib
import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from strongroom.core import StorageError
from strongroom.storage._errors import translated, turn_refused
from strongroom.storage._sqlite import WriteTurn, count_change, count_changed_rows, writing_engine
from strongroom.storage._transaction import Transaction

T = TypeVar("T")

_MAX_BATCH: Final = 256


class _Item:
    """A piece of work and its outcome. Written by the writer thread, read by the loop afterwards."""

    __slots__ = ("error", "future", "has_changed", "is_note", "loop", "result", "work")

    def __init__(
        self, work: Callable[[Transaction], Any], loop: asyncio.AbstractEventLoop, *, is_note: bool
    ) -> None:
        self.work = work
        self.is_note = is_note
        self.loop = loop
        self.future: asyncio.Future[None] = loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None
        self.has_changed = False


class GroupWriter:
    """Runs work on a thread and a connection of its own. ``write`` may be called from any event loop.

    After a failure that leaves the connection in doubt it is closed, and the next work opens a new one: so
    writing goes on by itself when the disk has room again.
    """

    def __init__(self, path: Path) -> None:
        self._engine: Engine = writing_engine(path)
        self._turn = WriteTurn(path)
        self._connection: Connection | None = None  # writer thread only
        self._items: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._closing = threading.Lock()  # orders ``put`` against the None that ends the queue
        self._closed = False  # under _closing
        # A daemon, so that a process which forgot to close can end; a commit cut short is rolled back.
        self._thread = threading.Thread(target=self._run, name="storage-writer", daemon=True)
        self._thread.start()

    async def write(self, work: Callable[[Transaction], T], *, is_note: bool = False) -> T:
        """Run ``work`` on the writer thread and return its result once that is durable.

        ``is_note``: it changes nothing that anybody keeps in memory.
        """
        item = _Item(work, asyncio.get_running_loop(), is_note=is_note)
        with self._closing:
            if self._closed:
                raise StorageError("the store is closed")
            self._items.put(item)
        await item.future
        if item.error is not None:
            raise item.error
        return cast("T", item.result)

    def close(self) -> None:
        """Finish what waits, then end the thread. Harmless when repeated."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._items.put(None)
        self._thread.join()

    def _run(self) -> None:
        is_open = True
        while is_open:
            batch, is_open = self._gather()
            if batch:
                self._commit(batch)
                _deliver(batch)
        self._disconnect()
        self._engine.dispose()

    def _gather(self) -> tuple[list[_Item], bool]:
        first = self._items.get()
        if first is None:
            return [], False
        batch = [first]
        with contextlib.suppress(queue.Empty):
            while len(batch) < _MAX_BATCH:
                item = self._items.get_nowait()
                if item is None:
                    return batch, False
                batch.append(item)
        return batch, True

    def _commit(self, batch: Sequence[_Item]) -> None:
        """Run the batch in one transaction; when that fails, everybody's outcome is StorageError."""
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            with self._turn.held(), self._connection.begin():
                for item in batch:
                    if not item.future.cancelled():  # nobody waits for it, and it has not begun
                        _run_in_savepoint(self._connection, item)
                if any(item.has_changed and not item.is_note for item in batch):
                    count_change(self._connection)
            # Here, and not before, everything in the batch is durable.
        except SQLAlchemyError as error:
            self._fail(batch, error, translated(error))
        except OSError as error:
            self._fail(batch, error, turn_refused(error))
        except Exception as error:  # noqa: BLE001  # the thread must live, and nobody may wait for ever
            self._fail(batch, error, StorageError(f"the writer failed: {type(error).__name__}"))

    def _fail(self, batch: Sequence[_Item], cause: Exception, failure: StorageError) -> None:
        """Give everybody who has no error of their own one, and begin the next batch on a new connection."""
        self._disconnect()
        for item in batch:
            if item.error is None:
                item.error = StorageError(failure.message, next_step=failure.next_step)
                item.error.__cause__ = cause

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(SQLAlchemyError):
                connection.invalidate()
            with contextlib.suppress(SQLAlchemyError):
                connection.close()


def _run_in_savepoint(connection: Connection, item: _Item) -> None:
    """Run one work so that its failure leaves no trace. Raises SQLAlchemyError when that cannot be had."""
    connection.exec_driver_sql("SAVEPOINT work")
    before = count_changed_rows(connection)
    try:
        item.result = item.work(Transaction(connection))
        item.has_changed = count_changed_rows(connection) != before
    except BaseException as error:  # noqa: BLE001  # handed to the caller unchanged
        item.error = error
        # After some failures (disk full) SQLite has ended the whole transaction, and this raises.
        connection.exec_driver_sql("ROLLBACK TO SAVEPOINT work")
    connection.exec_driver_sql("RELEASE SAVEPOINT work")


def _deliver(batch: Sequence[_Item]) -> None:
    """Wake each event loop once for all its outcomes."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Item]] = defaultdict(list)
    for item in batch:
        by_loop[item.loop].append(item)
    for loop, items in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, items)


def _settle(items: Sequence[_Item]) -> None:
    for item in items:
        if not item.future.done():  # else cancelled meanwhile; the work was committed all the same
            item.future.set_result(None)
