"""How fast a token may be asked: a rate, and pauses after it said that it cannot."""

import threading
import time

from strongroom.core import Clock, Deadline, MemberBusyError, random_bytes

_JITTER_BYTES = 2
_QUIET_PAUSES = 5


class Pace:
    """Lets through at most so many a second. Safe to use from any thread."""

    def __init__(self, what: str, per_s: float, clock: Clock) -> None:
        """``per_s`` of 0 is no limit."""
        self._what = what
        self._interval_s = 1 / per_s if per_s else 0.0
        self._clock = clock
        self._lock = threading.Lock()  # guards _next_at
        self._next_at = clock.monotonic()

    def wait(self, deadline: Deadline) -> None:
        """Wait for the next turn. Raises MemberBusyError at once when that comes after the deadline."""
        if not self._interval_s:
            return
        with self._lock:
            turn_at = max(self._next_at, self._clock.monotonic())
            if turn_at > deadline.at:
                raise MemberBusyError(f"{self._what} more often than the token takes it")
            self._next_at = turn_at + self._interval_s
        time.sleep(max(turn_at - self._clock.monotonic(), 0))


class BackOff:
    """Pauses that double each time, with jitter, and start small again after ``clear`` or five pauses without one.

    Safe to use from any thread.
    """

    def __init__(self, why: str, *, first_s: float, longest_s: float, clock: Clock) -> None:
        self._why = why
        self._first_s = first_s
        self._longest_s = longest_s
        self._clock = clock
        self._lock = threading.Lock()  # guards the two below
        self._pause_s = 0.0
        self._until = 0.0

    @property
    def is_on(self) -> bool:
        """Whether ``wait`` may have to wait."""
        return self._pause_s > 0

    def extend(self) -> None:
        """Begin a pause, twice as long as the last one and 0 to 50 % more."""
        with self._lock:
            now = self._clock.monotonic()
            is_new = not self._pause_s or now > self._until + _QUIET_PAUSES * self._pause_s
            self._pause_s = self._first_s if is_new else min(self._pause_s * 2, self._longest_s)
            jitter = int.from_bytes(random_bytes(_JITTER_BYTES), "big") / (1 << 8 * _JITTER_BYTES)
            self._until = now + self._pause_s * (1 + jitter / 2)

    def clear(self) -> None:
        """Forget the pause: it works again."""
        if self._pause_s:
            with self._lock:
                self._pause_s = 0.0
                self._until = 0.0

    def wait(self, deadline: Deadline) -> None:
        """Wait until the pause is over. Raises MemberBusyError at once when it takes more than half of the time left."""
        if not self._pause_s:
            return
        pause_s = self._until - self._clock.monotonic()
        if pause_s > deadline.remaining_s() / 2:
            raise MemberBusyError(f"{self._why}: waiting {pause_s:.2f} s before the next try")
        time.sleep(max(pause_s, 0))
