"""Ctrl-C between two pieces of work, for commands that follow something without end."""

import signal
import time
from types import FrameType, TracebackType
from typing import Self


class InterruptBetween:
    """While open, Ctrl-C raises ``KeyboardInterrupt`` in ``sleep``, not in the middle of a read.

    Python would raise it wherever it happens to be, also between the opening of a file and the name that closes
    it. A second Ctrl-C is raised at once: work that hangs can still be left. Main thread only, as ``signal`` asks.
    """

    def __init__(self) -> None:
        self._asked = False
        self._asleep = False

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def sleep(self, seconds: float) -> None:
        """Sleep; raises ``KeyboardInterrupt`` if Ctrl-C was pressed since the last sleep, or is now."""
        self._asleep = True
        try:
            if self._asked:
                raise KeyboardInterrupt
            time.sleep(seconds)
        finally:
            self._asleep = False

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._asleep or self._asked:
            raise KeyboardInterrupt
        self._asked = True
