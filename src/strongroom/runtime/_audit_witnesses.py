"""The witnesses of this host's audit log, in main: each is sent the newest checkpoint, and nobody waits for any of them."""

import asyncio
import contextlib
import functools
from collections.abc import Sequence
from typing import Final

from strongroom.audit import KeptCheckpoint
from strongroom.config import AuditWitnessConfig, Home
from strongroom.core import Clock, EventSink, StrongroomError
from strongroom.runtime._audit_witness_caller import WitnessCaller, WitnessDisagreesError
from strongroom.runtime._audit_witness_post import WitnessPost
from strongroom.shipping import OwnThread
from strongroom.wiring.audit_witnesses import (
    WitnessStanding,
    read_standing,
    witness_files,
    witness_keys,
    write_standing,
)
from strongroom.wiring.exposition import family

_POLL_S: Final = 0.25
_LOOK_EVERY_S: Final = 1.0
_FIRST_PAUSE_S: Final = 1.0
_DOUBLINGS: Final = 16
_TELL_EVERY_S: Final = 3_600.0
_TELL_ANEW_S: Final = 60.0
"""How soon after a witness agreed again it is told that it disagrees."""
_LAST_S: Final = 2.0
"""How long the end of the service waits for witnesses of the last checkpoint."""
_DISK_S: Final = 30.0
_MAX_CAUSE: Final = 300


class WitnessFeeder:
    """Sends checkpoints to one witness until it is told to stop. Belongs to one event loop."""

    def __init__(self, config: AuditWitnessConfig, home: Home, *, events: EventSink, clock: Clock) -> None:
        """Raises ConfigError."""
        self.name = config.name
        self._config, self._audit, self._events, self._clock = config, home.audit, events, clock
        self._post = WitnessPost(config.url, witness_files(config, home), config.timeout_s, clock=clock)
        self._caller = WitnessCaller(config.name, home.audit, witness_keys(config), self._post, clock=clock)
        self._thread = OwnThread(f"audit-witness-{config.name}")
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._newest: KeptCheckpoint | None = None
        self._confirmed: int | None = None  # entries; None until the files were read
        self._behind_since: float | None = None
        self._tries = 0  # that failed, in a row
        self._failures = 0
        self._standing = WitnessStanding()
        self._is_alarmed = False
        self._may_tell: dict[str, float] = {}  # when an event may be told again

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.ensure_future(self._run())

    def take(self, kept: KeptCheckpoint) -> None:
        """Take notice of a newer checkpoint; what is between it and the last one that went out is left out."""
        self._newest = kept

    async def finish(self, limit_s: float) -> None:
        """Give the newest checkpoint a moment, and end."""
        self._stopping.set()
        if self._task is not None:
            with contextlib.suppress(TimeoutError, asyncio.CancelledError):
                async with asyncio.timeout(limit_s):
                    await self._task
            self._task.cancel()
        self._post.abort()
        self._thread.close()

    @property
    def behind_entries(self) -> int:
        """Entries under a checkpoint that the witness has not confirmed."""
        newest = 0 if self._newest is None else self._newest.checkpoint.size
        return max(newest - (self._confirmed or 0), 0)

    @property
    def behind_s(self) -> float:
        """How long the oldest such checkpoint has waited."""
        return 0.0 if self._behind_since is None else max(self._clock.monotonic() - self._behind_since, 0.0)

    @property
    def is_failing(self) -> bool:
        """Whether the last attempt failed."""
        return self._tries > 0

    @property
    def disagrees(self) -> bool:
        """Whether the witness confirmed another past."""
        return self._standing.disagrees

    @property
    def failures(self) -> int:
        """Attempts that failed since main started."""
        return self._failures

    def look(self) -> None:
        """Raise the alarm when a checkpoint has waited too long, or end it."""
        now = self._clock.monotonic()
        if not self._is_due():
            self._behind_since = None
            if self._is_alarmed and self._newest is not None:
                self._is_alarmed = False
                self._may_tell.pop("audit.witness_behind", None)
                self._events.emit("audit.witness_caught_up", witness=self.name, entries=self._confirmed)
            return
        if self._behind_since is None:
            self._behind_since = now
        if self.behind_s >= self._config.alarm_s:
            self._is_alarmed = True
            self._tell(
                "audit.witness_behind",
                entries=self.behind_entries,
                seconds=round(self.behind_s, 1),
                cause=self._standing.cause or "no answer yet",
            )

    def _is_due(self) -> bool:
        return self._newest is not None and (
            self._confirmed is None or self._newest.checkpoint.size != self._confirmed
        )

    async def _run(self) -> None:
        while True:
            newest = self._newest
            if newest is not None and self._is_due():
                began = self._clock.monotonic()
                if await self._succeeds(newest):
                    self._behind_since = began
                    continue
                if self._stopping.is_set():
                    return
                await self._pause(
                    min(_FIRST_PAUSE_S * 2 ** min(self._tries - 1, _DOUBLINGS), self._config.retry_max_s)
                )
            elif self._stopping.is_set():
                return
            else:
                await self._pause(_POLL_S)

    async def _succeeds(self, newest: KeptCheckpoint) -> bool:
        """Have the witness confirm a checkpoint; tell and keep what went wrong."""
        try:
            if self._confirmed is None:
                read = functools.partial(read_standing, self._audit, self.name)
                self._standing = await self._thread.run(read, limit_s=_DISK_S)
                look = functools.partial(self._caller.open, newest)
                self._confirmed = await self._thread.run(look, limit_s=_DISK_S)
            if self._is_due():
                limit_s = 3 * self._config.timeout_s + _DISK_S
                await self._thread.run(functools.partial(self._caller.confirm, newest), limit_s=limit_s)
        except WitnessDisagreesError as error:
            await self._failed(error, disagrees=True)
            return False
        except Exception as error:  # noqa: BLE001  # whatever a witness's bytes or our files bring about: told, and tried again
            self._post.abort()
            await self._failed(error, disagrees=False)
            return False
        if self._standing.disagrees:
            again = self._clock.monotonic() + _TELL_ANEW_S  # it may disagree anew
            self._may_tell["audit.witness_disagrees"] = again
        if size := self._caller.went_back_from:
            self._caller.went_back_from = 0
            self._tell("audit.witness_went_back", entries=size)
        self._confirmed, self._tries = newest.checkpoint.size, 0
        await self._keep_standing(WitnessStanding())
        return True

    async def _failed(self, error: Exception, *, disagrees: bool) -> None:
        self._tries += 1
        self._failures += 1
        words = error.message if isinstance(error, StrongroomError) else str(error)
        cause = words[:_MAX_CAUSE] or type(error).__name__
        self._tell("audit.witness_disagrees" if disagrees else "audit.witness_failed", cause=cause)
        since = self._standing.failing_since or self._clock.now()
        await self._keep_standing(
            WitnessStanding(failing_since=since, cause=cause, disagrees=disagrees or self._standing.disagrees)
        )

    def _tell(self, event: str, **fields: object) -> None:
        """Emit an event, each once an hour at most: what is told is an entry, which makes a checkpoint more."""
        now = self._clock.monotonic()
        if now >= self._may_tell.get(event, now):
            self._may_tell[event] = now + _TELL_EVERY_S
            self._events.emit(event, witness=self.name, **fields)

    async def _keep_standing(self, standing: WitnessStanding) -> None:
        """Write how it stands where it has changed, for ``audit witness status``; a disk that refuses is told elsewhere."""
        if standing != self._standing:
            self._standing = standing
            write = functools.partial(write_standing, self._audit, self.name, standing)
            with contextlib.suppress(StrongroomError, OSError):
                await self._thread.run(write, limit_s=_DISK_S)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()


class AuditWitnesses:
    """All witnesses of this host. Belongs to the event loop of main."""

    def __init__(
        self, witnesses: Sequence[AuditWitnessConfig], home: Home, *, events: EventSink, clock: Clock
    ) -> None:
        """Raises ConfigError where what is configured as a key is none."""
        self._feeders = [WitnessFeeder(one, home, events=events, clock=clock) for one in witnesses]
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        for feeder in self._feeders:
            feeder.start()
        if self._feeders:
            self._looking = asyncio.ensure_future(self._look_now_and_then())

    def take(self, kept: KeptCheckpoint) -> None:
        """Have every witness confirm a checkpoint."""
        for feeder in self._feeders:
            feeder.take(kept)

    async def finish(self) -> None:
        """Give witnesses a moment for the last checkpoint, and end."""
        await asyncio.gather(*(feeder.finish(_LAST_S) for feeder in self._feeders))
        if self._looking is not None:
            self._looking.cancel()

    def metrics(self) -> str:
        """Prometheus text of each witness; nothing where there is none."""
        if not self._feeders:
            return ""
        found = {f'{{witness="{feeder.name}"}}': feeder for feeder in self._feeders}
        gauges: tuple[tuple[str, str, dict[str, int | float]], ...] = (
            (
                "behind_entries",
                "Entries under a checkpoint that a witness has not confirmed.",
                {label: one.behind_entries for label, one in found.items()},
            ),
            (
                "behind_seconds",
                "How long the oldest such checkpoint has waited.",
                {label: round(one.behind_s, 3) for label, one in found.items()},
            ),
            (
                "failing",
                "Whether the last attempt failed.",
                {label: int(one.is_failing) for label, one in found.items()},
            ),
            (
                "disagrees",
                "Whether a witness confirmed another past of this log.",
                {label: int(one.disagrees) for label, one in found.items()},
            ),
        )
        counted = {label: one.failures for label, one in found.items()}
        return "".join(
            family(f"audit_witness_{name}", "gauge", text, samples) for name, text, samples in gauges
        ) + family("audit_witness_failures_total", "counter", "Attempts that failed.", counted)

    async def _look_now_and_then(self) -> None:
        while True:
            for feeder in self._feeders:
                feeder.look()
            await asyncio.sleep(_LOOK_EVERY_S)
