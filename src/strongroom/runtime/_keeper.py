"""Keeps one worker of one member alive: starts it, checks it before it serves, replaces it when it fails.

starting → reconciling → active → ejected → starting …, and stopped when only a person can help.
"""

import asyncio
from collections.abc import Awaitable, Callable

from strongroom.core import Clock, EventSink, HsmIntegrityError, PinRefusedError, StrongroomError
from strongroom.hsm.cluster import MemberState, RemoteMember, SuspicionKind, WorkerEntry
from strongroom.runtime._failure import as_failure
from strongroom.runtime._watch import Prove, StartedWorker, WorkerWatch
from strongroom.wiring.workers import Child

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 15.0
_LIVED_WELL_S = 30.0
_GRACE_S = 1.0
_MISMATCHES_TO_STOP = 2
_MAX_REASON = 500  # characters; a worker chose the words, and every API process gets them


class MemberKeeper:
    """The life of one worker. Belongs to the event loop of main, which alone kills and restarts.

    ``start`` starts a process for a generation. ``check`` proves before it serves that the member holds the
    roots, ``prove`` does so again while it serves. A refused PIN ends it: the same PIN is not tried again while
    this keeper lives. So does a second worker that finds another key than the root: one may be mistaken.
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
    ) -> None:
        self.name = name
        self.first_outcome = asyncio.Event()
        self.failure: StrongroomError | None = None
        self._start = start
        self._check = check
        self._prove = prove
        self._changed = changed
        self._events = events
        self._clock = clock
        self._watch: WorkerWatch | None = None
        self._active_since: float | None = None
        self._mismatches = 0
        self._child: Child | None = None
        self._entry = WorkerEntry(name, 0, 0, MemberState.STARTING, "")
        self.member: RemoteMember | None = None

    @property
    def entry(self) -> WorkerEntry:
        """What is published of this worker."""
        return self._entry

    def suspect(self, generation: int, reason: str, kind: SuspicionKind) -> None:
        """Take notice of a suspicion; one of an earlier generation says nothing about this one."""
        if generation == self._entry.generation and self._watch is not None:
            self._watch.suspect(reason, kind)

    async def run(self) -> None:
        """Keep the worker alive until cancelled, or until only a person can help."""
        pause_s = _FIRST_PAUSE_S
        generation = 0
        try:
            while True:
                generation += 1
                try:
                    await self._live(generation)
                except Exception as error:  # noqa: BLE001  # whatever it was, a member is not given up in silence
                    is_final = self._failed(as_failure(error))
                    await self._discard()
                    if is_final:
                        return
                served_s = self._served_s()
                pause_s = _FIRST_PAUSE_S if served_s > _LIVED_WELL_S else min(pause_s * 2, _LONGEST_PAUSE_S)
                await asyncio.sleep(pause_s)
        finally:
            await self._discard(grace_s=_GRACE_S)

    async def _live(self, generation: int) -> None:
        """One generation, from its start to its end. Raises what ended it."""
        self._active_since = None
        self._publish(WorkerEntry(self.name, 0, generation, MemberState.STARTING, ""))
        worker = await self._start(generation)
        self._child = worker.child
        self.member = RemoteMember(self.name, worker.use_path)
        pid = worker.child.pid
        self._publish(
            WorkerEntry(self.name, 0, generation, MemberState.RECONCILING, worker.use_path, pid=pid)
        )
        await self._check(self.member)
        self._watch = WorkerWatch(worker, self.member, prove=self._prove, clock=self._clock)
        self._active_since = self._clock.monotonic()
        self.failure, self._mismatches = None, 0
        self._publish(WorkerEntry(self.name, 0, generation, MemberState.ACTIVE, worker.use_path, pid=pid))
        self._events.emit("member.active", member=self.name, generation=generation, pid=pid)
        self.first_outcome.set()
        raise await self._watch.until_it_fails()

    def _served_s(self) -> float:
        return 0.0 if self._active_since is None else self._clock.monotonic() - self._active_since

    def _failed(self, error: StrongroomError) -> bool:
        """Publish why the worker does not serve; returns whether it must not be started again."""
        self.failure = error
        generation = self._entry.generation
        self._mismatches += isinstance(error, HsmIntegrityError)
        is_final = isinstance(error, PinRefusedError) or self._mismatches >= _MISMATCHES_TO_STOP
        state = MemberState.STOPPED if is_final else MemberState.EJECTED
        self._publish(WorkerEntry(self.name, 0, generation, state, "", reason=str(error)[:_MAX_REASON]))
        fields = {"next_step": error.next_step} if error.next_step else {}
        name = "member.stopped" if is_final else "member.failed"
        self._events.emit(name, member=self.name, generation=generation, cause=error.message, **fields)
        self.first_outcome.set()
        return is_final

    def _publish(self, entry: WorkerEntry) -> None:
        self._entry = entry
        self._changed()

    async def _discard(self, *, grace_s: float | None = None) -> None:
        """Let go of the worker: kill it, or ask it to log out and end within ``grace_s``."""
        self._watch = None
        if self.member is not None:
            self.member.close()
            self.member = None
        child, self._child = self._child, None
        if child is not None:
            await (child.kill() if grace_s is None else child.end(limit_s=grace_s))
