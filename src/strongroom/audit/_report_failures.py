"""Clusters of failed authentications: from where, under which name, how many, and whether it worked afterwards.

A failed authentication is a refusal of a request whose sender was not recognised. Those of one address and one claimed name are a
cluster as long as no two that follow each other are further apart than the window. Sums (``refusals.summed``) count too: what they
tell of an address is a cluster of that address, and what they do not tell is counted in the whole. The largest clusters are kept.
"""

import heapq
from collections import Counter, OrderedDict
from typing import Final

import msgspec
from msgspec import Struct

from strongroom.audit._entry import Entry

SUM_EVENT: Final = "refusals.summed"
SUMMED: Final = "(in sums)"
"""In the place of a name: of requests that have no entries of their own."""
MOST_OPEN: Final = 10_000
_MOST_CAUSES: Final = 20
_MOST_COUNT: Final = 1 << 53

_counts = msgspec.json.Decoder(dict[str, int])


class FailureCluster(Struct):
    """Failures of one address under one name; times in microseconds since the Unix epoch."""

    source: str
    claimed: str
    """The access key id that the requests claimed, ``-`` for none."""
    first_at: int
    last_at: int
    failures: int = 0
    causes: dict[str, int] = {}
    succeeded_at: int = 0
    """When a call from this address with this access key was let in within the window after a failure; 0: never."""
    succeeded_as: str = ""


class FailureReport(Struct, frozen=True):
    """All of it."""

    failures: int
    """All of the time, those in sums too."""
    in_sums: int
    """How many of them have no entries of their own."""
    causes: dict[str, int]
    clusters: list[FailureCluster]
    """The largest first."""
    n_clusters: int
    """How many there were, also of those that are not listed."""


class FailureCount:
    """Gathers clusters, in bounded memory: open ones are at most ``most_open``, of the others the ``top`` largest are kept."""

    def __init__(self, *, window_s: float, top: int, most_open: int = MOST_OPEN) -> None:
        self._window = int(window_s * 1_000_000)
        self._top, self._most_open = top, most_open
        self._open: OrderedDict[tuple[str, str], FailureCluster] = OrderedDict()
        self._largest: list[
            tuple[int, int, FailureCluster]
        ] = []  # a heap; the number keeps clusters from being compared
        self._closed = self._failures = self._in_sums = 0
        self._causes: Counter[str] = Counter()

    def add(self, entry: Entry) -> None:
        """Take an entry into account, in the order of time."""
        if entry.kind == "outcome":
            cluster = self._open.get((entry.source_address, entry.access_key_id))
            if (
                cluster is not None
                and not cluster.succeeded_at
                and 0 <= entry.at - cluster.last_at <= self._window
            ):
                cluster.succeeded_at, cluster.succeeded_as = entry.at, entry.principal
        elif entry.kind == "refusal":
            if entry.event == SUM_EVENT:
                self._add_sum(entry)
            elif not entry.principal:
                self._count_causes({entry.outcome: 1})
                self._failures += 1
                cluster = self._cluster(
                    entry.source_address or "-", entry.access_key_id or "-", entry.at, entry.at
                )
                _grow(cluster, 1, {entry.outcome: 1})

    def _add_sum(self, entry: Entry) -> None:
        count = _number(entry.detail.get("count", ""))
        since = _number(entry.detail.get("since", "")) or entry.at
        self._failures += count
        self._in_sums += count
        self._count_causes(_read_counts(entry.detail.get("causes", "")))
        for source, n_failures in _read_counts(entry.detail.get("sources", "")).items():
            _grow(self._cluster(source, SUMMED, since, entry.at), n_failures, {})

    def _cluster(self, source: str, claimed: str, first_at: int, last_at: int) -> FailureCluster:
        place = (source, claimed)
        cluster = self._open.get(place)
        if cluster is not None and abs(first_at - cluster.last_at) > self._window:
            self._close(self._open.pop(place))
            cluster = None
        if cluster is None:
            while len(self._open) >= self._most_open:
                self._close(self._open.popitem(last=False)[1])
            cluster = self._open[place] = FailureCluster(source, claimed, first_at, last_at)
        self._open.move_to_end(place)
        cluster.first_at, cluster.last_at = min(cluster.first_at, first_at), max(cluster.last_at, last_at)
        return cluster

    def _close(self, cluster: FailureCluster) -> None:
        self._closed += 1
        heapq.heappush(self._largest, (cluster.failures, -self._closed, cluster))
        if len(self._largest) > self._top:
            heapq.heappop(self._largest)

    def _count_causes(self, causes: dict[str, int]) -> None:
        for cause, n_failures in causes.items():
            if cause in self._causes or len(self._causes) < _MOST_CAUSES:
                self._causes[cause] += n_failures

    def report(self) -> FailureReport:
        """Return what was gathered; nothing may be added after that."""
        while self._open:
            self._close(self._open.popitem(last=False)[1])
        largest = [cluster for _, _, cluster in sorted(self._largest, key=lambda one: (-one[0], -one[1]))]
        return FailureReport(
            self._failures, self._in_sums, dict(self._causes.most_common()), largest, self._closed
        )


def _grow(cluster: FailureCluster, n_failures: int, causes: dict[str, int]) -> None:
    cluster.failures += n_failures
    for cause, count in causes.items():
        if cause in cluster.causes or len(cluster.causes) < _MOST_CAUSES:
            cluster.causes[cause] = cluster.causes.get(cause, 0) + count


def _number(text: str) -> int:
    """Read a number of an entry's detail; 0 for what is none."""
    return min(int(text), _MOST_COUNT) if text.isascii() and text.isdigit() and len(text) <= 16 else 0


def _read_counts(text: str) -> dict[str, int]:
    """Read numbers by name of an entry's detail; none of what is something else."""
    try:
        return {name: count for name, count in _counts.decode(text).items() if 0 < count <= _MOST_COUNT}
    except (msgspec.DecodeError, ValueError, RecursionError):
        return {}
