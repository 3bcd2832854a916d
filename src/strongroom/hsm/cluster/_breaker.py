"""A circuit breaker for one worker, in the process that calls it."""

from collections.abc import Callable
from typing import Literal

from strongroom.core import Clock

BreakerState = Literal["closed", "half-open", "open"]

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 15.0
_JITTER = 0.5
"""A pause is shortened by up to this part of it, so that many processes do not come back at one moment."""


class Breaker:
    """Closed while the worker works. A failure opens it; after a pause it is half-open and lets one probe through.

    A probe that succeeds closes it, one that fails opens it for twice as long, up to 15 s. What it says is advice:
    where no worker is closed, a call goes to an open one rather than to none, and its success closes it too.
    ``jitter`` gives numbers from 0 to 1. Belongs to the event loop.
    """

    __slots__ = ("_clock", "_is_probing", "_jitter", "_opened_at", "_pause_s", "_until")

    def __init__(self, clock: Clock, jitter: Callable[[], float]) -> None:
        self._clock = clock
        self._jitter = jitter
        self._pause_s = 0.0  # 0 while closed
        self._opened_at = self._until = clock.monotonic()
        self._is_probing = False

    @property
    def is_closed(self) -> bool:
        """Whether the worker works, as far as we know."""
        return not self._pause_s

    @property
    def state(self) -> BreakerState:
        """Whether calls go to the worker, one may try, or none had better."""
        if not self._pause_s:
            return "closed"
        return "half-open" if self._clock.monotonic() >= self._until else "open"

    def begin_probe(self) -> bool:
        """Take the one chance of a half-open breaker; False where it is taken already or there is none."""
        if not self._pause_s or self._is_probing or self.state != "half-open":
            return False
        self._is_probing = True
        return True

    def succeeded(self, began_at: float) -> None:
        """Take note of an answer to a call that began then; one begun before the failure says nothing of now."""
        if self._pause_s and began_at >= self._opened_at:
            self.reset()

    def failed(self, *, is_probe: bool = False) -> bool:
        """Take note of a failure; returns whether it is news: the first one, or that of a probe."""
        is_first = not self._pause_s
        if not is_first and not is_probe:
            return False
        self._is_probing = False
        self._pause_s = _FIRST_PAUSE_S if is_first else min(self._pause_s * 2, _LONGEST_PAUSE_S)
        self._opened_at = self._clock.monotonic()
        self._until = self._opened_at + self._pause_s * (1 - _JITTER * self._jitter())
        return True

    def end_probe(self) -> None:
        """Give back the chance of a probe that came to no judgement."""
        self._is_probing = False

    def reset(self) -> None:
        """Close it: somebody who knows better says that the worker works."""
        self._pause_s, self._is_probing = 0.0, False
