"""Fault switches: what a fake HSM does instead of working, and when it stops doing so."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from strongroom.core import HsmError, MemberFailedError


class Failing(NamedTuple):
    """How one call is to fail."""

    error: Callable[[], HsmError]
    happened: bool
    """Whether the work is done before the error is raised."""


def _device_error() -> HsmError:
    return MemberFailedError("the fake HSM was told to fail")


class Faults:
    """The switches of one fake. Safe to use from any thread.

    ``slow_s`` delays every call by so many seconds. ``wrong_key`` makes the HSM work with another key than the
    one that was named, without saying so, as a drifted member would. ``is_broken`` is what a
    ``hsm.worker.Performer`` says of itself.
    """

    def __init__(self) -> None:
        self.slow_s = 0.0
        self.wrong_key = False
        self.is_broken = False
        self._failing: deque[Failing] = deque()
        self._running_free = threading.Event()
        self._running_free.set()

    def fail_next(
        self, n_calls: int, error: Callable[[], HsmError] = _device_error, *, happened: bool = False
    ) -> None:
        """Let the next calls fail with what ``error()`` makes; with ``happened`` they do their work all the same."""
        self._failing.extend([Failing(error, happened)] * n_calls)

    def hang(self) -> None:
        """Let every call hang, those too that begin later, until ``release``."""
        self._running_free.clear()

    def release(self) -> None:
        """Let hanging calls go on."""
        self._running_free.set()

    def clear(self) -> None:
        """Switch every fault off."""
        self._failing.clear()
        self.slow_s, self.wrong_key, self.is_broken = 0.0, False, False
        self.release()

    @property
    def hangs(self) -> bool:
        """Whether calls hang."""
        return not self._running_free.is_set()

    def hold_up(self) -> None:
        """Keep this thread for ``slow_s``, and then for as long as calls hang."""
        if self.slow_s:
            time.sleep(self.slow_s)
        self._running_free.wait()

    def next_failure(self) -> Failing | None:
        """Take the failure that is due, if any."""
        try:
            return self._failing.popleft()
        except IndexError:
            return None
