"""Refusals at the door: of those who are known one entry each, of strangers so many, and beyond that sums.

Whoever reaches the socket can have requests refused as fast as they can send them. So strangers get one entry each out of a bucket that
refills slowly; the rest are counted, and the counts written down at intervals and at the end. A count says how many, from which
causes, and who was loudest; it holds nothing that a request said but claimed access key ids and addresses. Memory and log are
bounded, whatever strangers send. Half of the bucket is for sources that had no entry of late, so that the noise of one stranger does not
take the entries of another's attempts.
"""

import ipaddress
import json
from collections import Counter
from typing import Final, NamedTuple

from strongroom.audit import AuditLog
from strongroom.core import AuditUnavailableError, Clock
from strongroom.service._audited import event_of
from strongroom.service._values import Refusal

SUM_EVENT: Final = "refusals.summed"
_KEPT: Final = 64
_MAX_SOURCES: Final = 1_024
_FORGOTTEN_AFTER_S: Final = 60.0
_TOLD: Final = 5


class RefusalRules(NamedTuple):
    """How many refusals of strangers are entries of their own, in each process."""

    burst: int = 60
    """So many at once; of one source (an IPv4 address, or 64 bits of IPv6) half of it."""
    per_minute: float = 10.0
    """So many in the long run."""
    sum_every_s: float = 60.0
    """The others are told of in one entry this often."""


DEFAULT_RULES: Final = RefusalRules()


class LoudestCounts:
    """Counts by name, of at most 64 names at a time.

    Each count is a lower bound, too low by at most a 65th of all that was counted; so whoever made more than that of it is here
    (J. Misra, D. Gries: Finding repeated elements, 1982).
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def add(self, name: str, count: int = 1) -> None:
        """Count a name."""
        counts = self.counts
        if name in counts or len(counts) < _KEPT:
            counts[name] = counts.get(name, 0) + count
            return
        cut = min(count, *counts.values())
        self.counts = {known: n - cut for known, n in counts.items() if n > cut}
        if count > cut:
            self.counts[name] = count - cut

    def told(self) -> str:
        """Return the loudest as a JSON object in ASCII, the loudest first."""
        loudest = sorted(self.counts.items(), key=lambda one: (-one[1], one[0]))[:_TOLD]
        return json.dumps({name[:64]: count for name, count in loudest}, separators=(",", ":"))


class _Sum:
    """Refusals that have no entries of their own."""

    def __init__(self, since: float) -> None:
        self.since = since
        self.count = 0
        self.causes: Counter[tuple[str, str]] = Counter()  # codes and operations that we know: few
        self.sources, self.access_keys = LoudestCounts(), LoudestCounts()

    def add(self, refusal: Refusal) -> None:
        self.count += 1
        self.causes[refusal.error_code, refusal.operation] += 1
        self.sources.add(refusal.source_address)
        self.access_keys.add(refusal.access_key_id)

    def absorb(self, later: "_Sum") -> None:
        self.count += later.count
        self.causes += later.causes
        for mine, other in ((self.sources, later.sources), (self.access_keys, later.access_keys)):
            for name, count in other.counts.items():
                mine.add(name, count)

    def detail(self) -> dict[str, str]:
        causes: Counter[str] = Counter()
        operations: Counter[str] = Counter()
        for (cause, operation), count in self.causes.items():
            causes[cause] += count
            operations[operation] += count
        return {
            "count": str(self.count),
            "since": str(int(self.since * 1_000_000)),
            "causes": _loudest(causes),
            "operations": _loudest(operations),
            "sources": self.sources.told(),
            "access_keys": self.access_keys.told(),
        }


class Refusals:
    """Writes refusals down, or counts them. Belongs to one event loop."""

    def __init__(
        self,
        audit: AuditLog,
        *,
        clock: Clock,
        rules: RefusalRules = DEFAULT_RULES,
    ) -> None:
        self._audit = audit
        self._clock = clock
        self.rules = rules
        self._tokens = float(self.rules.burst)
        self._refilled_at = self._forgot_at = clock.monotonic()
        self._sources: set[str] = set()  # that had an entry of late
        self._sum: _Sum | None = None
        self.summed = 0
        """Refusals without entries of their own, since the process started."""

    async def record(self, refusal: Refusal) -> None:
        """Return once a refusal is durable, or counted where there were too many. Raises AuditUnavailableError."""
        if not refusal.principal and not self._take(_network(refusal.source_address)):
            self._count(refusal)
            return
        await write_refusal(self._audit, refusal)

    async def tell(self) -> None:
        """Write down what was counted since the last time, if anything was. Raises AuditUnavailableError; then it is kept."""
        summed = self._begin_another()
        if summed is None:
            return
        try:
            await self._audit.record("refusal", SUM_EVENT, detail=summed.detail())
        except AuditUnavailableError:
            later = self._begin_another()
            if later is not None:
                summed.absorb(later)
            self._sum = summed
            raise

    def _begin_another(self) -> _Sum | None:
        summed, self._sum = self._sum, None
        return summed

    def _take(self, source: str) -> bool:
        now = self._clock.monotonic()
        if now - self._forgot_at >= _FORGOTTEN_AFTER_S:
            self._forgot_at = now
            self._sources.clear()
        more = (now - self._refilled_at) * self.rules.per_minute / 60
        self._tokens = min(self._tokens + more, float(self.rules.burst))
        self._refilled_at = now
        is_new = source not in self._sources and len(self._sources) < _MAX_SOURCES
        if self._tokens < 1 + (0 if is_new else self.rules.burst // 2):
            return False
        self._tokens -= 1
        self._sources.add(source)
        return True

    def _count(self, refusal: Refusal) -> None:
        """Count a refusal: who cannot be told of in the log is not answered as if they could."""
        failure = self._audit.failure
        if failure is not None:
            raise AuditUnavailableError(f"the audit log cannot be written: {failure}")
        if self._sum is None:
            self._sum = _Sum(self._clock.now())
        self._sum.add(refusal)
        self.summed += 1


def _network(address: str) -> str:
    """Return what counts as one source: an address, of IPv6 its first 64 bits, of which anybody has all the others."""
    if ":" not in address:
        return address
    try:
        return f"{int(ipaddress.IPv6Address(address)) >> 64:x}"
    except ValueError:
        return address


async def write_refusal(audit: AuditLog, refusal: Refusal) -> None:
    """Write the entry of one refusal. Raises AuditUnavailableError."""
    await audit.record(
        "refusal",
        event_of(refusal.operation),
        principal=refusal.principal,
        access_key_id=refusal.access_key_id,
        source_address=refusal.source_address,
        request_id=refusal.request_id,
        outcome=refusal.error_code,
    )


def _loudest(counts: Counter[str]) -> str:
    return json.dumps(dict(counts.most_common(_TOLD)), separators=(",", ":"))
