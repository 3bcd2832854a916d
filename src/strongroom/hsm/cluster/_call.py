"""One call through the cluster: attempts on one member after another, and on two at once where the first is late."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Generic, TypeVar

from strongroom.core import (
    Deadline,
    HsmError,
    HsmKeyNotFoundError,
    HsmRequestError,
    MemberBusyError,
    MemberDeadlineError,
    MemberFailedError,
    NoMemberError,
    note_answer,
)
from strongroom.hsm.cluster._attempt import Attempt, CallLimits, is_hurry, overwrite
from strongroom.hsm.cluster._member import RemoteMember
from strongroom.hsm.cluster._routing import Routing
from strongroom.hsm.cluster._statistics import ClusterStatistics
from strongroom.hsm.cluster._suspicion import Suspicion, SuspicionKind
from strongroom.hsm.cluster._worker import Place, Worker

T = TypeVar("T")

_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.2
"""How long a call waits before it asks members again that have all failed it; the pause doubles each time."""
_LOOK_AT_SPEED_EVERY = 16


class Call(Generic[T]):
    """One verb before one deadline, on whichever worker can. Attempts that nobody waits for any more run to their end.

    So what they took counts against their worker, and what it answers late is overwritten where it is secret.
    """

    def __init__(
        self,
        verb_name: str,
        verb: Callable[[RemoteMember, Deadline], Awaitable[T]],
        deadline: Deadline,
        *,
        routing: Routing,
        limits: CallLimits,
        statistics: ClusterStatistics,
        report: Callable[[Suspicion], None],
        keep: Callable[[asyncio.Future[Any]], None],
        wait_for_table: Callable[[float], Awaitable[bool]],
        absent: Collection[Place] = (),
        note_absent: Callable[[Place], None] | None = None,
        is_retry: bool = False,
    ) -> None:
        """``absent`` are not asked at first. ``is_retry``: the first attempt counts as one of the extra ones already."""
        self._verb_name = verb_name
        self._verb = verb
        self._deadline = deadline
        self._clock = deadline.clock
        self._routing = routing
        self._limits = limits
        self._statistics = statistics
        self._report = report
        self._keep = keep
        self._wait_for_table = wait_for_table
        self._tried: set[Place] = set(absent)
        self._note_absent = note_absent
        self._running: dict[asyncio.Task[T], Attempt] = {}
        self._woken: asyncio.Future[None] | None = None
        self._last: HsmError | None = None
        self._is_retry = is_retry
        self._pause_s = _FIRST_PAUSE_S

    async def run(self) -> T:
        """Do it. Raises NoMemberError, and HsmRequestError at once."""
        self._limits.hedges.earn()
        self._limits.retries.earn()
        try:
            while not self._deadline.has_passed():
                if not self._is_asking() and not await self._ask_next():
                    if await self._pause(self._next_pause_s()):
                        self._pause_s = _FIRST_PAUSE_S
                    self._tried.clear()
                    continue
                answered = await self._first_answer()
                if answered is not None:
                    return answered.result()
            error = self._nobody()
        finally:
            self._leave_running()
        raise error from self._last

    def _is_asking(self) -> bool:
        return any(not attempt.is_shadow for attempt in self._running.values())

    async def _ask_next(self) -> bool:
        """Ask the best worker that was not asked yet; returns whether there is one."""
        if self._is_retry and not self._limits.retries.spend():
            if self._is_asking():
                return True
            self._statistics.retries_delayed += 1
            await self._pause(self._next_pause_s())
        worker = self._routing.choose(self._excluded())
        if worker is None:
            return False
        self._ask(worker)
        if not self._is_retry:
            shadow = self._routing.due_for_probe(worker)
            if shadow is not None:
                self._ask(shadow, is_shadow=True)
        return True

    def _excluded(self) -> Collection[Place]:
        if not self._tried and not self._running:
            return ()
        return self._tried | {attempt.worker.place for attempt in self._running.values()}

    def _ask(self, worker: Worker, *, is_shadow: bool = False, is_second: bool = False) -> None:
        given_s = max(min(self._limits.attempt_s, self._deadline.remaining_s()), 0.0)
        attempt = Attempt(worker, given_s, is_shadow=is_shadow, is_second=is_second)
        if is_shadow:
            self._statistics.probes[worker.entry.member] += 1
        task = asyncio.ensure_future(self._try(attempt))
        self._keep(task)
        task.add_done_callback(self._wake)
        self._running[task] = attempt

    async def _first_answer(self) -> asyncio.Task[T] | None:
        """Wait for an answer, asking another worker once the first is late; None when those asked so far have failed.

        Raises HsmRequestError, and whatever is no HsmError.
        """
        delay_s = self._limits.delays.after_s(self._verb_name, self._routing.healthy_latencies)
        hedge_at = self._clock.monotonic() + delay_s
        while self._is_asking() and not self._deadline.has_passed():
            left_s = self._deadline.remaining_s()
            done = await self._first_ended(min(hedge_at - self._clock.monotonic(), left_s))
            for task in done:
                attempt = self._running.pop(task)
                if self._is_answer(task, attempt):
                    note_answer(*attempt.worker.place)
                    return task
            if done and self._is_asking():  # one failed while another is late: do not wait for that one alone
                hedge_at = math.inf
                await self._ask_next()
            elif not done and hedge_at < math.inf and left_s > delay_s:
                hedge_at = math.inf
                self._ask_second()
        return None

    async def _first_ended(self, limit_s: float) -> list[asyncio.Task[T]]:
        """Wait until an attempt has ended, or so long; ``asyncio.wait`` does this too, at three times the price."""
        if not any(task.done() for task in self._running):
            loop = asyncio.get_running_loop()
            self._woken = loop.create_future()
            timer = loop.call_later(max(limit_s, 0.0), self._wake)
            try:
                await self._woken
            finally:
                timer.cancel()
                self._woken = None
        return [task for task in self._running if task.done()]

    def _wake(self, _ended: object = None) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    def _is_answer(self, task: asyncio.Task[T], attempt: Attempt) -> bool:
        """Whether an attempt ended well; otherwise its worker has been tried. Raises what ends the call."""
        error = MemberFailedError("the cluster was closed") if task.cancelled() else task.exception()
        if error is None:
            self._statistics.hedges_won += attempt.is_second
            return True
        is_final = isinstance(error, HsmRequestError) or not isinstance(error, HsmError)
        if is_final and not attempt.is_shadow:
            raise error
        if isinstance(error, HsmError):
            self._tried.add(attempt.worker.place)
            if self._last is None or not is_hurry(error, attempt, self._limits.attempt_s):
                self._last = error
            # Asking where a key is spends nothing: it is over once all were asked, and not asked again for a while.
            self._is_retry = not attempt.is_shadow and not isinstance(error, HsmKeyNotFoundError)
        return False

    def _ask_second(self) -> None:
        """Those asked are late: mark them as such, and ask one more if the budget allows."""
        late = [attempt for attempt in self._running.values() if not attempt.is_shadow]
        for attempt in late:
            attempt.is_late = True
            attempt.worker.late += 1
        worker = self._routing.choose(self._excluded())
        if worker is None:
            return
        if not self._limits.hedges.spend():
            self._statistics.hedges_refused += 1
            return
        self._statistics.hedges.update(attempt.worker.entry.member for attempt in late)
        self._ask(worker, is_second=True)

    async def _try(self, attempt: Attempt) -> T:
        """One attempt, and what its outcome says about the worker."""
        worker = attempt.worker
        is_probe = worker.breaker.begin_probe() or attempt.is_shadow
        began = self._clock.monotonic()
        try:
            try:
                result = await self._verb(worker.member, Deadline.after(self._clock, attempt.given_s))
            finally:
                took_s = self._clock.monotonic() - began
                worker.late -= attempt.is_late
        except HsmRequestError:
            worker.breaker.succeeded(began)
            raise
        except HsmError as error:
            self._failed(attempt, error, took_s, is_probe=is_probe)
            raise
        finally:
            if is_probe:
                worker.end_probe()
        worker.breaker.succeeded(began)
        self._took(attempt, took_s)
        return result

    def _took(self, attempt: Attempt, took_s: float) -> None:
        worker = attempt.worker
        latencies = worker.latencies_of(self._verb_name)
        latencies.add(took_s)
        self._statistics.took(worker.entry.member, self._verb_name, took_s)
        if worker.is_degraded or attempt.is_late or latencies.count % _LOOK_AT_SPEED_EVERY == 0:
            report = self._routing.speed_report(worker, self._verb_name)
            if report is not None:
                self._report(Suspicion(*worker.place, report[1], report[0]))

    def _failed(self, attempt: Attempt, error: HsmError, took_s: float, *, is_probe: bool) -> None:
        worker, member = attempt.worker, attempt.worker.entry.member
        if isinstance(error, MemberBusyError):
            self._statistics.busy[member] += 1
            worker.refused_as_busy()
            return
        if is_hurry(error, attempt, self._limits.attempt_s):
            return  # the call's own time was over: that says nothing about the member
        self._statistics.failovers[member] += 1
        kind: SuspicionKind = "failure"
        if isinstance(error, MemberDeadlineError):
            kind = "timeout"
            self._took(attempt, took_s)
        if isinstance(error, HsmKeyNotFoundError):  # it may hold all others: main finds out
            if self._note_absent is not None:
                self._note_absent(worker.place)
            if worker.may_report_missing():
                self._report(Suspicion(*worker.place, error.message, kind))
        elif worker.breaker.failed(is_probe=is_probe):
            self._report(Suspicion(*worker.place, error.message, kind))

    def _next_pause_s(self) -> float:
        pause_s, self._pause_s = self._pause_s, min(self._pause_s * 2, _LONGEST_PAUSE_S)
        return pause_s

    async def _pause(self, pause_s: float) -> bool:
        """Wait before members are asked again; returns whether a new table came.

        Without a member that serves only a table can help. Otherwise not for long: those that failed may do better.
        """
        left_s = self._deadline.remaining_s()
        if self._routing.has_serving():
            left_s = min(left_s, pause_s * (1 - self._limits.jitter() / 2))
        return await self._wait_for_table(left_s)

    def _leave_running(self) -> None:
        for task in self._running:
            task.add_done_callback(overwrite)
        self._running.clear()

    def _nobody(self) -> NoMemberError:
        if self._last is not None:
            reason = f"the last one said: {self._last.message}"
        elif self._is_asking():
            reason = "the last one did not answer"
        else:
            reason = "no time was left to ask one" if self._routing.has_serving() else "no member is active"
        return NoMemberError(
            f"no HSM of the cluster answered in time; {reason}",
            next_step="see 'strongroom status' for the members",
        )
