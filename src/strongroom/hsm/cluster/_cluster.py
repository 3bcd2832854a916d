"""``HsmCluster``: use verbs on whichever member can, moving on when one cannot."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import TypeVar

from strongroom.core import (
    Clock,
    Deadline,
    EventSink,
    HsmError,
    HsmKeyId,
    HsmKeyQuarantinedError,
    RandomPool,
    RootId,
    Secret,
    WrappedBytes,
)
from strongroom.hsm.cluster._absences import Absences
from strongroom.hsm.cluster._attempt import CallLimits
from strongroom.hsm.cluster._batch_cluster import ClusterBatchUse
from strongroom.hsm.cluster._call import Call
from strongroom.hsm.cluster._direct_cluster import ClusterDirectUse
from strongroom.hsm.cluster._hedging import Budget, HedgeDelays
from strongroom.hsm.cluster._member import RemoteMember
from strongroom.hsm.cluster._routing import Routing
from strongroom.hsm.cluster._statistics import ClusterStatistics
from strongroom.hsm.cluster._suspicion import Suspicion
from strongroom.hsm.cluster._table import EVERY_DIRECT_KEY, ClusterTable, WorkerEntry
from strongroom.hsm.cluster._worker import Place, Worker, close_when_idle

T = TypeVar("T")

_HEDGES_PER_CALL, _HEDGES_PER_S, _HEDGES_SAVED = 0.05, 1.0, 20.0
_RETRIES_PER_CALL, _RETRIES_PER_S, _RETRIES_SAVED = 0.2, 50.0, 100.0
"""What may be asked beyond the calls themselves: second members of slow calls, and next members of failed ones."""


class HsmCluster(ClusterDirectUse, ClusterBatchUse):
    """Several members as one HSM (``core.HsmUse``, ``core.HsmDirectUse``, ``core.HsmBatchUse``).

    ``Routing`` says which worker gets a call. An attempt that fails or takes longer than ``attempt_s`` is reported
    as a suspicion and the call moves to the next worker, until the deadline: when every worker has failed, it waits
    for a new table or tries again. One that takes longer than it should by what the healthy members take is left
    to itself, and another member is asked too, within a budget: the first good answer counts. HsmRequestError and
    its kin end the call at once, since another member would say the same; every other HsmError is the member's own
    trouble. So verbs are idempotent, and may be done twice.
    """

    def __init__(
        self, *, clock: Clock, events: EventSink, attempt_s: float, report: Callable[[Suspicion], None]
    ) -> None:
        pool = RandomPool()
        self._clock = clock
        self._attempt_s = attempt_s
        self._changed = asyncio.Event()
        self._background: set[asyncio.Future[object]] = set()
        self._absences = Absences(clock)
        self._quarantined: frozenset[bytes] = frozenset()
        self._routing = Routing(clock=clock, jitter=lambda: pool.take(1)[0] / 255)
        self.statistics = ClusterStatistics()
        self._limits = CallLimits(
            attempt_s=attempt_s,
            hedges=Budget(clock, ratio=_HEDGES_PER_CALL, per_s=_HEDGES_PER_S, burst=_HEDGES_SAVED),
            retries=Budget(clock, ratio=_RETRIES_PER_CALL, per_s=_RETRIES_PER_S, burst=_RETRIES_SAVED),
            delays=HedgeDelays(clock, attempt_s),
            jitter=lambda: pool.take(1)[0] / 255,
        )
        self._events = events
        self._report = report

    @property
    def failovers(self) -> int:
        """How many attempts failed and moved on; a metric."""
        return self.statistics.failovers.total()

    def apply(self, table: ClusterTable) -> None:
        """Take over a table from the main process; a suspicion of a worker whose entry changed is forgotten."""
        self._quarantined = frozenset(table.quarantined)
        for replaced in self._routing.apply(table):
            self._keep(asyncio.ensure_future(close_when_idle(replaced, limit_s=self._attempt_s)))
        self._changed.set()
        self._changed = asyncio.Event()

    def entries(self) -> list[WorkerEntry]:
        """Return every worker as last published."""
        return [worker.entry for worker in self._routing.workers]

    def workers(self) -> list[Worker]:
        """Return every worker with what this process knows of it: breaker, latencies."""
        return list(self._routing.workers)

    @property
    def quarantined(self) -> frozenset[bytes]:
        """Direct keys that nobody may use (``ClusterTable.quarantined``)."""
        return self._quarantined

    def require_usable(self, key_id: HsmKeyId) -> None:
        """Raise HsmKeyQuarantinedError when nobody may use a Direct key."""
        if self._quarantined and not self._quarantined.isdisjoint((key_id, EVERY_DIRECT_KEY)):
            raise HsmKeyQuarantinedError(
                f"Direct key {key_id.hex()} is in quarantine: no member shows that it is the one of its record",
                next_step="see 'strongroom members reconcile', and docs/direct-keys.md",
            )

    def has_active_member(self) -> bool:
        """Whether at least one member is published as serving."""
        return self._routing.has_serving()

    async def wrap(
        self, root_id: RootId, key_bytes: Secret, aad: bytes, *, deadline: Deadline
    ) -> WrappedBytes:
        """Encrypt key bytes under a root KEK (``core.HsmUse.wrap``). Raises NoMemberError."""
        return await self._use(
            "wrap", lambda member, d: member.wrap(root_id, key_bytes, aad, deadline=d), deadline
        )

    async def unwrap(
        self, root_id: RootId, wrapped: WrappedBytes, aad: bytes, *, deadline: Deadline
    ) -> Secret:
        """Decrypt key bytes under a root KEK (``core.HsmUse.unwrap``). Raises NoMemberError."""
        return await self._use(
            "unwrap", lambda member, d: member.unwrap(root_id, wrapped, aad, deadline=d), deadline
        )

    async def random(self, n_bytes: int, *, deadline: Deadline) -> Secret:
        """Return bytes of a member's generator. Raises NoMemberError."""
        return await self._use("random", lambda member, d: member.random(n_bytes, deadline=d), deadline)

    def close(self) -> None:
        """Drop every connection."""
        for task in self._background:
            task.cancel()
        for worker in self._routing.workers:
            worker.member.close()

    async def _use(
        self,
        verb_name: str,
        verb: Callable[[RemoteMember, Deadline], Awaitable[T]],
        deadline: Deadline,
        *,
        key_id: bytes = b"",
        avoid: Collection[Place] = (),
        is_retry: bool = False,
    ) -> T:
        """Have some member do an idempotent verb before the deadline.

        ``verb_name`` tells apart what takes different time (``sign RSA_2048``, not ``sign``): latencies are kept and
        compared under it, so it must be one of few. ``verb`` may run on two members at once. With ``key_id``, members
        that lately said that they do not hold that key are asked last, as are those of ``avoid``. ``is_retry`` tells
        that it was tried before. Raises NoMemberError, HsmKeyQuarantinedError and HsmRequestError.
        """
        if key_id:
            self.require_usable(HsmKeyId(key_id))
        call = Call(
            verb_name,
            verb,
            deadline,
            routing=self._routing,
            limits=self._limits,
            statistics=self.statistics,
            report=self._suspect,
            keep=self._keep,
            wait_for_table=self._wait_for_table,
            absent=self._unless_all(self._absences.of(key_id) if key_id else avoid),
            note_absent=partial(self._absences.note, key_id) if key_id else None,
            is_retry=is_retry,
        )
        return await call.run()

    def _unless_all(self, places: Collection[Place]) -> Collection[Place]:
        """Return who need not be asked; nobody, when that would leave nobody."""
        if places and all(worker.place in places for worker in self._routing.workers):
            return ()
        return places

    def _workers(self) -> Collection[Worker]:
        return self._routing.workers

    def _absent(self, key_id: bytes) -> Collection[Place]:
        return self._absences.of(key_id)

    def _not_found(self, worker: Worker, key_id: bytes, error: HsmError) -> None:
        """Take notice that a member does not hold a key of a batch of which it did other items."""
        if key_id:
            self._absences.note(key_id, worker.place)
        if worker.may_report_missing():
            self._suspect(Suspicion(*worker.place, error.message, "failure"))

    def _suspect(self, suspicion: Suspicion) -> None:
        if suspicion.kind in ("timeout", "failure"):
            self._events.emit(
                "cluster.failover",
                member=suspicion.member,
                generation=suspicion.generation,
                kind=suspicion.kind,
                cause=suspicion.reason,
            )
        self._report(suspicion)

    def _keep(self, task: asyncio.Future[object]) -> None:
        """Hold on to what nobody waits for until it ends."""
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _wait_for_table(self, limit_s: float) -> bool:
        """Wait for a new table; returns whether one came in time."""
        try:
            async with asyncio.timeout(max(limit_s, 0.0)):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True
