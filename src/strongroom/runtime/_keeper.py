"""Keeps one member served: starts its worker, checks it before it serves, replaces it when it fails or grows old.

starting → reconciling → active → ejected → starting …, degraded and read-only beside active, and stopped when only a
person can help.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from strongroom.core import (
    Clock,
    EventSink,
    HsmError,
    HsmIntegrityError,
    MemberFailedError,
    PinRefusedError,
    StrongroomError,
)
from strongroom.hsm.cluster import SERVING, MemberState, RemoteMember, SuspicionKind, WorkerEntry
from strongroom.hsm.wire import Pong
from strongroom.runtime._failure import as_failure
from strongroom.runtime._lives import Life, Lives
from strongroom.runtime._restart_pauses import RestartPauses
from strongroom.runtime._standing import Standing
from strongroom.runtime._tally import MemberTally
from strongroom.runtime._watch import Prove, StartedWorker, WorkerWatch
from strongroom.wiring.exposition import MemberCounts

T = TypeVar("T")

_LIVED_WELL_S = 30.0
_GRACE_S = 1.0
_MISMATCHES_TO_STOP = 2
_MAX_REASON = 500  # characters; a worker chose the words, and every API process gets them
_RECYCLE_AGAIN_S = 60.0


class MemberKeeper:
    """The life of one member's worker. Belongs to the event loop of main, which alone kills and restarts.

    ``start`` starts a process for a generation. ``check`` proves before it serves that the member holds the
    roots, ``prove`` does so again while it serves. A refused PIN ends it: the same PIN is not tried again while
    this keeper lives. So does a second worker that finds another key than the root: one may be mistaken.
    A worker that wants to be replaced serves on until the next one was started and checked.
    """

    def __init__(
        self,
        name: str,
        *,
        start: Callable[[int], Awaitable[StartedWorker]],
        check: Callable[[RemoteMember], Awaitable[None]],
        prove: Prove,
        changed: Callable[[], None],
        events: EventSink,
        clock: Clock,
        priority: int = 0,
        is_needed: Callable[[], bool] = lambda: False,
    ) -> None:
        """``is_needed`` says whether no other member serves."""
        self.name = name
        self.first_outcome = asyncio.Event()
        self.failure: StrongroomError | None = None
        self.member: RemoteMember | None = None
        """The worker that serves or is being checked."""
        self._prove = prove
        self._changed = changed
        self._events = events
        self._clock = clock
        self._priority = priority
        self._pauses = RestartPauses(is_needed)
        self._standing = Standing(clock)
        self._generation = 0
        self._lives = Lives(name, start=start, check=check, clock=clock)
        self._serving: Life | None = None
        self._successor: Life | None = None
        self._background: set[asyncio.Future[Any]] = set()
        self._watch: WorkerWatch | None = None
        self._tally = MemberTally(clock)
        self._recycle_not_before = 0.0
        self._recycling: asyncio.Future[StrongroomError | None] | None = None
        self._mismatches = 0
        self._entry = self._entry_of(MemberState.STARTING)

    @property
    def entry(self) -> WorkerEntry:
        """What is published of this worker."""
        return self._entry

    @property
    def counts(self) -> MemberCounts:
        """What has happened since main started."""
        return self._tally.counts(self._generation)

    def suspect(self, generation: int, reason: str, kind: SuspicionKind) -> None:
        """Take notice of what a caller says; of an earlier generation it says nothing about this one."""
        if generation != self._entry.generation or self._watch is None:
            return
        if kind == "slow":
            self._standing.slow(reason)
        elif kind == "recovered":
            self._standing.recovered()
        else:
            self._watch.suspect(reason, kind)
        self._publish_standing()

    def refuses_writes(self, generation: int, reason: str) -> None:
        """Take notice that main itself was refused when it made, changed or destroyed a key; callers do none of that."""
        if generation == self._entry.generation:
            self._standing.refuses_writes(reason)
            self._publish_standing()

    def condemn(self, fault: HsmError) -> None:
        """Take the worker out of service for what main itself found in it while it serves."""
        if self._watch is not None:
            self._watch.condemn(fault)

    async def run(self) -> None:
        """Keep the worker alive until cancelled, or until only a person can help."""
        self._pauses.begin()
        try:
            while True:
                try:
                    await self._live()
                except Exception as error:  # noqa: BLE001  # whatever it was, a member is not given up in silence
                    is_final = self._failed(as_failure(error))
                    await self._discard()
                    if is_final:
                        return
                await self._pauses.wait(lived_well=self._tally.served_s > _LIVED_WELL_S)
        finally:
            await self._discard(grace_s=_GRACE_S)

    def hurry(self) -> None:
        """No member serves: do not wait long for another try."""
        self._pauses.hurry()

    async def _live(self) -> None:
        """Workers that hand over to one another, until one fails. Raises what it failed of."""
        self._tally.tries_again()
        life = await self._lives.begin(self._next_generation(), self._started)
        while True:
            self._serve(life)
            fault = await self._until_it_ends(life)
            if fault is not None:
                raise fault
            old, life = life, self._handed_over_to()
            self._in_background(self._lives.retire(old))

    def _next_generation(self) -> int:
        self._generation += 1
        self._publish(MemberState.STARTING)
        return self._generation

    def _started(self, life: Life) -> None:
        self.member = life.member
        self._publish(MemberState.RECONCILING, life)

    def _serve(self, life: Life) -> None:
        """Publish a checked worker as serving, and say how long the member did not serve."""
        self._serving, self.member = life, life.member
        worker, clock = StartedWorker(life.child, life.use_path), self._clock
        self._watch = WorkerWatch(
            worker, life.member, prove=self._prove, clock=clock, answered=self._answered
        )
        self._standing.renewed()
        failure, self.failure, self._mismatches = self.failure, None, 0
        self._publish(self._standing.now().state, life, self._standing.now().reason)
        which = {"generation": life.generation, "pid": life.child.pid}
        self._events.emit("member.active", member=self.name, **which, **self._tally.serves(failure))
        self.first_outcome.set()

    async def _until_it_ends(self, life: Life) -> HsmError | None:
        """Watch a worker; returns what is wrong with it, or nothing when its successor is ready."""
        if self._watch is None:
            raise AssertionError(f"nobody watches generation {life.generation}")
        fault = await self._watch.until_it_fails()
        self._tally.worker_ended()
        return fault

    def _answered(self, pong: Pong) -> None:
        """Take notice of what a worker says of itself."""
        self._tally.recovered(pong.recoveries)
        self._publish_standing()
        now = self._clock.monotonic()
        if pong.recycle and self._recycling is None and now >= self._recycle_not_before:
            self._recycle_not_before = now + _RECYCLE_AGAIN_S
            self._recycling = self._in_background(self._recycle(pong.recycle))

    async def renew(self, reason: str) -> StrongroomError | None:
        """Have another worker take over without an outage; returns why it did not. A member that does not serve hurries."""
        while self._recycling is not None:  # it may have been started before what we are to be renewed for
            await asyncio.wait({self._recycling})
        if self._serving is None:
            self.hurry()
            return MemberFailedError(f"member {self.name} does not serve at the moment")
        task = self._recycling = self._in_background(self._recycle(reason))
        await asyncio.wait({task})
        return MemberFailedError("its worker failed meanwhile") if task.cancelled() else task.result()

    async def _recycle(self, reason: str) -> StrongroomError | None:
        """Have the next worker ready, then let the present one hand over to it; returns why not. That it cannot start is no outage."""
        old, watch = self._serving, self._watch
        generation = self._generation = self._generation + 1
        try:
            successor = await self._lives.begin(generation)
        except Exception as error:  # noqa: BLE001  # the member serves on as it did
            failure = as_failure(error)
            self._events.emit("member.not_recycled", member=self.name, cause=failure.message)
            await self._lives.end_generation(generation)
            return failure
        finally:
            self._recycling = None
        if old is None or watch is None or self._serving is not old:
            return MemberFailedError("its worker failed meanwhile")  # and run ends every life
        self._successor = successor
        self._tally.recycled()
        watch.retire()
        self._events.emit(
            "member.recycled",
            member=self.name,
            generation=generation,
            before=old.generation,
            cause=reason[:_MAX_REASON],
        )
        return None

    def _handed_over_to(self) -> Life:
        successor, self._successor = self._successor, None
        if successor is None:
            raise AssertionError("a worker was retired without a successor")
        return successor

    def _failed(self, error: StrongroomError) -> bool:
        """Publish why the worker does not serve; returns whether it must not be started again."""
        self.failure = error
        self._tally.failed()
        self._mismatches += isinstance(error, HsmIntegrityError)
        is_final = isinstance(error, PinRefusedError) or self._mismatches >= _MISMATCHES_TO_STOP
        state = MemberState.STOPPED if is_final else MemberState.EJECTED
        generation = self._entry.generation  # of the one that failed: its successor may have been on the way
        self._publish(state, reason=str(error), generation=generation)
        fields = {"next_step": error.next_step} if error.next_step else {}
        name = "member.stopped" if is_final else "member.failed"
        self._events.emit(name, member=self.name, generation=generation, cause=error.message, **fields)
        self.first_outcome.set()
        return is_final

    def _publish_standing(self) -> None:
        """Publish a serving member as degraded or read-only, or as neither any more."""
        if self._serving is None or self._entry.state not in SERVING:
            return
        standing = self._standing.now()
        state, reason = standing.state, standing.reason[:_MAX_REASON]
        if (state, reason) == (self._entry.state, self._entry.reason):
            return
        is_news = state is not self._entry.state
        self._publish(state, self._serving, reason)
        if is_news:
            fields = {"cause": reason} if reason else {}
            generation = self._entry.generation
            self._events.emit(standing.event, member=self.name, generation=generation, **fields)

    def _publish(
        self, state: MemberState, life: Life | None = None, reason: str = "", *, generation: int = 0
    ) -> None:
        self._entry = self._entry_of(state, life, reason, generation)
        self._changed()

    def _entry_of(
        self, state: MemberState, life: Life | None = None, reason: str = "", generation: int = 0
    ) -> WorkerEntry:
        return WorkerEntry(
            self.name,
            0,
            generation or (self._generation if life is None else life.generation),
            state,
            "" if life is None else life.use_path,
            reason=reason[:_MAX_REASON],
            pid=0 if life is None else life.child.pid,
            priority=self._priority,
        )

    def _in_background(self, work: Awaitable[T]) -> asyncio.Future[T]:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def _discard(self, *, grace_s: float | None = None) -> None:
        """Let go of every worker: kill it, or ask it to log out and end within ``grace_s``."""
        self._watch, self._serving, self._successor, self.member = None, None, None, None
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._lives.end_all(grace_s=grace_s)
