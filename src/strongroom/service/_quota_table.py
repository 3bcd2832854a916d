"""``QuotaTable``: how much of each quota is used up, in memory that all API processes of a host share.

Each bucket is one number, the *theoretical arrival time* of the generic cell rate algorithm (ITU-T I.371, Annex A, in
its virtual scheduling form), which lets the same requests pass as a token bucket. A bucket whose time lies in the past is full, and says
no more than one that was never there: so a table of fixed size needs no tidying up.

There is no lock. Two processes that take from one bucket in the same microsecond may count one of the two only; nobody is
refused for that.
"""

import mmap
import os
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple

SLOTS: Final = 65_536
_PROBES: Final = 8
SLOT_BYTES: Final = 16
"""A tag (64 bits, 0 while unused) and a time (a double), as the machine has them."""
_MAX_TAGS: Final = 16_384


class Bucket(NamedTuple):
    """What a request takes from: a name, and what the quota allows."""

    name: str
    interval_s: float
    """One request's share of time: 1 / rate."""
    tolerance_s: float
    """How far ahead of its time a request may come: (burst - 1) / rate."""


class QuotaTable:
    """The buckets of a host. Belongs to one event loop; other processes have their own, over the same file."""

    def __init__(self, memory: mmap.mmap) -> None:
        """Take memory of ``SLOTS`` · 16 bytes, all zeros when it is new."""
        whole = memoryview(memory)
        self._tags = whole.cast("Q")
        self._times = whole.cast("d")
        self._tag_of: dict[str, int] = {}
        self.n_unlimited = 0
        """Buckets of requests that were not counted, because their places in the table were taken by others."""

    @classmethod
    def open(cls, path: Path) -> "QuotaTable":
        """Share a file, which is made when it is not there. Raises OSError."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(descriptor, SLOTS * SLOT_BYTES)
            return cls(mmap.mmap(descriptor, SLOTS * SLOT_BYTES))
        finally:
            os.close(descriptor)

    def take(self, buckets: tuple[Bucket, ...], weight: int, now: float) -> float:
        """Take ``weight`` from each bucket and return 0; or from none, and return the seconds after which it may go.

        ``now`` is of a clock that all processes share and that never goes back. A request goes when a weight of 1 would, and is
        charged for whole: what weighs more than a bucket holds would never go otherwise.
        """
        slots: list[tuple[int, float]] = []
        for bucket in buckets:
            slot = self._slot(bucket.name, now)
            if slot is None:
                self.n_unlimited += 1
                continue
            at = max(self._times[slot], now)
            if at - now > bucket.tolerance_s:
                return at - now - bucket.tolerance_s
            slots.append((slot, at + weight * bucket.interval_s))
        for slot, at in slots:
            self._times[slot] = at
        return 0.0

    def would_take(self, buckets: tuple[Bucket, ...], now: float) -> bool:
        """Tell whether ``take`` would let a request go now, and take nothing."""
        tags, times = self._tags, self._times
        for bucket in buckets:
            tag = self._tag_of.get(bucket.name) or self._make_tag(bucket.name)
            for probe in range(tag, tag + _PROBES):
                slot = 2 * (probe % SLOTS)
                if tags[slot] == tag:
                    if times[slot + 1] - now > bucket.tolerance_s:
                        return False
                    break
        return True

    def _slot(self, name: str, now: float) -> int | None:
        """Return where the time of a bucket stands, after taking a free place if it has none; None when there is none."""
        tag = self._tag_of.get(name) or self._make_tag(name)
        tags, times = self._tags, self._times
        free = None
        for probe in range(tag, tag + _PROBES):
            slot = 2 * (probe % SLOTS)
            if tags[slot] == tag:
                return slot + 1
            if free is None and times[slot + 1] <= now:
                free = slot
        if free is None:
            return None
        tags[free] = tag
        times[free + 1] = now
        return free + 1

    def _make_tag(self, name: str) -> int:
        if len(self._tag_of) >= _MAX_TAGS:
            self._tag_of.clear()
        tag = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big") or 1
        self._tag_of[name] = tag
        return tag
