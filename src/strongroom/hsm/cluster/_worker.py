"""A published worker as a caller's process sees it: connection, breaker, latencies, and how much it is given."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from strongroom.core import Clock
from strongroom.hsm.cluster._breaker import Breaker
from strongroom.hsm.cluster._latency import Latencies
from strongroom.hsm.cluster._member import RemoteMember
from strongroom.hsm.cluster._table import MemberState, WorkerEntry

_RAMP_S = 10.0
_FIRST_SHARE = 0.1
_BUSY_FOR_S = 0.05
_MISSING_EVERY_S = 2.0
_TRICKLE_EVERY_S = 1.0
_TRICKLE_CALLS = 100


class Place(NamedTuple):
    """Which process is meant: what is said of one generation does not hold for the next."""

    member: str
    worker: int
    generation: int


class Worker:
    """One worker and what we know of it. Belongs to the event loop."""

    def __init__(
        self, entry: WorkerEntry, member: RemoteMember, *, clock: Clock, jitter: Callable[[], float]
    ) -> None:
        self.entry = entry
        self.place = Place(entry.member, entry.worker, entry.generation)
        """Which process this is."""
        self.member = member
        self.breaker = Breaker(clock, jitter)
        self.latencies: dict[str, Latencies] = {}
        self.late = 0
        """Calls under way that have taken longer than they should."""
        self.last_turn = 0
        self.reported_at = 0.0
        self.slow_since: float | None = None
        """Since when it has been found slow each time that it was looked at."""
        self._clock = clock
        self._busy_until = self._missing_until = 0.0
        self._ramp_from: float | None = None
        self._saved_share = 0.0
        self._trickled_at = clock.monotonic()
        self._calls_since = 0
        self._is_trickling = False

    @property
    def is_degraded(self) -> bool:
        """Whether main says that it is far slower than the others."""
        return self.entry.state is MemberState.DEGRADED

    @property
    def is_busy(self) -> bool:
        """Whether it has just said that it takes no more calls."""
        return self._busy_until > 0 and self._busy_until > self._clock.monotonic()

    @property
    def is_healthy(self) -> bool:
        """Whether it may serve as a measure for others."""
        return not self.is_degraded and self.breaker.is_closed

    def update(self, entry: WorkerEntry) -> None:
        """Take over what main publishes of the same process in another state; a suspicion is forgotten then."""
        if entry == self.entry:
            return
        was_degraded, self.entry = self.is_degraded, entry
        self.breaker.reset()
        if was_degraded != self.is_degraded:
            for latencies in self.latencies.values():
                latencies.forget_recent()
            self._ramp_from = self._clock.monotonic() if was_degraded else None

    def latencies_of(self, verb_name: str) -> Latencies:
        """The record for one verb, made at its first call."""
        found = self.latencies.get(verb_name)
        if found is None:
            found = self.latencies[verb_name] = Latencies(self._clock)
        return found

    def refused_as_busy(self) -> None:
        """Take note that it takes no more calls for the moment."""
        self._busy_until = self._clock.monotonic() + _BUSY_FOR_S

    def is_held_back(self) -> bool:
        """Whether to let this call pass that would be ours, as our share still grows: from a tenth to all, in 10 s.

        To be asked once for each such call, since the share adds up from call to call.
        """
        if self._ramp_from is None:
            return False
        since_s = self._clock.monotonic() - self._ramp_from
        if since_s >= _RAMP_S:
            self._ramp_from = None
            return False
        self._saved_share += _FIRST_SHARE + (1 - _FIRST_SHARE) * since_s / _RAMP_S
        if self._saved_share < 1:
            return True
        self._saved_share -= 1
        return False

    def may_report_missing(self) -> bool:
        """Whether main is to be told that a key was not found there: once in 2 s."""
        now = self._clock.monotonic()
        if now < self._missing_until:
            return False
        self._missing_until = now + _MISSING_EVERY_S
        return True

    def begin_probe(self) -> bool:
        """Whether this call is to be sent here too, to see how the worker is; to be asked once for each call.

        One at a time: where a breaker is half-open, and each second or hundred calls where the worker is degraded.
        """
        if self.breaker.begin_probe():
            return True
        if not self.is_degraded:
            return False
        self._calls_since += 1
        now = self._clock.monotonic()
        is_due = self._calls_since >= _TRICKLE_CALLS or now - self._trickled_at >= _TRICKLE_EVERY_S
        if self._is_trickling or not is_due or not self.breaker.is_closed:
            return False
        self._is_trickling, self._calls_since, self._trickled_at = True, 0, now
        return True

    def end_probe(self) -> None:
        """The probe has come to its end, with whatever outcome."""
        self._is_trickling = False
        self.breaker.end_probe()


async def close_when_idle(member: RemoteMember, *, limit_s: float) -> None:
    """Let the calls on a connection end, for so long, and close it."""
    try:
        async with asyncio.timeout(limit_s):
            while member.outstanding:  # noqa: ASYNC110  # rare and short: once for each worker that is replaced
                await asyncio.sleep(0.02)
    except TimeoutError:
        pass
    finally:
        member.close()
