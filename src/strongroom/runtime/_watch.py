"""Watches one worker while it serves: whether its process lives and answers, and whether the HSM really works."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from strongroom.core import (
    Clock,
    Deadline,
    HsmError,
    MemberBusyError,
    MemberDeadlineError,
    MemberFailedError,
)
from strongroom.hsm.cluster import RemoteMember, SuspicionKind
from strongroom.hsm.wire import Pong
from strongroom.wiring.workers import Child

_PING_EVERY_S = 0.5
_PING_LIMIT_S = 2.0
_SUSPECT_PING_LIMIT_S = 0.5
_END_NOTICE_S = 0.1
_PROVE_EVERY_S = 60.0
_PROVE_ACCUSED_EVERY_S = 3.0
_PROOF_LIMIT_S = 2.0
_HELD_UP_S = 0.2
_ASKED_AGAIN = 2
_BUSY_CALLS = 16
"""A worker that finished more calls than this while its proof waited is at work; a proof itself is a few."""

Prove = Callable[[RemoteMember, Deadline], Awaitable[None]]
"""Proves that a member holds the roots and works with them. Raises HsmError when it does not."""


class StartedWorker(NamedTuple):
    """A worker process and the socket on which it takes calls."""

    child: Child
    use_path: str


class WorkerWatch:
    """Watches a worker of one generation from when it serves until something is wrong with it.

    It is asked every 0.5 s what it is at, which needs no HSM, and has to prove once a minute that its HSM works.
    Who reports that it does not answer has it asked at once; who reports that it failed has it prove itself, at
    most every 3 s. Belongs to the event loop of main.
    """

    def __init__(
        self,
        worker: StartedWorker,
        member: RemoteMember,
        *,
        prove: Prove,
        clock: Clock,
        answered: Callable[[Pong], None] = lambda _pong: None,
    ) -> None:
        """``answered`` gets each of the worker's answers about itself."""
        self._worker = worker
        self._member = member
        self._prove = prove
        self._clock = clock
        self._suspected = asyncio.Event()
        self._answered = answered
        self._is_retired = False
        self._suspicion = ""
        self._condemned: HsmError | None = None
        self._is_accused = False  # of a failure that no proof has answered yet
        self._proved_at = clock.monotonic()

    def suspect(self, reason: str, kind: SuspicionKind) -> None:
        """Take notice of a suspicion."""
        self._suspicion = reason
        self._is_accused = self._is_accused or kind == "failure"
        self._suspected.set()

    def condemn(self, fault: HsmError) -> None:
        """Main itself found what is wrong: ``until_it_fails`` returns it."""
        self._condemned = fault
        self._suspected.set()

    def retire(self) -> None:
        """Another worker takes over: ``until_it_fails`` returns None."""
        self._is_retired = True
        self._suspected.set()

    async def until_it_fails(self) -> HsmError | None:
        """Watch; returns what is wrong, or None when the worker was retired."""
        ended = asyncio.ensure_future(self._worker.child.wait())
        try:
            while True:
                self._suspected.clear()
                suspected = asyncio.ensure_future(self._suspected.wait())
                try:
                    await _first_of(ended, suspected, timeout_s=_PING_EVERY_S)
                    fault = None if ended.done() or self._is_retired else await self._fault(suspected)
                finally:
                    suspected.cancel()
                if self._is_retired:
                    return None
                fault = self._condemned or fault
                if fault is not None:
                    # A connection that breaks is how the end of a process is often noticed first.
                    await _first_of(ended, timeout_s=_END_NOTICE_S)
                if ended.done():
                    return MemberFailedError(f"its worker ended with status {ended.result()}")
                if fault is not None:
                    return fault
        finally:
            ended.cancel()  # not awaited: that would take an order to stop us for its cancellation

    async def _fault(self, suspected: asyncio.Future[Any]) -> HsmError | None:
        try:
            pong = await self._ask_again_if_held_up(suspected)
        except HsmError as error:
            return MemberFailedError(f"its worker does not answer: {error.message}")
        self._answered(pong)
        for running in pong.running:
            if running.for_s > running.limit_s:
                return MemberFailedError(
                    f"{running.verb} has hung in the HSM's library for {running.for_s:.1f} s"
                )
        since_s = self._clock.monotonic() - self._proved_at
        if since_s >= (_PROVE_ACCUSED_EVERY_S if self._is_accused else _PROVE_EVERY_S):
            return await self._unproved(pong)
        return None

    async def _ask_again_if_held_up(self, suspected: asyncio.Future[Any]) -> Pong:
        """Ask; and again, twice at most, when this process itself stood still meanwhile: then the answer may lie there.

        A machine that paused as a whole would else have all workers killed at the moment when it goes on.
        """
        loop = asyncio.get_running_loop()
        for _ in range(_ASKED_AGAIN):
            began = loop.time()
            try:
                return await self._ask(suspected)
            except MemberDeadlineError:
                if loop.time() - began < _PING_LIMIT_S + _HELD_UP_S:
                    raise
        return await self._ask(suspected)

    async def _ask(self, suspected: asyncio.Future[Any]) -> Pong:
        """Ask the worker what it is at. Under suspicion, now or while we ask, it has less time to answer."""
        asked = asyncio.ensure_future(self._member.ping(deadline=self._in(_PING_LIMIT_S)))
        try:
            await _first_of(asked, suspected, timeout_s=None)
            if not asked.done():
                await _first_of(asked, timeout_s=_SUSPECT_PING_LIMIT_S)
            if not asked.done():
                raise MemberDeadlineError(self._suspicion)
        finally:
            asked.cancel()
        return asked.result()

    async def _unproved(self, before: Pong) -> HsmError | None:
        """Have the worker prove itself, to a caller who connects anew; returns what is wrong."""
        self._is_accused = False
        began = self._clock.monotonic()
        caller = RemoteMember(self._member.name, self._worker.use_path, self._worker.child.pid)
        try:
            await self._prove(caller, self._in(_PROOF_LIMIT_S))
        except MemberBusyError:
            return None  # it has more to do than it may, and it does it
        except MemberDeadlineError as error:
            return None if await self._is_busy(before, began) else error
        except HsmError as error:
            return error
        finally:
            caller.close()
            self._proved_at = self._clock.monotonic()
        return None

    async def _is_busy(self, before: Pong, began: float) -> bool:
        """Whether others' calls kept the worker from proving itself in time: overload is no fault of the HSM.

        It is when others' calls came to their end meanwhile, or when one that began before the proof still runs,
        within its limit.
        """
        await asyncio.sleep(_PING_EVERY_S)
        try:
            pong = await self._member.ping(deadline=self._in(_PING_LIMIT_S))
        except HsmError:
            return False
        if pong.finished - before.finished > _BUSY_CALLS:
            return True
        since_s = self._clock.monotonic() - began
        return any(since_s < running.for_s <= running.limit_s for running in pong.running)

    def _in(self, seconds: float) -> Deadline:
        return Deadline.after(self._clock, seconds)


async def _first_of(*futures: asyncio.Future[Any], timeout_s: float | None) -> None:
    await asyncio.wait(futures, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
