"""The HSM's own log beside what our workers asked of it: one record for one call, by use, key and time.

An HSM's record stands for a time between two moments, a call of ours for a second. Each call takes, of the records of its use and key
whose time it lies in, the one whose time ends first; that leaves as few records without a call as there can be. Records whose
key we do not know by name are compared by use and time alone. A record that is left is a use that the HSM saw and we did not make.
"""

import heapq
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Final, NamedTuple

from strongroom.vendorlogs._journal import UseRow
from strongroom.vendorlogs._record import COMPARED, Use, VendorRecord

SHOWN: Final = 100
_SAMPLE: Final = 500
_SECOND: Final = 1_000_000
_ENOUGH: Final = 0.95
"""An offset of zero is kept where it explains this part of what the best one does."""
_MAX_KEYS: Final = 10_000
_Group = tuple[str, str]
"""Use and CKA_ID; without the latter for records whose key is not known."""


class Limits(NamedTuple):
    """Which part of both logs is compared, and how exactly."""

    tolerance_s: float = 5.0
    max_offset_s: float = 900.0
    since: int = 0
    """Microseconds since the Unix epoch, as all below."""
    covered_since: int = 0
    """From when on our workers counted."""
    uses: tuple[Use, ...] = COMPARED
    """What the HSM can log at all; calls of ours of another use are left out."""


class KeyCount(NamedTuple):
    """Of one use of one key."""

    use: str
    key: str
    """CKA_ID, or the vendor's name where we do not know it."""
    hsm: int
    matched: int
    ours: int


class Comparison(NamedTuple):
    """What a comparison found."""

    offset_s: float
    """How far the HSM's clock is ahead of ours."""
    matched: int
    unknown: int
    """Uses that the HSM saw and none of our workers made."""
    ours_only: int
    """Calls that the HSM's log does not have, though it has records from before and after them."""
    ours_failed: int
    """How many of all compared calls failed: such a one need not have reached the HSM."""
    not_covered: int
    """Records of a time in which our workers did not count."""
    not_understood: int
    not_compared: dict[str, int]
    """Records of operations that are no uses, by name."""
    first_unknown: list[VendorRecord]
    keys: list[KeyCount]


class Pairing:
    """Compares two sorted streams in one pass; what waits is what lies within the time of a record."""

    def __init__(self, *, limits: Limits, offset_us: int, name_of: Callable[[VendorRecord], str]) -> None:
        """``name_of`` gives the CKA_ID of a record's key, or nothing."""
        self._tolerance = int(limits.tolerance_s * _SECOND)
        self._limits = limits
        self._offset = offset_us
        self._name_of = name_of
        self._open: dict[_Group, list[tuple[int, int, VendorRecord]]] = {}
        self._n = 0
        self.matched = self.unknown = self.ours_only = self.ours_failed = self.not_covered = (
            self.not_understood
        ) = 0
        self.not_compared: Counter[str] = Counter()
        self.first_unknown: list[VendorRecord] = []
        self._counts: dict[tuple[str, str], list[int]] = {}

    def run(self, records: Iterable[VendorRecord], rows: Iterable[UseRow]) -> Comparison:
        """Compare; records are sorted by ``since``, rows by second."""
        waiting = filter(self._is_understood, records)
        record = next(waiting, None)
        first = None if record is None else record.since - self._offset
        last = None if record is None else record.at - self._offset
        for row in rows:
            moment = row.second * _SECOND
            while record is not None and self._from(record) <= moment + _SECOND:
                last = max(last or 0, record.at - self._offset)
                self._take(record)
                record = next(waiting, None)
            is_due = first is not None and first - self._tolerance <= moment
            self._pair(row, moment, is_due=is_due, is_last=record is None, last=last or 0)
        for left in chain([] if record is None else [record], waiting):
            self._take(left)
        for heap in self._open.values():
            for _, _, left in heap:
                self._miss(left)
        return self._result()

    def _is_understood(self, record: VendorRecord) -> bool:
        """A line that was not understood has no time of its own: it is counted and left out."""
        self.not_understood += record.use == "unknown"
        return record.use != "unknown"

    def _from(self, record: VendorRecord) -> int:
        return record.since - self._offset - self._tolerance

    def _take(self, record: VendorRecord) -> None:
        if not record.is_compared:
            self.not_compared[record.operation] += 1
            return
        if record.at - self._offset < self._limits.since:
            return
        if record.at - self._offset + self._tolerance < self._limits.covered_since:
            self.not_covered += 1
            return
        key = self._name_of(record)
        self._count(record.use, key or record.key, 0)
        self._n += 1
        until = record.at - self._offset + self._tolerance
        heapq.heappush(self._open.setdefault((record.use, key), []), (until, self._n, record))

    def _pair(self, row: UseRow, moment: int, *, is_due: bool, is_last: bool, last: int) -> None:
        if row.use not in self._limits.uses or moment + _SECOND <= self._limits.since:
            return
        self.ours_failed += row.failed
        self._count(row.use, row.key, 2, row.calls)
        for done in range(row.calls):
            found = self._next((row.use, row.key), moment) or self._next((row.use, ""), moment)
            if found is None:
                if is_due and not (is_last and moment > last + self._tolerance):
                    self.ours_only += row.calls - done
                return
            self.matched += 1
            self._count(found.use, self._name_of(found) or found.key, 1)

    def _next(self, group: _Group, moment: int) -> VendorRecord | None:
        """Take the open record whose time ends first; those whose time is over by now are left over."""
        heap = self._open.get(group)
        while heap:
            until, _, record = heapq.heappop(heap)
            if until >= moment:
                return record
            self._miss(record)
        return None

    def _miss(self, record: VendorRecord) -> None:
        if record.since - self._offset - self._tolerance < self._limits.covered_since:
            self.not_covered += 1  # it may be of the moment before our workers began to count
            return
        self.unknown += 1
        if len(self.first_unknown) < SHOWN:
            self.first_unknown.append(record)

    def _count(self, use: str, key: str, place: int, n: int = 1) -> None:
        if (use, key) not in self._counts and len(self._counts) >= _MAX_KEYS:
            key = "(others)"
        self._counts.setdefault((use, key), [0, 0, 0])[place] += n

    def _result(self) -> Comparison:
        keys = [KeyCount(*group, *counts) for group, counts in sorted(self._counts.items())]
        unknown = sorted(self.first_unknown, key=lambda record: record.at)
        return Comparison(
            self._offset / _SECOND,
            self.matched,
            self.unknown,
            self.ours_only,
            self.ours_failed,
            self.not_covered,
            self.not_understood,
            dict(self.not_compared),
            unknown,
            keys,
        )


def compare_logs(
    records: Callable[[], Iterator[VendorRecord]],
    rows: Callable[[], Iterator[UseRow]],
    *,
    limits: Limits,
    names: Mapping[str, str],
    offset_s: float | None = None,
) -> Comparison:
    """Compare a member's records with its workers' calls; each is read twice, in constant memory.

    ``names`` gives the CKA_ID (32 hexadecimal digits) to what the vendor calls a key. ``offset_s``: how far the HSM's clock is ahead; measured
    from both logs where it is None. Raises VendorLogError and OSError of what reads them.
    """

    def name_of(record: VendorRecord) -> str:
        return names.get(record.key.lower(), "") if record.key else ""

    if offset_s is None:
        offset_us = measure_offset(records(), rows(), limits=limits, name_of=name_of)
    else:
        offset_us = int(offset_s * _SECOND)
    pairing = Pairing(limits=limits, offset_us=offset_us, name_of=name_of)
    return pairing.run(records(), rows())


def measure_offset(
    records: Iterable[VendorRecord],
    rows: Iterable[UseRow],
    *,
    limits: Limits,
    name_of: Callable[[VendorRecord], str],
) -> int:
    """Find how far the HSM's clock is ahead of ours, in microseconds: the offset by which most records fall on a call.

    From the first 500 records that have a time of their own, to a second; zero where that explains them as well.
    """
    widest = int(limits.max_offset_s * _SECOND)
    start = max(limits.since, limits.covered_since) - widest
    timed = (each for each in records if each.is_compared and each.since == each.at and each.at >= start)
    sample = list(islice(timed, _SAMPLE))
    if not sample:
        return 0
    wanted: dict[_Group, list[int]] = {}
    for record in sample:
        wanted.setdefault((record.use, name_of(record)), []).append(record.at // _SECOND)
    first = min(each.at for each in sample) - widest
    last = max(each.at for each in sample) + widest
    votes = _votes(wanted, rows, first // _SECOND, last // _SECOND, widest // _SECOND)
    width = max(int(limits.tolerance_s), 1)
    smooth = {offset: sum(votes[offset + step] for step in range(-1, 2)) for offset in list(votes)}
    if not smooth:
        return 0
    best = max(smooth, key=lambda offset: (smooth[offset], -abs(offset)))
    near_zero = max((smooth.get(step, 0) for step in range(-width, width + 1)), default=0)
    return 0 if near_zero >= smooth[best] * _ENOUGH else best * _SECOND


def _votes(
    wanted: dict[_Group, list[int]], rows: Iterable[UseRow], first: int, last: int, widest: int
) -> Counter[int]:
    """Count, for each difference in seconds, the pairs of a record and a call that it explains."""
    for seconds in wanted.values():
        seconds.sort()
    votes: Counter[int] = Counter()
    for row in rows:
        if row.second < first:
            continue
        if row.second > last:
            break
        for group in ((row.use, row.key), (row.use, "")):
            seconds = wanted.get(group, [])
            for second in seconds[bisect_left(seconds, row.second - widest) :]:
                if second > row.second + widest:
                    break
                votes[second - row.second] += 1
    return votes
