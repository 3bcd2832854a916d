"""``AuditLog``: entries are numbered where they happen; a thread of the log's own makes them durable in groups.

    append (any thread)  ─► pending ─► log thread: chain, one write, one fdatasync ─► waiters of the group wake
                                         └─ failed: cut back, all of them get AuditUnavailableError

Everything under ``_lock`` is memory; no system call is made while it is held.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Self, Unpack

from strongroom.audit._cursor import MAX_GROUP_BYTES
from strongroom.audit._entry import ENTRY_VERSION, Entry, Kind, encode_entry
from strongroom.audit._files import WalFolder
from strongroom.audit._format import FRAME_EXTRA_BYTES, is_writer_name
from strongroom.audit._segments import SegmentWriter, recover
from strongroom.audit._tickets import Tickets, wake
from strongroom.audit._torn import RECOVERED_EVENT
from strongroom.audit._values import AuditStats, EntryFields
from strongroom.core import AuditUnavailableError, Clock

SEGMENT_BYTES = 64 * 1024 * 1024
RETRY_AFTER_S = 1.0
"""How long a log that failed refuses at once before it tries again."""
SLOW_AFTER_S = 5.0
"""A disk that has not answered for so long counts as failed in ``failure``."""
MAX_PENDING_ENTRIES = 65_536


class AuditLog:
    """The write-ahead log of one process. ``append`` from any thread; ``commit`` and ``record`` from asyncio tasks.

    Two processes never share a writer name; each process opens its log once.
    """

    def __init__(self, writer: SegmentWriter, name: str, *, clock: Clock, retry_after_s: float) -> None:
        self._clock, self._name, self._boot = clock, name, writer.boot
        self._retry_after_s = retry_after_s
        self._segments = writer  # the log thread's own, once that has started
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._lock = threading.Lock()
        # Guarded by the lock:
        self._seq = writer.position.seq  # of the next entry
        self._pending: deque[bytes] = deque()  # encoded entries that no group has taken
        self._untold: list[dict[str, str]] = []  # details of ``log.recovered`` that are not durable yet
        self._tickets = Tickets(self._seq)
        self._failure: str | None = None
        self._is_closing = False
        self._is_rung = False
        self._busy_since: float | None = None
        self._entries = self._groups = self._failed_groups = self._refused = 0
        self._thread = threading.Thread(target=self._run, name=f"audit-{name}", daemon=True)

    @classmethod
    def open(
        cls,
        directory: Path,
        writer: str,
        *,
        clock: Clock,
        segment_bytes: int = SEGMENT_BYTES,
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
            segments = SegmentWriter(folder, recovered.end, segment_bytes=segment_bytes)
        except OSError as error:
            _close(folder)
            raise AuditUnavailableError(
                f"the audit log of {writer} cannot be opened: {error.strerror}",
                next_step=f"check space and permissions of {directory}",
            ) from error
        except BaseException:
            _close(folder)
            raise
        log = cls(segments, writer, clock=clock, retry_after_s=retry_after_s)
        log._untold = [cut.detail() for cut in recovered.cuts]
        log._append_untold()
        log._thread.start()
        return log

    @property
    def failure(self) -> str | None:
        """Why entries cannot be made durable now, None while they can. Cheap; for readiness checks."""
        with self._lock:
            if self._failure is None and self._busy_since is not None:
                waited_s = self._clock.monotonic() - self._busy_since
                return f"the disk has not answered for {waited_s:.0f} s" if waited_s > SLOW_AFTER_S else None
            return self._failure or ("the audit log is closed" if self._is_closing else None)

    @property
    def is_writable(self) -> bool:
        """Whether ``failure`` is None."""
        return self.failure is None

    @property
    def stats(self) -> AuditStats:
        """Counters since the log was opened."""
        with self._lock:
            return AuditStats(self._entries, self._groups, self._failed_groups, self._refused)

    def append(self, kind: Kind, event: str, **fields: Unpack[EntryFields]) -> int:
        """Put an entry at the end of the log, not yet durable, and return its ticket for ``commit``.

        Never waits. Tickets rise and are never used twice; they are not sequence numbers. An entry that nobody
        commits becomes durable all the same, but nobody learns when it does not. Raises AuditUnavailableError
        when the log is known to be unwritable, is closed, or 65,536 entries wait.
        """
        with self._lock:
            if self._failure is not None or self._is_closing or len(self._pending) >= MAX_PENDING_ENTRIES:
                raise self._refusal()
            ticket = self._enqueue(kind, event, fields)
            if not self._is_rung:
                self._is_rung = True
                self._bell.put(None)
            return ticket

    async def commit(self, ticket: int) -> None:
        """Return when the entry of this ticket, and so every one before it, would survive a power loss.

        Raises AuditUnavailableError when the entry could not be made durable: it is not in the log then.
        """
        with self._lock:
            waiter = self._tickets.wait_for(ticket, asyncio.get_running_loop())
        if waiter is not None:
            await waiter

    async def record(self, kind: Kind, event: str, **fields: Unpack[EntryFields]) -> None:
        """Append and commit. Raises AuditUnavailableError; the entry is not in the log then."""
        await self.commit(self.append(kind, event, **fields))

    def close(self) -> None:
        """Make durable what waits, then give lock and files back. Blocks for one fdatasync; may be repeated."""
        with self._lock:
            self._is_closing = True
            self._bell.put(None)
        self._thread.join()

    def _refusal(self) -> AuditUnavailableError:
        self._refused += 1
        reason = self._failure or (
            "it is closed" if self._is_closing else "too many entries wait for the disk"
        )
        return AuditUnavailableError(
            f"the audit log of {self._name} cannot be written: {reason}",
            next_step="it heals by itself within seconds once the disk takes writes again",
        )

    def _enqueue(self, kind: Kind, event: str, fields: EntryFields) -> int:
        payload = encode_entry(
            Entry(
                version=ENTRY_VERSION,
                writer=self._name,
                seq=self._seq,
                boot=self._boot,
                at=int(self._clock.now() * 1_000_000),
                kind=kind,
                event=event,
                **fields,
            )
        )
        self._seq += 1
        self._pending.append(payload)
        return self._tickets.issue()

    def _append_own(self, event: str, detail: dict[str, str]) -> None:
        with self._lock:
            self._enqueue("event", event, {"detail": detail})

    def _append_untold(self) -> None:
        for detail in self._untold:
            self._append_own(RECOVERED_EVENT, detail)

    # The log thread.

    def _run(self) -> None:
        try:
            while self._wait_for_work():
                if self._failure is None:
                    self._commit_group()
                else:
                    self._try_again()
        finally:
            with suppress(OSError):
                self._segments.undo()
            with self._lock:
                self._is_closing = True
                waiters = self._tickets.fail_all()
            wake(waiters, has_failed=True)
            self._segments.close()

    def _wait_for_work(self) -> bool:
        """Return True when there is a group to commit or a failure to get over, False when all is done."""
        while True:
            with self._lock:
                has_failed = self._failure is not None
                if self._pending and not has_failed:
                    return True
                if self._is_closing:
                    return False
                self._is_rung = False
            try:
                self._bell.get(timeout=self._retry_after_s if has_failed else None)
            except Empty:
                return True

    def _commit_group(self) -> None:
        group = self._take_group()
        try:
            self._segments.write(group)
        except OSError as error:
            self._fail(error)
            return
        with self._lock:
            self._failure = self._busy_since = None
            self._untold = []  # they went first
            self._entries += len(group)
            self._groups += 1
            waiters = self._tickets.succeed(len(group))
        wake(waiters, has_failed=False)

    def _take_group(self) -> list[bytes]:
        group: list[bytes] = []
        size = 0
        with self._lock:
            while self._pending:
                size += len(self._pending[0]) + FRAME_EXTRA_BYTES
                if size > MAX_GROUP_BYTES:
                    break
                group.append(self._pending.popleft())
            self._busy_since = self._clock.monotonic()
        return group

    def _fail(self, error: OSError) -> None:
        """Undo the group, and fail it and all that was chained behind it."""
        with self._lock:
            self._failure = error.strerror or type(error).__name__
            self._busy_since = None
            self._failed_groups += 1
            self._pending.clear()
            self._seq = self._segments.position.seq
            waiters = self._tickets.fail_all()
        with suppress(OSError):  # tried again before the next write
            self._segments.undo()
        wake(waiters, has_failed=True)

    def _try_again(self) -> None:
        """Write an entry that says how long the log was away; the log is open again once that is durable."""
        try:
            self._segments.undo()
        except OSError as error:
            self._fail(error)
            return
        self._append_untold()
        self._append_own("log.resumed", {"failure": str(self._failure), "refused": str(self._refused)})
        self._commit_group()


def _close(folder: WalFolder | None) -> None:
    if folder is not None:
        folder.close()
