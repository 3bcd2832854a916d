"""What a worker tells of its health: how often it recovered, and whether it wants to be replaced."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from strongroom.core import Clock
from strongroom.hsm.token import Profile, RecoveryCounters

_STATM: Final = Path("/proc/self/statm")
_MIB: Final = 1 << 20


class Health(NamedTuple):
    """One answer."""

    recoveries: dict[str, int]
    recycle: str
    """Why the worker wants to be replaced; empty while it does not."""


class WorkerHealth:
    """Watches age, calls and memory of this process against the limits of its profile, for libraries that leak.

    Belongs to the event loop. Once the worker wants to be replaced, it stays so.
    """

    def __init__(
        self,
        recoveries: Callable[[], RecoveryCounters],
        profile: Profile,
        *,
        clock: Clock,
        resident_mib: Callable[[], float] | None = None,
    ) -> None:
        self._recoveries = recoveries
        self._profile = profile
        self._clock = clock
        self._resident_mib = resident_mib or resident_memory_mib
        self._began = clock.monotonic()
        self._recycle = ""

    def read(self, calls: int) -> Health:
        """Tell how it is after so many calls."""
        self._recycle = self._recycle or self._reason(calls)
        return Health(self._recoveries()._asdict(), self._recycle)

    def _reason(self, calls: int) -> str:
        limits = self._profile
        age_s = self._clock.monotonic() - self._began
        if limits.recycle_after_s and age_s >= limits.recycle_after_s:
            return f"it has run for {age_s:.0f} s, where {limits.recycle_after_s:.0f} s are its time"
        if limits.recycle_after_calls and calls >= limits.recycle_after_calls:
            return f"it has done {calls} calls, where {limits.recycle_after_calls} are its share"
        if limits.recycle_above_mib and (taken_mib := self._resident_mib()) >= limits.recycle_above_mib:
            return f"it takes {taken_mib:.0f} MiB of memory, where {limits.recycle_above_mib} are its limit"
        return ""


def resident_memory_mib() -> float:
    """Return the resident memory of this process in MiB (proc(5), statm); 0 where the system does not tell."""
    try:
        pages = int(_STATM.read_bytes().split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / _MIB
