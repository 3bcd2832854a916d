"""``Quotas``: how often a principal may call, a key be used, and an operation be asked for."""

from collections.abc import Mapping
from typing import NamedTuple

from strongroom.core import Clock
from strongroom.service._errors import QuotaExceededError
from strongroom.service._quota_table import Bucket, QuotaTable


class Quota(NamedTuple):
    """A token bucket."""

    rate: float
    """Requests a second in the long run."""
    burst: int
    """Requests that may come at once after a rest."""

    def bucket(self, name: str) -> Bucket:
        """Return the bucket of that name."""
        return Bucket(name, 1 / self.rate, (self.burst - 1) / self.rate)


class QuotaRules(NamedTuple):
    """Which quotas there are; None, and operations that are not named, are not limited."""

    principal: Quota | None = None
    key: Quota | None = None
    operations: Mapping[str, Quota] = {}

    @property
    def limit_anything(self) -> bool:
        """Whether there is any quota."""
        return bool(self.principal or self.key or self.operations)


class Quotas:
    """Counts requests of callers who may do what they ask for. Belongs to one event loop."""

    def __init__(self, rules: QuotaRules, table: QuotaTable, *, clock: Clock) -> None:
        self._rules = rules
        self._table = table
        self._clock = clock

    @property
    def n_unlimited(self) -> int:
        """Buckets of requests that could not be counted, since the table was full of others."""
        return self._table.n_unlimited

    def take(self, principal: str, operation: str, key_ids: tuple[str, ...], *, weight: int = 1) -> None:
        """Count a request of ``weight`` items, which uses these keys. Raises QuotaExceededError; then it is not counted."""
        wait_s = self._take(principal, operation, key_ids, weight)
        if wait_s > 0:
            raise QuotaExceededError(wait_s)

    def have_room(self, principal: str, operation: str, key_ids: tuple[str, ...]) -> bool:
        """Tell whether a request would go now; it is not counted."""
        return self._table.would_take(self._buckets(principal, operation, key_ids), self._clock.monotonic())

    def can_take(self, principal: str, operation: str, key_ids: tuple[str, ...]) -> bool:
        """Count a request, as ``take`` does, and tell whether it may go."""
        return self._take(principal, operation, key_ids, 1) <= 0

    def _take(self, principal: str, operation: str, key_ids: tuple[str, ...], weight: int) -> float:
        buckets = self._buckets(principal, operation, key_ids)
        return self._table.take(buckets, weight, self._clock.monotonic()) if buckets else 0.0

    def _buckets(self, principal: str, operation: str, key_ids: tuple[str, ...]) -> tuple[Bucket, ...]:
        rules = self._rules
        buckets: list[Bucket] = []
        if rules.principal is not None:
            buckets.append(rules.principal.bucket(f"principal {principal}"))
        of_operation = rules.operations.get(operation)
        if of_operation is not None:
            buckets.append(of_operation.bucket(f"operation {operation} {principal}"))
        if rules.key is not None:
            buckets += [rules.key.bucket(f"key {key_id}") for key_id in key_ids]
        return tuple(buckets)
