"""How many calls a member's HSM is given in a second: a token bucket in front of its queue."""

from strongroom.core import Clock


class Admission:
    """Lets ``calls_per_s`` calls through on average, and up to ``burst`` at once. Belongs to the event loop.

    HSMs that get more than they can do answer with errors that look like faults, or with none; a call too many is
    told so here at once, and its caller has time to ask another member.
    """

    def __init__(self, clock: Clock, *, calls_per_s: float, burst: int = 0) -> None:
        """``burst`` of 0: one second's worth. ``calls_per_s`` of 0: no limit."""
        self._clock = clock
        self._calls_per_s = calls_per_s
        self._most = max(float(burst) or calls_per_s, 1.0)
        self._left = self._most
        self._filled_at = clock.monotonic()

    def admit(self) -> bool:
        """Take leave for one call."""
        if not self._calls_per_s:
            return True
        now = self._clock.monotonic()
        self._left = min(self._left + (now - self._filled_at) * self._calls_per_s, self._most)
        self._filled_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def admit_some(self, n_calls: int) -> int:
        """Take leave for so many calls, or for as many as there is leave for; returns how many."""
        if not self._calls_per_s or n_calls < 1:
            return n_calls
        if not self.admit():
            return 0
        more = min(n_calls - 1, int(self._left))
        self._left -= more
        return 1 + more
