"""What a shipper wants of a sink."""

from collections.abc import Sequence
from typing import Final, Protocol

from strongroom.audit import Entry

HOLD_S: Final = 1.0
"""Where a sink says at once that it has entries: how often that is kept. Each time costs a sync on the disk of the log."""
HOLD_ENTRIES: Final = 10_000


class Sink(Protocol):
    """A place that entries are copied to. Called in one thread of its own, where it may block; but for ``abort``."""

    hold_s: float
    """How long entries that were sent may wait for ``confirm``."""
    hold_entries: int
    """And how many."""

    def send(self, entries: Sequence[Entry]) -> None:
        """Hand over a batch. Raises SinkError and OSError; then what was not confirmed is sent again later."""
        ...

    def confirm(self) -> None:
        """Return once the sink has everything that was sent since the last time. Raises SinkError and OSError."""
        ...

    def abort(self) -> None:
        """Give up what is open, so that a call that hangs ends. May be called from any thread, and twice."""
        ...
