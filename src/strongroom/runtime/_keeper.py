"""Keeps one worker of one member alive: starts it, checks it before it serves, notices when it dies or hangs.

starting → reconciling → active → ejected → starting …, and stopped when only a person can help.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

from strongroom.core import (
    Clock,
    Deadline,
    EventSink,
    HsmError,
    HsmIntegrityError,
    MemberFailedError,
    PinRefusedError,
    StrongroomError,
)
from strongroom.hsm.cluster import MemberState, RemoteMember, WorkerEntry
from strongroom.wiring.workers import Child

_PING_EVERY_S = 0.5
_PING_LIMIT_S = 2.0
_SUSPECT_PING_LIMIT_S = 0.5
_END_NOTICE_S = 0.1
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 15.0
_LIVED_WELL_S = 30.0


class StartedWorker(NamedTuple):
    """A worker process and the socket on which it takes calls."""

    child: Child
    use_path: str


class MemberKeeper:
    """The life of one worker. Belongs to the event loop of main, which alone kills and restarts.

    ``start`` starts a process for a generation; ``check`` proves that the member holds the roots. A refused
    PIN ends it: the same PIN is not tried again while this keeper lives.
    """

    def __init__(
        self,
        name: str,
        *,
        start: Callable[[int], Awaitable[StartedWorker]],
        check: Callable[[RemoteMember], Awaitable[None]],
        changed: Callable[[], None],
        events: EventSink,
        clock: Clock,
    ) -> None:
        self.name = name
        self.first_outcome = asyncio.Event()
        self.failure: StrongroomError | None = None
        self._start = start
        self._check = check
        self._changed = changed
        self._events = events
        self._clock = clock
        self._suspected = asyncio.Event()
        self._suspicion = ""
        self._child: Child | None = None
        self._entry = WorkerEntry(name, 0, 0, MemberState.STARTING, "")
        self.member: RemoteMember | None = None

    @property
    def entry(self) -> WorkerEntry:
        """What is published of this worker."""
        return self._entry

    def suspect(self, generation: int, reason: str) -> None:
        """Take notice of a suspicion; one of an earlier generation says nothing about this one."""
        if generation == self._entry.generation:
            self._suspicion = reason
            self._suspected.set()

    async def run(self) -> None:
        """Keep the worker alive until cancelled, or until only a person can help."""
        pause_s = _FIRST_PAUSE_S
        generation = 0
        try:
            while True:
                generation += 1
                began = self._clock.monotonic()
                try:
                    await self._live(generation)
                except Exception as error:  # noqa: BLE001  # whatever it was, a member is not given up in silence
                    is_final = self._failed(_as_ours(error))
                    await self._discard()
                    if is_final:
                        return
                lived_s = self._clock.monotonic() - began
                pause_s = _FIRST_PAUSE_S if lived_s > _LIVED_WELL_S else min(pause_s * 2, _LONGEST_PAUSE_S)
                await asyncio.sleep(pause_s)
        finally:
            await self._discard()

    async def _live(self, generation: int) -> None:
        """One generation, from its start to its end. Raises what ended it."""
        self._suspected.clear()
        self._publish(WorkerEntry(self.name, 0, generation, MemberState.STARTING, ""))
        worker = await self._start(generation)
        self._child = worker.child
        self.member = RemoteMember(self.name, worker.use_path)
        entry = WorkerEntry(
            self.name, 0, generation, MemberState.RECONCILING, worker.use_path, pid=worker.child.pid
        )
        self._publish(entry)
        await self._check(self.member)
        self._publish(
            WorkerEntry(self.name, 0, generation, MemberState.ACTIVE, worker.use_path, pid=worker.child.pid)
        )
        self._events.emit("member.active", member=self.name, generation=generation, pid=worker.child.pid)
        self.failure = None
        self.first_outcome.set()
        raise MemberFailedError(await self._until_it_fails(worker.child, self.member))

    def _failed(self, error: StrongroomError) -> bool:
        """Publish why the worker does not serve; returns whether it must not be started again."""
        self.failure = error
        generation = self._entry.generation
        is_final = isinstance(error, PinRefusedError | HsmIntegrityError)
        state = MemberState.STOPPED if is_final else MemberState.EJECTED
        self._publish(WorkerEntry(self.name, 0, generation, state, "", reason=str(error)))
        fields = {"next_step": error.next_step} if error.next_step else {}
        name = "member.stopped" if is_final else "member.failed"
        self._events.emit(name, member=self.name, generation=generation, cause=error.message, **fields)
        self.first_outcome.set()
        return is_final

    async def _until_it_fails(self, child: Child, member: RemoteMember) -> str:
        """Watch a worker; returns what is wrong with it."""
        ended = asyncio.ensure_future(child.wait())
        try:
            while True:
                self._suspected.clear()
                suspected = asyncio.ensure_future(self._suspected.wait())
                try:
                    await _first_of(ended, suspected, timeout_s=_PING_EVERY_S)
                    if ended.done():
                        return f"its worker ended with status {ended.result()}"
                    fault = await self._fault(member, suspected)
                finally:
                    suspected.cancel()
                if fault is not None:
                    # A connection that breaks is how the end of a process is often noticed first.
                    await _first_of(ended, timeout_s=_END_NOTICE_S)
                    return f"its worker ended with status {ended.result()}" if ended.done() else fault
        finally:
            ended.cancel()  # not awaited: that would take an order to stop us for its cancellation

    async def _fault(self, member: RemoteMember, suspected: asyncio.Future[Any]) -> str | None:
        """Ask the worker what it is at; returns what is wrong, None when it is well.

        A worker under suspicion, now or while we ask, has less time to answer.
        """
        asked = asyncio.ensure_future(member.ping(deadline=Deadline.after(self._clock, _PING_LIMIT_S)))
        try:
            await _first_of(asked, suspected, timeout_s=None)
            if not asked.done():
                await _first_of(asked, timeout_s=_SUSPECT_PING_LIMIT_S)
            if not asked.done():
                return f"its worker does not answer: {self._suspicion}"
        finally:
            asked.cancel()
        try:
            pong = asked.result()
        except HsmError as error:
            return f"its worker does not answer: {error.message}"
        for running in pong.running:
            if running.for_s > running.limit_s:
                return f"{running.verb} has hung in the HSM's library for {running.for_s:.1f} s"
        return None

    def _publish(self, entry: WorkerEntry) -> None:
        self._entry = entry
        self._changed()

    async def _discard(self) -> None:
        if self.member is not None:
            self.member.close()
            self.member = None
        child, self._child = self._child, None
        if child is not None:
            await child.kill()


def _as_ours(error: Exception) -> StrongroomError:
    """An error that nobody foresaw is told by its type and place; its text might hold anything."""
    if isinstance(error, StrongroomError):
        return error
    place = traceback.extract_tb(error.__traceback__)[-1]
    return MemberFailedError(
        f"unexpected {type(error).__name__} at {Path(place.filename).name}:{place.lineno}",
        next_step="report this as a bug",
    )


async def _first_of(*futures: asyncio.Future[Any], timeout_s: float | None) -> None:
    await asyncio.wait(futures, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
