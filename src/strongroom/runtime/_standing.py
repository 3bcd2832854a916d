"""Whether a member that serves is restricted for now: too slow, or refusing to write. What is said of it lapses."""

from typing import NamedTuple

from strongroom.core import Clock
from strongroom.hsm.cluster import MemberState

_LEASE_S = 60.0
"""Restrictions that nobody repeats for so long are lifted: who caused them has gone, or there are no callers to tell."""
_SHORTEST_SLOW_S = 2.0
_LONGEST_SLOW_S = 60.0
_FORGIVEN_AFTER_S = 300.0
_EVENTS = {MemberState.DEGRADED: "member.degraded", MemberState.READ_ONLY: "member.read_only"}


class Restriction(NamedTuple):
    """The state that a member is published in while it serves, and why."""

    state: MemberState
    reason: str

    @property
    def event(self) -> str:
        """What the beginning of it is called in log and audit."""
        return _EVENTS.get(self.state, "member.restored")


_NONE = Restriction(MemberState.ACTIVE, "")


class Standing:
    """What callers say of one member beyond that it fails, and what follows from it. Belongs to the event loop of main.

    A slow member stays degraded for at least 2 s, twice as long each time within 5 minutes, up to a minute.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._slow_until = self._no_writes_until = self._slow_at_least_until = clock.monotonic()
        self._slow_reason = self._no_writes_reason = ""
        self._next_slow_s = _SHORTEST_SLOW_S
        self._last_slow_at = clock.monotonic()

    def slow(self, reason: str) -> None:
        """Take note that the member is far slower than the others."""
        now = self._clock.monotonic()
        if now >= self._slow_until:
            if now - self._last_slow_at > _FORGIVEN_AFTER_S:
                self._next_slow_s = _SHORTEST_SLOW_S
            self._slow_at_least_until = now + self._next_slow_s
            self._next_slow_s = min(self._next_slow_s * 2, _LONGEST_SLOW_S)
        self._last_slow_at = now
        self._slow_until, self._slow_reason = now + _LEASE_S, reason

    def recovered(self) -> None:
        """Take note that the member is as fast as the others again; too early, it counts for nothing."""
        now = self._clock.monotonic()
        if now >= self._slow_at_least_until:
            self._slow_until = now

    def refuses_writes(self, reason: str) -> None:
        """Take note that the member refused to make, change or destroy a key."""
        self._no_writes_until, self._no_writes_reason = self._clock.monotonic() + _LEASE_S, reason

    def renewed(self) -> None:
        """A new worker serves the member: it is judged anew."""
        self._slow_until = self._clock.monotonic()

    def now(self) -> Restriction:
        """The state to publish while the member serves."""
        now = self._clock.monotonic()
        if now < self._slow_until:
            return Restriction(MemberState.DEGRADED, self._slow_reason)
        if now < self._no_writes_until:
            return Restriction(MemberState.READ_ONLY, self._no_writes_reason)
        return _NONE
