"""A clock that moves when it is told to."""

_EPOCH_S = 1_700_000_000.0
_MONOTONIC_S = 1_000.0


class FakeClock:
    """A ``core.Clock`` that stands still until ``advance``. Not for deadlines of real sockets: nobody would wake up."""

    def __init__(self, now: float = _EPOCH_S) -> None:
        self._now = now
        self._monotonic = _MONOTONIC_S

    def now(self) -> float:
        """Return seconds since the Unix epoch."""
        return self._now

    def monotonic(self) -> float:
        """Return seconds that only ``advance`` moves."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Move both clocks. Raises ValueError when asked to go back."""
        if seconds < 0:
            raise ValueError("a clock does not go back; use set_wall_clock to have somebody set it")
        self._now += seconds
        self._monotonic += seconds

    def set_wall_clock(self, now: float) -> None:
        """Set the wall clock alone, as an operator or NTP does."""
        self._now = now
