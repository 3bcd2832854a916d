"""How long a member takes for a verb: enough to compare it with the others, in memory that does not grow."""

import math
from collections import deque
from collections.abc import Iterable

from strongroom.core import Clock

_PER_OCTAVE = 4
_SHORTEST_S = 0.0001
_OCTAVES = 20
_N_BUCKETS = _PER_OCTAVE * _OCTAVES + 1
"""From 0.1 ms to 105 s in steps of a quarter octave, so that a quantile is at most 19 % too high."""
_HALF_WINDOW_S = 10.0
_RECENT = 32
_FRESH_FOR_S = 10.0
_SHOWN_OCTAVES = 18
"""Buckets of the metrics: 0.1 ms, 0.2 ms, … 13.1 s."""

BOUNDS_S = tuple(_SHORTEST_S * 2**octave for octave in range(_SHOWN_OCTAVES))
"""Upper bounds of the buckets of ``Totals``, in seconds."""


class Totals:
    """All latencies of one member and verb since this process started, for metrics. Belongs to the event loop."""

    __slots__ = ("buckets", "count", "sum_s")

    def __init__(self) -> None:
        self.buckets = [0] * len(BOUNDS_S)
        """How many calls took up to the bound of the same place in ``BOUNDS_S`` and longer than the one before."""
        self.count = 0
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one call."""
        self.count += 1
        self.sum_s += seconds
        octave = _bucket(seconds, 1)
        if octave < len(self.buckets):
            self.buckets[octave] += 1


class Latencies:
    """The latencies of one worker for one verb: the last 32, and how those of the last 10 to 20 s are spread.

    Belongs to the event loop.
    """

    __slots__ = ("_before", "_clock", "_last_at", "_now", "_recent", "_turned_at", "count")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.count = 0
        """Calls so far."""
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._last_at = clock.monotonic()
        self._now = [0] * _N_BUCKETS
        self._before = [0] * _N_BUCKETS
        self._turned_at = self._last_at

    def add(self, seconds: float) -> None:
        """Take note of a call that took so long, or that was given up after so long."""
        self._turn()
        self._now[_bucket(seconds, _PER_OCTAVE)] += 1
        self.count += 1
        self._recent.append(seconds)
        self._last_at = self._clock.monotonic()

    def recent_median(self, n_calls: int) -> float | None:
        """The median of the last ``n_calls`` (at most 32), in seconds; None while there are fewer or none for 10 s."""
        if len(self._recent) < n_calls or self._clock.monotonic() - self._last_at > _FRESH_FOR_S:
            return None
        return sorted(list(self._recent)[-n_calls:])[n_calls // 2]

    def quantile(self, fraction: float, *, at_least: int) -> float | None:
        """The time in which this part of the calls of the last 10 to 20 s was done; None with fewer calls."""
        self._turn()
        counts = [now + before for now, before in zip(self._now, self._before, strict=True)]
        wanted = fraction * sum(counts)
        if sum(counts) < at_least:
            return None
        reached = 0
        for bucket, count in enumerate(counts):
            reached += count
            if reached >= wanted and count:
                return float(_SHORTEST_S * 2 ** (bucket / _PER_OCTAVE))
        return None

    def forget_recent(self) -> None:
        """Judge from here on by what is still to come."""
        self._recent.clear()

    def _turn(self) -> None:
        now = self._clock.monotonic()
        halves = int((now - self._turned_at) / _HALF_WINDOW_S)
        if halves:
            self._before = self._now if halves == 1 else [0] * _N_BUCKETS
            self._now = [0] * _N_BUCKETS
            self._turned_at += halves * _HALF_WINDOW_S


def _bucket(seconds: float, per_octave: int) -> int:
    """The first bucket whose bound is not below ``seconds``; the last one takes all that is longer."""
    if seconds <= _SHORTEST_S:
        return 0
    return min(math.ceil(math.log2(seconds / _SHORTEST_S) * per_octave - 1e-9), _OCTAVES * per_octave)


def middle(values: Iterable[float | None]) -> float | None:
    """The median of what is known, the lower one of two: one member that is far off does not move it."""
    known = sorted(value for value in values if value is not None)
    return known[(len(known) - 1) // 2] if known else None
