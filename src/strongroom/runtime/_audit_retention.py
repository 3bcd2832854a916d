"""Archive and retention in main: once an hour what is due is archived; what is older than it is kept goes when officers say so.

    prune   intent → record, durable → entry ``audit.pruned`` with its hash → files removed → outcome

A pruning that was killed is gone on with at the next start: before the entry only if officers signed just what the record says
and the log still holds just that; after it, what is left of the files goes. Nothing is pruned by itself: what could be is told once a day.
"""

import asyncio
import datetime as dt
import os
from collections.abc import Awaitable, Callable, Collection
from itertools import groupby
from typing import Final, TypeVar

from strongroom.audit import PRUNED_EVENT, Archived, AuditLog, PrunePlan, PruneRecord, RetentionError
from strongroom.config import AuditConfig, Home
from strongroom.core import ApprovalRequiredError, Clock, EventSink, StrongroomError
from strongroom.custody import ApprovalRequest, Json, canonical_json, read_document, require_quorum
from strongroom.runtime._approved_acts import ApprovedAct
from strongroom.runtime._audit_archiving import Archiving, EndedError
from strongroom.runtime._custody_keeping import CustodyKeeping
from strongroom.shipping import OwnThread
from strongroom.wiring.audit_door import ArchivedSegments, PrunedEntries, RetentionAnswer, RetentionRequest

T = TypeVar("T")

_VERB: Final = "PruneAuditLog"
_FIRST_LOOK_S: Final = 60.0
_LOOK_EVERY_S: Final = 3600.0
_TELL_EVERY_S: Final = 86_400.0
_LIMIT_S: Final = 24 * 3600.0


class AuditRetention:
    """Archives and prunes. Belongs to the event loop of main."""

    def __init__(
        self,
        home: Home,
        config: AuditConfig,
        audit: AuditLog,
        *,
        api_pids: Callable[[], Collection[int]],
        custody: CustodyKeeping | None = None,
        events: EventSink,
        clock: Clock,
    ) -> None:
        """``custody``: where officers approve what is pruned; without it the home's owner is heard alone."""
        self._audit = audit
        self._api_pids = api_pids
        self._custody = custody
        self._events = events
        self._clock = clock
        self._work = Archiving(home, config, clock=clock)
        self._thread = OwnThread("audit-retention")
        self._turn = asyncio.Lock()
        self._told: dict[str, float] = {}
        self._running: asyncio.Task[None] | None = None
        self._is_linked = False

    def start(self) -> None:
        """Begin: go on with what was begun, and look once an hour."""
        self._running = asyncio.ensure_future(self._run())

    def close(self) -> None:
        """End. What is under way ends at its next step, and is taken up at the next start."""
        self._work.pace.end()
        if self._running is not None:
            self._running.cancel()
        self._thread.close()

    async def answer(self, request: RetentionRequest, pid: int) -> RetentionAnswer:
        """Do what the home's owner asks.

        Raises ApprovalRequiredError for an API process, or where officers have not approved it, RetentionError where nothing may be done,
        AuditCorruptError, AuditUnavailableError, StorageError and OSError.
        """
        if pid in self._api_pids():
            raise ApprovalRequiredError("API processes do not archive or prune the audit log")
        if self._turn.locked():
            raise RetentionError(
                "the service is at work on the archive",
                next_step="try it again in a while, and see: strongroom audit archive",
            )
        async with self._turn:
            await self._link()
            if request.action == "archive":
                return _answer_of(await self._archive())
            return await self._prune(request.before, request.approval)

    async def _run(self) -> None:
        await self._guarded(self._resume)
        await asyncio.sleep(_FIRST_LOOK_S)
        while True:
            await self._guarded(self._look)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            async with self._turn:
                await self._link()
                await work()
        except (StrongroomError, OSError) as error:
            self._tell("audit.archive_failed", cause=str(error))
        except Exception as error:  # noqa: BLE001  # whatever it was, it does not end in silence
            self._tell("audit.archive_failed", cause=f"a bug: {type(error).__name__}")

    async def _link(self) -> None:
        if not self._is_linked:
            await self._on_disk(self._work.link)
            self._is_linked = True

    async def _look(self) -> None:
        try:
            await self._resume()
        except (StrongroomError, OSError) as error:  # the archive does not wait for it
            self._tell("audit.archive_failed", cause=str(error))
        await self._archive()
        due, oldest_at = await self._on_disk(self._work.prune_due)
        if due:
            oldest = dt.datetime.fromtimestamp(oldest_at / 1e6, dt.UTC).strftime("%Y-%m-%d")
            self._tell("audit.prune_due", segments=due, oldest=oldest)

    async def _archive(self) -> Archived:
        archived = await self._on_disk(self._work.archive)
        for writer, cause in archived.failed.items():
            self._tell("audit.archive_failed", writer=writer, cause=cause)
        for one in _answer_of(archived).archived:
            self._events.emit("audit.archived", writer=one.writer, first=one.first, last=one.last)
        return archived

    async def _prune(self, day: str, approval: str) -> RetentionAnswer:
        await self._resume()
        plan = await self._on_disk(lambda: self._work.plan(day))
        act = None
        if self._custody is not None:
            act = await self._custody.claimed(approval, _VERB, plan.parameters(), _owner())
        under = "" if act is None else act.approval
        try:
            detail = self._detail(plan, act)
            await self._audit.record("intent", "audit.Prune", principal=_owner(), detail=detail)
            record = await self._on_disk(
                lambda: self._work.pruner.begin(plan, approval=under, at=self._clock.now())
            )
        except (StrongroomError, OSError) as error:
            if act is not None and self._custody is not None:
                await self._custody.release(act)
            await self._tell_end(record_hash="", outcome=type(error).__name__, approval=under)
            raise
        await self._finish(record)
        pruned = [
            PrunedEntries(name, len(one.removed), one.removed[0].first_seq, one.seq)
            for name, one in sorted(plan.writers.items())
        ]
        return RetentionAnswer(pruned=pruned, record=record.hash(), approval=under)

    async def _finish(self, record: PruneRecord) -> None:
        """Tell of a record, durably, and then remove what it names."""
        gone = " ".join(f"{name}/{one.seq}" for name, one in sorted(record.writers.items()))
        detail = {
            "record": record.hash(),
            "number": str(record.number),
            "before": record.before,
            "approval": record.approval,
            "gone_up_to": gone,
        }
        await self._audit.record("event", PRUNED_EVENT, principal=_owner(), detail=detail)
        await self._on_disk(lambda: self._work.pruner.finish(record))
        await self._tell_end(record_hash=record.hash(), outcome="ok", approval=record.approval)

    async def _tell_end(self, *, record_hash: str, outcome: str, approval: str) -> None:
        await self._audit.record(
            "outcome",
            "audit.Prune",
            principal=_owner(),
            outcome=outcome,
            detail={"record": record_hash, "approval": approval},
        )

    async def _resume(self) -> None:
        """Go on with a pruning that was killed, or failed on its way."""
        record = await self._on_disk(self._work.pruner.begun)
        if record is None:
            await self._on_disk(self._work.pruner.remove_rest)
            return
        try:
            plan = await self._on_disk(lambda: self._work.plan_again(record))
            self._require_signed(record, plan)
        except EndedError:
            raise
        except StrongroomError as error:
            await self._on_disk(lambda: self._work.pruner.give_up(record))
            self._events.emit("audit.prune_given_up", approval=record.approval, cause=error.message)
            return
        await self._finish(record)

    def _require_signed(self, record: PruneRecord, plan: PrunePlan) -> None:
        """Check that officers signed just this, where a home has some. Raises ApprovalRequiredError and CustodyError."""
        if self._custody is None:
            return
        act = self._custody.begun(record.approval) if record.approval else None
        if act is None:
            raise ApprovalRequiredError("nobody asked officers for the pruning that was begun")
        request = read_document(act.admission.request, ApprovalRequest)
        parameters: dict[str, Json] = plan.parameters()
        if request.verb != _VERB or canonical_json(request.parameters) != canonical_json(parameters):
            raise ApprovalRequiredError("officers approved something else than the pruning that was begun")
        begun_at = record.at // 1_000_000
        require_quorum(self._custody.chain.state, request, act.admission.signatures, now=begun_at)

    def _detail(self, plan: PrunePlan, act: ApprovedAct | None) -> dict[str, str]:
        gone = " ".join(f"{name}/{one.seq}" for name, one in sorted(plan.writers.items()))
        detail = {"before": plan.before, "segments": str(plan.n_segments), "up_to": gone}
        if act is not None and self._custody is not None:
            detail |= {"approval": act.approval, "evidence": self._custody.evidence_sha256(act)}
        return detail

    async def _on_disk(self, work: Callable[[], T]) -> T:
        return await self._thread.run(work, limit_s=_LIMIT_S)

    def _tell(self, event: str, **fields: object) -> None:
        """Tell once a day what is the same."""
        now, key = self._clock.monotonic(), f"{event} {fields}"
        if now - self._told.get(key, -_TELL_EVERY_S) >= _TELL_EVERY_S:
            self._told = {key: now} if len(self._told) > 100 else self._told | {key: now}
            self._events.emit(event, **fields)


def _answer_of(archived: Archived) -> RetentionAnswer:
    """Return what was archived, by writer; segments of one follow each other."""
    moved = [
        (writer, [number for _, number in group]) for writer, group in groupby(archived.moved, key=_writer_of)
    ]
    return RetentionAnswer(
        archived=[ArchivedSegments(writer, numbers[0], numbers[-1]) for writer, numbers in moved],
        failed=dict(archived.failed),
    )


def _writer_of(moved: tuple[str, int]) -> str:
    return moved[0]


def _owner() -> str:
    return f"local/{os.geteuid()}"
