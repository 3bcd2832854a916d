"""From the log to one sink: reads, sends, waits for the sink's word, and only then keeps the position."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from msgspec.structs import replace

from strongroom.audit import Entry, FollowedBatch, LogFollower, LogGap
from strongroom.core import Clock, EventSink, StrongroomError, random_bytes
from strongroom.shipping._errors import SinkError
from strongroom.shipping._own_thread import OwnThread, ThreadHangsError
from strongroom.shipping._positions import SinkRecord, read_record, record_path, write_record
from strongroom.shipping._sink import Sink

POLL_S: Final = 0.5
MAX_BATCH: Final = 500
_MAX_BATCH_BYTES: Final = 1024 * 1024
_READ_LIMIT_S: Final = 30.0
_FIRST_PAUSE_S: Final = 1.0
_DOUBLINGS: Final = 16
_ALARM_EVERY_S: Final = 3_600.0
_MAX_CAUSE: Final = 300


class ShipperLimits(NamedTuple):
    """How patient a shipper is."""

    alarm_entries: int
    alarm_s: float
    timeout_s: float
    """For a step of the sink; all steps of one call have three times that."""
    retry_max_s: float


class SinkStanding(NamedTuple):
    """How a sink is, for metrics."""

    name: str
    lag_entries: int
    """Entries of the log that it has not accepted."""
    lag_s: float
    """Age of the oldest of them."""
    accepted: int
    """Entries since main started, repeats included."""
    failures: int
    """Attempts that failed since main started."""
    is_failing: bool


class Shipper:
    """Ships to one sink until it is told to stop. Belongs to one event loop; the sink's work is done in a thread of its own.

    Memory: one batch, at most 500 entries and little over 1 MiB. What was sent and not accepted is read again from the log.
    """

    def __init__(
        self, name: str, sink: Sink, audit: Path, limits: ShipperLimits, *, events: EventSink, clock: Clock
    ) -> None:
        """``audit`` is the audit directory."""
        self.name = name
        self._sink, self._audit, self._limits = sink, audit, limits
        self._events, self._clock = events, clock
        self._path = record_path(audit, name)
        self._thread = OwnThread(f"audit-sink-{name}")
        self._record: SinkRecord | None = None
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._most = MAX_BATCH
        self._tries = 0  # that failed, in a row
        self._failures = self._accepted = 0
        self._lag_entries = 0
        self._oldest_at: float | None = None  # of what is on its way
        self._behind_since: float | None = None
        self._alarmed_at: float | None = None
        self._told_gaps: set[LogGap] = set()

    def start(self) -> None:
        """Begin to ship."""
        self._task = asyncio.ensure_future(self._run())

    async def finish(self, limit_s: float) -> None:
        """Ship what there is, as far as that goes within a time, and end."""
        self._stopping.set()
        if self._task is not None:
            with contextlib.suppress(TimeoutError, asyncio.CancelledError):
                async with asyncio.timeout(limit_s):
                    await self._task
        self.close()

    def close(self) -> None:
        """End at once; what was sent and not accepted is sent again by the next one."""
        if self._task is not None:
            self._task.cancel()
        self._sink.abort()
        self._thread.close()

    @property
    def standing(self) -> SinkStanding:
        """How the sink is."""
        return SinkStanding(
            self.name, self._lag_entries, self._lag_s(), self._accepted, self._failures, self._tries > 0
        )

    def look(self, heads: Mapping[str, int]) -> None:
        """Compare with the last entry of each writer; raise the alarm, or end it."""
        positions = {} if self._record is None else self._record.positions
        accepted = {writer: position.at.seq - 1 for writer, position in positions.items()}
        self._lag_entries = sum(max(last - accepted.get(writer, 0), 0) for writer, last in heads.items())
        now = self._clock.now()
        if not self._lag_entries:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = now
        lag_s = self._lag_s()
        if self._lag_entries >= self._limits.alarm_entries or lag_s >= self._limits.alarm_s:
            if self._alarmed_at is None or now - self._alarmed_at >= _ALARM_EVERY_S:
                self._alarmed_at = now
                cause = "" if self._record is None else self._record.failure
                self._emit("behind", entries=self._lag_entries, seconds=round(lag_s), cause=cause)
        elif self._alarmed_at is not None:
            self._alarmed_at = None
            self._emit("caught_up", entries=self._lag_entries, seconds=round(lag_s))

    def _lag_s(self) -> float:
        oldest = self._oldest_at or self._behind_since
        return 0.0 if oldest is None or not self._lag_entries else max(self._clock.now() - oldest, 0.0)

    async def _run(self) -> None:
        while True:
            try:
                await self._ship()
                return
            except Exception as error:  # noqa: BLE001  # whatever it is, entries must go on: it is told, and tried again
                self._sink.abort()
                pause_s = await self._failed(error)
            if self._stopping.is_set():
                return
            await self._wait(pause_s)

    async def _ship(self) -> None:
        """Ship until told to stop. Raises whatever goes wrong."""
        if self._record is None:
            self._record = await self._thread.run(lambda: read_record(self._path), limit_s=_READ_LIMIT_S)
        follower = LogFollower(self._audit, self._record.positions)
        self._oldest_at = None
        n_sent, since = 0, 0.0
        while True:
            batch = await self._read(follower)
            if batch.entries:
                if not n_sent:
                    since = self._clock.monotonic()
                await self._send(batch.entries)
                n_sent += len(batch.entries)
            is_ending = self._stopping.is_set() and not batch.entries
            if n_sent and (is_ending or self._is_due(n_sent, since)):
                await self._confirm(follower, n_sent)
                n_sent = 0
            if is_ending:
                return
            if not batch.entries:
                await self._wait(POLL_S)

    async def _read(self, follower: LogFollower) -> FollowedBatch:
        batch = await self._thread.run(
            lambda: follower.read(most=self._most, most_bytes=_MAX_BATCH_BYTES), limit_s=_READ_LIMIT_S
        )
        for gap in batch.gaps:
            if gap not in self._told_gaps:
                self._told_gaps.add(gap)
                self._emit("gap", writer=gap.writer, first=gap.first, last=gap.last)
        stuck = {writer: str(error)[:_MAX_CAUSE] for writer, error in batch.stuck.items()}
        known = self._kept().stuck
        for writer in stuck.keys() - known.keys():
            self._emit("stuck", writer=writer, cause=stuck[writer])
        if stuck.keys() != known.keys():
            await self._keep(replace(self._kept(), stuck=stuck))
        return batch

    async def _send(self, entries: Sequence[Entry]) -> None:
        if self._oldest_at is None:
            self._oldest_at = min(entry.at for entry in entries) / 1e6
        await self._thread.run(lambda: self._sink.send(entries), limit_s=3 * self._limits.timeout_s)

    async def _confirm(self, follower: LogFollower, n_sent: int) -> None:
        await self._thread.run(self._sink.confirm, limit_s=3 * self._limits.timeout_s)
        kept, now = self._kept(), self._clock.now()
        await self._keep(
            replace(
                kept,
                positions=follower.positions(),
                accepted=kept.accepted + n_sent,
                accepted_at=now,
                failing_since=None,
                failure="",
            )
        )
        self._accepted += n_sent
        self._oldest_at = None
        if self._tries:
            self._tries = 0
            self._emit("recovered", accepted=n_sent)

    def _is_due(self, n_sent: int, since: float) -> bool:
        held_s = self._clock.monotonic() - since
        return n_sent >= self._sink.hold_entries or held_s >= self._sink.hold_s or self._stopping.is_set()

    async def _failed(self, error: Exception) -> float:
        """Tell of a failure, if it is the first; returns how long to wait."""
        self._failures += 1
        self._tries += 1
        cause = _cause(error)
        if self._tries == 1:
            self._emit("failed", cause=cause)
        if self._record is not None and not isinstance(error, ThreadHangsError):
            since = self._record.failing_since or self._clock.now()
            with contextlib.suppress(OSError, StrongroomError):
                await self._keep(replace(self._record, failing_since=since, failure=cause))
        if isinstance(error, SinkError) and error.is_too_much:
            self._most = max(self._most // 2, 1)
        asked_s = error.retry_after_s if isinstance(error, SinkError) else 0.0
        return max(self._pause_s(), min(asked_s, self._limits.retry_max_s))

    def _pause_s(self) -> float:
        """Twice as long after each failure, up to a limit; between half of it and all, so that many do not come at once."""
        longest = min(_FIRST_PAUSE_S * (1 << min(self._tries - 1, _DOUBLINGS)), self._limits.retry_max_s)
        return longest * (0.5 + int.from_bytes(random_bytes(2), "big") / 0x20000)

    def _kept(self) -> SinkRecord:
        return self._record or SinkRecord()

    async def _keep(self, record: SinkRecord) -> None:
        await self._thread.run(lambda: write_record(self._path, record), limit_s=_READ_LIMIT_S)
        self._record = record

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def _emit(self, what: str, **fields: object) -> None:
        self._events.emit(f"audit.sink_{what}", sink=self.name, **fields)


def _cause(error: Exception) -> str:
    if isinstance(error, StrongroomError):
        return str(error)[:_MAX_CAUSE]
    text = str(error)
    return f"{type(error).__name__}: {text}"[:_MAX_CAUSE] if text else type(error).__name__
