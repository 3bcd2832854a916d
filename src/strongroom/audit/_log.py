"""``AuditLog``: entries are numbered where they happen; a thread of the log's own makes them durable in groups.

    append (any thread)  ─► queue ─► log thread: chain, one write, one fdatasync ─► waiters of the group wake
                                       └─ failed: cut back, all of them get AuditUnavailableError

Everything under ``_lock`` is memory; no system call is made while it is held.
"""

import asyncio
import errno
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Self, Unpack

from strongroom.audit._entry import Kind
from strongroom.audit._files import WalFolder
from strongroom.audit._format import is_writer_name
from strongroom.audit._queue import EntryQueue
from strongroom.audit._segments import ROTATE_S, SegmentWriter, recover
from strongroom.audit._tickets import Decided, wake
from strongroom.audit._values import AuditStats, EntryFields, UseEntry
from strongroom.core import AuditUnavailableError, Clock

SEGMENT_BYTES = 64 * 1024 * 1024
RETRY_AFTER_S = 1.0
"""How long a log that failed refuses at once before it tries again."""
_QUIET_TURNS = 2
"""Of the event loop without a new entry, after which a group begins: what arrived before belongs to it."""
_MOST_TURNS = 32
_ENOUGH = 256
"""After so many turns, or with so many entries, it begins anyway."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What a disk without room says: the entry that tells of it is overwritten zeros, so there is room for that."""


class AuditLog:
    """The write-ahead log of one process. ``append`` from any thread; ``commit`` and ``record`` from asyncio tasks.

    Two processes never share a writer name; each process opens its log once.
    """

    def __init__(
        self, name: str, queue: EntryQueue, segments: SegmentWriter, *, retry_after_s: float
    ) -> None:
        self._retry_after_s = retry_after_s
        self._segments = segments  # the log thread's own, once that has started
        self._full = False  # whether the last write failed since there is no room; the log thread's own too
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._lock = threading.Lock()
        # Guarded by the lock:
        self._queue = queue
        self._gathering: asyncio.AbstractEventLoop | None = None  # the loop that will begin a group
        self._is_ready = not queue.is_empty  # a group may begin
        self._mourners: list[asyncio.Future[None]] = []
        self._thread = threading.Thread(target=self._run, name=f"audit-{name}", daemon=True)

    @classmethod
    def open(
        cls,
        directory: Path,
        writer: str,
        *,
        clock: Clock,
        segment_bytes: int = SEGMENT_BYTES,
        rotate_s: float = ROTATE_S,
        retry_after_s: float = RETRY_AFTER_S,
        open_folder: Callable[[Path], WalFolder] = WalFolder,
    ) -> Self:
        """Open ``directory/wal/<writer>``, creating it when absent, and start a segment of a new boot.

        A write that a crash left unfinished is kept aside and cut off, and the first entry, ``log.recovered``,
        tells of it. Raises AuditWriterInUseError, AuditCorruptError when entries that were durable are damaged,
        and AuditUnavailableError when the disk refuses.
        """
        if not is_writer_name(writer):
            raise ValueError(f"{writer!r} is no writer name: 1 to 32 of a-z, 0-9 and '-'")
        folder: WalFolder | None = None
        try:
            folder = open_folder(directory / "wal" / writer)
            recovered = recover(folder)
            segments = SegmentWriter(
                folder, recovered.end, segment_bytes=segment_bytes, rotate_s=rotate_s, clock=clock
            )
        except OSError as error:
            _close(folder)
            raise AuditUnavailableError(
                f"the audit log of {writer} cannot be opened: {error.strerror}",
                next_step=f"check space and permissions of {directory}",
            ) from error
        except BaseException:
            _close(folder)
            raise
        boot, seq = segments.boot, segments.position.seq
        queue = EntryQueue(writer, boot=boot, seq=seq, untold=recovered.cuts, clock=clock)
        log = cls(writer, queue, segments, retry_after_s=retry_after_s)
        log._thread.start()
        return log

    @property
    def failure(self) -> str | None:
        """Why entries cannot be made durable now, None while they can. Cheap; for readiness checks."""
        with self._lock:
            return self._queue.why_not()

    @property
    def is_writable(self) -> bool:
        """Whether ``failure`` is None."""
        return self.failure is None

    @property
    def stats(self) -> AuditStats:
        """Counters since the log was opened."""
        with self._lock:
            return self._queue.stats

    def append(self, kind: Kind, event: str, **fields: Unpack[EntryFields]) -> int:
        """Put an entry at the end of the log, not yet durable, and return its ticket for ``commit``.

        Never waits. Tickets rise and are never used twice; they are not sequence numbers. An entry that nobody
        commits becomes durable all the same, but nobody learns when it does not. Raises AuditUnavailableError
        while the log is known to be unwritable, when the disk has not answered for 5 s, when the log is closed,
        or 65,536 entries wait.
        """
        with self._lock:
            ticket = self._queue.admit(kind, event, fields)
            self._begin()
        return ticket

    async def commit(self, ticket: int) -> None:
        """Return when the entry of this ticket, and so every one before it, would survive a power loss.

        Waits as long as the disk takes: while a write hangs nobody can say whether the entry will be in the log.
        Raises AuditUnavailableError when the entry could not be made durable: it is not in the log then.
        """
        loop = asyncio.get_running_loop()
        with self._lock:
            waiter = self._queue.tickets.wait_for(ticket, loop)
        if waiter is not None:
            await waiter

    async def record(self, kind: Kind, event: str, **fields: Unpack[EntryFields]) -> None:
        """Append and commit. Raises AuditUnavailableError; the entry is not in the log then.

        The log thread is woken once turns of the event loop bring nothing new, so that all that is under way goes
        into one group, and the two do not contend for the interpreter meanwhile.
        """
        loop = asyncio.get_running_loop()
        with self._lock:
            self._queue.admit(kind, event, fields)
            waiter = self._queue.tickets.wait_for_newest(loop)
            self._gather(loop)
        await waiter

    def record_uses(self, entries: Sequence[UseEntry], decided: Decided) -> None:
        """Append the entries of one turn of the event loop, all or none; nobody waits for them in a task.

        ``decided`` is called in this event loop once they are durable or have failed: with how many more of them,
        in their order, and the error if they failed, for a group commit need not take all of them. An entry that
        failed is not in the log. Raises AuditUnavailableError as ``append`` does; ``decided`` is never called then.
        """
        loop = asyncio.get_running_loop()
        with self._lock:
            self._queue.admit_all(entries)
            self._queue.tickets.wait_for_newest_batch(len(entries), loop, decided)
            self._gather(loop)

    def _gather(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have a group begin soon. For the holder of the lock."""
        if self._gathering is not loop:  # one that stopped meanwhile begins nothing any more
            self._gathering = loop
            loop.call_soon(self._look, loop, -1, 0, 0)

    def _look(self, loop: asyncio.AbstractEventLoop, seen: int, quiet: int, turns: int) -> None:
        """Begin a group if the last turns brought nothing new; else look again after the next one."""
        n_pending = self._queue.n_pending  # read without the lock: one too late is one turn late
        quiet = quiet + 1 if n_pending == seen else 0
        if quiet < _QUIET_TURNS and turns < _MOST_TURNS and n_pending < _ENOUGH:
            loop.call_soon(self._look, loop, n_pending, quiet, turns + 1)
            return
        with self._lock:
            self._gathering = None
            self._begin()

    def _begin(self) -> None:
        """Wake the log thread, or have it go on once it is done with what it is at. For the holder of the lock."""
        if not self._is_ready:
            self._is_ready = True
            self._bell.put(None)

    async def wait_dead(self) -> str:
        """Return why the log can never be written again, once its thread has died; wait until then.

        The thread dies of an error that nobody foresaw, never of one of the disk (those heal, see ``failure``).
        From then on everything is refused, and only a new process helps. Never returns after ``close``.
        """
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._lock:
            if self._queue.death is None:
                self._mourners.append(waiter)
            else:
                waiter.set_result(None)
        try:
            await waiter
        finally:
            with self._lock, suppress(ValueError):
                self._mourners.remove(waiter)
        return str(self._queue.death)

    def close(self) -> None:
        """Make durable what waits, then give lock and files back. Blocks for one fdatasync; may be repeated."""
        with self._lock:
            self._queue.is_closing = True
            self._bell.put(None)
        self._thread.join()

    # The log thread.

    def _run(self) -> None:
        try:
            while self._wait_for_work():
                if self._queue.has_failed:
                    self._try_again()
                else:
                    self._commit_group()
        except BaseException as error:
            with self._lock:
                self._queue.die(f"the thread of the audit log died of {type(error).__name__}")
            raise  # the traceback goes to standard error
        finally:
            self._end()

    def _wait_for_work(self) -> bool:
        """Return True when there is a group to commit or a failure to get over, False when all is done."""
        while True:
            with self._lock:
                has_failed = self._queue.has_failed
                if not self._queue.is_empty and not has_failed and (self._is_ready or self._queue.is_closing):
                    return True
                if self._queue.is_closing:
                    return False
                if self._queue.is_empty:
                    self._is_ready = False
            try:
                self._bell.get(timeout=self._retry_after_s if has_failed else None)
            except Empty:
                return True

    def _commit_group(self) -> None:
        with self._lock:
            group = self._queue.take_group()
            self._is_ready = not self._queue.is_empty  # a write takes so many and no more
        try:
            self._segments.write(group)
        except OSError as error:
            self._fail(error, group)
            return
        self._full = False
        with self._lock:
            n_pending = self._queue.n_pending
            waiters = self._queue.succeed(len(group))
            if self._queue.n_pending > n_pending:  # it tells of the disk's return
                self._is_ready = True
        wake(waiters, has_failed=False)

    def _fail(self, error: OSError, group: Sequence[bytes] = ()) -> None:
        """Undo the group, and fail it and all that was numbered behind it."""
        self._full = error.errno in _FULL
        with self._lock:
            waiters = self._queue.fail(error, group, next_seq=self._segments.position.seq)
        with suppress(OSError):  # tried again before the next write
            self._segments.undo()
        wake(waiters, has_failed=True)
        self._tell_refusing(is_last=False)

    def _tell_refusing(self, *, is_last: bool) -> None:
        """Write into the room that is kept for it what is refused while the disk is full."""
        if not self._full:
            return
        with suppress(OSError):
            self._segments.undo()  # nothing to do, unless that failed before
            with self._lock:
                payload = self._queue.refusing_entry(is_last=is_last)
            if payload is not None and self._segments.write_kept(payload):
                with self._lock:
                    self._queue.told_refusing()

    def _try_again(self) -> None:
        """Write an entry that says how long the log was away; the log is open again once that is durable."""
        try:
            self._segments.undo()
            self._segments.require_room()
        except OSError as error:
            self._fail(error)
            return
        with self._lock:
            self._queue.add_return()
        self._commit_group()

    def _end(self) -> None:
        try:
            with suppress(OSError):
                self._segments.undo()
            self._tell_refusing(is_last=True)
        finally:
            with self._lock:
                self._queue.is_closing = True
                waiters = self._queue.tickets.fail_all()
                mourners = [*self._mourners] if self._queue.death is not None else []
            wake(waiters, has_failed=True)
            wake(mourners, has_failed=False)
            self._segments.close()


def _close(folder: WalFolder | None) -> None:
    if folder is not None:
        folder.close()
