"""Time as an argument: wall clock for records, monotonic clock for deadlines and lifetimes."""

import time
from typing import NamedTuple, Protocol, Self


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> float:
        """Return the wall clock: seconds since the Unix epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back; only differences mean anything."""
        ...


class SystemClock:
    """The clocks of the operating system."""

    now = staticmethod(time.time)  # the function itself: each request asks several times
    """Return seconds since the Unix epoch."""

    def monotonic(self) -> float:
        """Return seconds since the system was booted, those in which it was suspended included.

        CLOCK_BOOTTIME (clock_gettime(2), Linux), since CLOCK_MONOTONIC, which ``time.monotonic`` reads, stands still
        during suspend: what may be kept for five minutes would be kept over a night in a closed laptop.
        """
        return time.clock_gettime(time.CLOCK_BOOTTIME)


class Deadline(NamedTuple):
    """A point on the monotonic clock by which something must have answered."""

    clock: Clock
    at: float

    @classmethod
    def after(cls, clock: Clock, seconds: float) -> Self:
        """Make a deadline ``seconds`` from now."""
        return cls(clock, clock.monotonic() + seconds)

    def remaining_s(self) -> float:
        """Seconds left; zero or less once it has passed."""
        return self.at - self.clock.monotonic()

    def has_passed(self) -> bool:
        """Whether no time is left."""
        return self.remaining_s() <= 0
