"""``HsmCluster``: use verbs on whichever member can, moving on when one cannot."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

import msgspec

from strongroom.core import (
    Clock,
    Deadline,
    EventSink,
    HsmError,
    HsmRequestError,
    MemberDeadlineError,
    NoMemberError,
    RootId,
    Secret,
    WrappedBytes,
)
from strongroom.hsm.cluster._member import RemoteMember
from strongroom.hsm.cluster._table import SERVING, ClusterTable, WorkerEntry

T = TypeVar("T")

_SUSPECT_FOR_S = 2.0
"""How long we avoid a worker that failed us, when the main process says nothing about it meanwhile."""
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.2
"""How long a call waits before it asks members again that have all failed it; the pause doubles each time."""
_FAIR_SHARE = 0.5
"""A member that got less than this part of an attempt's time is not blamed for having given no answer."""


SuspicionKind = Literal["timeout", "failure"]
"""``timeout``: no answer in time. ``failure``: an answer, but an error that says the member cannot serve."""


class Suspicion(msgspec.Struct, frozen=True, array_like=True):
    """A worker that failed or did not answer in time, as reported to the main process."""

    member: str
    worker: int
    generation: int
    reason: str
    kind: SuspicionKind


class _Worker:
    """A published worker, our connection to it, and until when we avoid it."""

    def __init__(self, entry: WorkerEntry) -> None:
        self.entry = entry
        self.member = RemoteMember(entry.member, entry.use_path)
        self.avoid_until = 0.0
        self.last_turn = 0


class HsmCluster:
    """Several members as one HSM (``core.HsmUse``).

    Chooses the active worker with the least outstanding calls, in turns where several have equally few. An
    attempt that fails or takes longer than ``attempt_s`` is reported as a suspicion and the call moves to the
    next worker, until the deadline: when every worker has failed, it waits for a new table or tries again.
    HsmRequestError and its kin end the call at once, since another member would say the same; every other
    HsmError is the member's own trouble.
    """

    def __init__(
        self, *, clock: Clock, events: EventSink, attempt_s: float, report: Callable[[Suspicion], None]
    ) -> None:
        self._clock = clock
        self._events = events
        self._attempt_s = attempt_s
        self._report = report
        self._workers: dict[tuple[str, int], _Worker] = {}
        self._changed = asyncio.Event()
        self._turn = 0
        self.failovers = 0
        """How many attempts failed and moved on; a metric."""

    def apply(self, table: ClusterTable) -> None:
        """Take over a table from the main process; a suspicion of a worker whose entry changed is forgotten."""
        published = {(entry.member, entry.worker): entry for entry in table.workers}
        for key in self._workers.keys() - published.keys():
            self._workers.pop(key).member.close()
        for key, entry in published.items():
            known = self._workers.get(key)
            if known is None or _place(known.entry) != _place(entry):
                if known is not None:
                    known.member.close()
                self._workers[key] = _Worker(entry)
            elif known.entry != entry:
                known.entry = entry
                known.avoid_until = 0.0
        self._changed.set()
        self._changed = asyncio.Event()

    def entries(self) -> list[WorkerEntry]:
        """Return every worker as last published."""
        return [worker.entry for worker in self._workers.values()]

    def has_active_member(self) -> bool:
        """Whether at least one member is published as serving."""
        return any(worker.entry.state in SERVING for worker in self._workers.values())

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
        for worker in self._workers.values():
            worker.member.close()

    async def _use(
        self, _verb_name: str, verb: Callable[[RemoteMember, Deadline], Awaitable[T]], deadline: Deadline
    ) -> T:
        """Have some member do an idempotent verb before the deadline.

        ``_verb_name`` tells apart what takes different time (``sign RSA_2048``, not ``sign``): latencies are kept and
        compared under it, so it must be one of few. ``verb`` may run on two members at once. Raises NoMemberError
        and HsmRequestError.
        """
        tried: set[tuple[str, int, int]] = set()
        last: HsmError | None = None
        pause_s = _FIRST_PAUSE_S
        while not deadline.has_passed():
            worker = self._choose(tried)
            if worker is None:
                is_new = await self._wait_for_change(deadline, pause_s)
                pause_s = _FIRST_PAUSE_S if is_new else min(pause_s * 2, _LONGEST_PAUSE_S)
                tried.clear()
                continue
            given_s = min(self._attempt_s, deadline.remaining_s())
            attempt = Deadline.after(self._clock, given_s)
            try:
                return await verb(worker.member, attempt)
            except HsmRequestError:
                raise
            except HsmError as error:
                tried.add((worker.entry.member, worker.entry.worker, worker.entry.generation))
                if isinstance(error, MemberDeadlineError) and given_s < self._attempt_s * _FAIR_SHARE:
                    last = last or error  # the call's own time was over: that says nothing about the member
                else:
                    last = error
                    self._failed(worker, error)
        if last is not None:
            reason = f"the last one said: {last.message}"
        else:
            reason = "no time was left to ask one" if self.has_active_member() else "no member is active"
        raise NoMemberError(
            f"no HSM of the cluster answered in time; {reason}",
            next_step="see 'strongroom status' for the members",
        ) from last

    def _choose(self, tried: set[tuple[str, int, int]]) -> _Worker | None:
        """Prefer workers above suspicion; ask one under suspicion rather than none."""
        now = self._clock.monotonic()
        fit = [
            worker
            for worker in self._workers.values()
            if worker.entry.state in SERVING
            and (worker.entry.member, worker.entry.worker, worker.entry.generation) not in tried
        ]
        chosen = min(
            fit,
            key=lambda worker: (worker.avoid_until > now, worker.member.outstanding, worker.last_turn),
            default=None,
        )
        if chosen is not None:
            self._turn += 1
            chosen.last_turn = self._turn
        return chosen

    def _failed(self, worker: _Worker, error: HsmError) -> None:
        entry = worker.entry
        self.failovers += 1
        now = self._clock.monotonic()
        if worker.avoid_until > now:  # another call has said so already
            return
        worker.avoid_until = now + _SUSPECT_FOR_S
        kind: SuspicionKind = "timeout" if isinstance(error, MemberDeadlineError) else "failure"
        self._events.emit(
            "cluster.failover",
            member=entry.member,
            generation=entry.generation,
            kind=kind,
            cause=error.message,
        )
        self._report(Suspicion(entry.member, entry.worker, entry.generation, error.message, kind))

    async def _wait_for_change(self, deadline: Deadline, pause_s: float) -> bool:
        """Wait for a table; returns whether one came.

        Without an active member only a table can help. Otherwise not for long: those that failed may do better.
        """
        left_s = max(deadline.remaining_s(), 0.0)
        try:
            async with asyncio.timeout(min(left_s, pause_s) if self.has_active_member() else left_s):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True


def _place(entry: WorkerEntry) -> tuple[int, str]:
    """What a connection belongs to: another generation or another socket needs a new one."""
    return entry.generation, entry.use_path
