"""Which appended entries are durable, which failed, and who waits to hear it. Memory only; the caller locks.

Sequence numbers are given again after a failed group, so that the log has no gaps. Waiting goes by tickets,
which are never given twice: a waiter can not take another entry's success for its own.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import chain
from typing import NamedTuple

from strongroom.core import AuditUnavailableError

MAX_OUTAGES = 1024
"""That are remembered. Who asks for an older ticket is told that its fate is not known."""


Decided = Callable[[int, AuditUnavailableError | None], None]
"""Hears how many more entries of a batch, in their order, were decided: durable, or failed with an error."""


class Batch(NamedTuple):
    """Undecided tickets that were issued together, and who hears of them. Wakes like a future, in its own loop."""

    first: int
    stop: int
    decided: Decided
    loop: asyncio.AbstractEventLoop

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop in which ``decided`` is called."""
        return self.loop


Waiter = asyncio.Future[None] | Batch
"""A batch here stands for those of its tickets that have just been decided."""


class Tickets:
    """Tickets from ``first`` on. All methods are for the holder of the log's lock."""

    def __init__(self, first: int) -> None:
        self._next = first
        self._decided_below = first
        self._known_from = first
        self._failed: deque[range] = deque()  # one for each outage, merged where they touch, oldest first
        self._waiting: dict[int, list[asyncio.Future[None]]] = {}  # by ticket, undecided ones only
        self._batches: deque[Batch] = deque()  # oldest first

    def issue(self) -> int:
        """Return the next ticket."""
        self._next += 1
        return self._next - 1

    def issue_many(self, count: int) -> None:
        """Issue the next tickets."""
        self._next += count

    def wait_for(self, ticket: int, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None] | None:
        """Return what to await for a ticket, None when its entry is durable already.

        Raises AuditUnavailableError when it failed or was decided too long ago, ValueError when it was never issued.
        """
        if ticket >= self._next:
            raise ValueError(f"ticket {ticket} was never issued")
        if ticket < self._decided_below:
            self._require_durable(ticket)
            return None
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.setdefault(ticket, []).append(future)
        return future

    def wait_for_newest(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """Return what to await for the ticket that was issued last, which nobody else knows yet."""
        future: asyncio.Future[None] = loop.create_future()
        self._waiting[self._next - 1] = [future]
        return future

    def wait_for_newest_batch(self, count: int, loop: asyncio.AbstractEventLoop, decided: Decided) -> None:
        """Let ``decided`` hear of the ``count`` tickets that were issued last, in one call or in several."""
        self._batches.append(Batch(self._next - count, self._next, decided, loop))

    def succeed(self, count: int) -> list[Waiter]:
        """Mark the ``count`` oldest undecided entries durable; return who waited for them."""
        start, self._decided_below = self._decided_below, self._decided_below + count
        ripe: list[Waiter] = []
        if self._waiting:
            for ticket in range(start, self._decided_below):  # whatever else waits is not looked at
                if ticket in self._waiting:
                    ripe += self._waiting.pop(ticket)
        ripe += self._ripe_batches()
        return ripe

    def _ripe_batches(self) -> list[Batch]:
        """Take what is decided out of the batches."""
        ripe: list[Batch] = []
        while self._batches and self._batches[0].first < self._decided_below:
            batch = self._batches.popleft()
            if batch.stop > self._decided_below:
                self._batches.appendleft(batch._replace(first=self._decided_below))
                batch = batch._replace(stop=self._decided_below)
            ripe.append(batch)
        return ripe

    def fail_all(self) -> list[Waiter]:
        """Mark every undecided entry failed; return who waited for them."""
        start = self._decided_below
        if self._failed and self._failed[-1].stop == start:
            start = self._failed.pop().start
        if start < self._next:
            self._failed.append(range(start, self._next))
        if len(self._failed) > MAX_OUTAGES:
            self._known_from = self._failed.popleft().stop
        self._decided_below = self._next
        failed: list[Waiter] = [*chain.from_iterable(self._waiting.values()), *self._ripe_batches()]
        self._waiting = {}
        return failed

    def _require_durable(self, ticket: int) -> None:
        if ticket < self._known_from:
            raise AuditUnavailableError("whether the audit entry became durable is not known any more")
        for failed in reversed(self._failed):  # nearly always a ticket is younger than the last outage
            if ticket >= failed.stop:
                return
            if ticket in failed:
                raise not_durable()


def not_durable() -> AuditUnavailableError:
    """Make the error of an entry that did not become durable."""
    return AuditUnavailableError(
        "the audit entry could not be made durable",
        next_step="check space and health of the disk that holds the audit directory",
    )


def wake(waiters: Iterable[Waiter], *, has_failed: bool) -> None:
    """Tell waiters from another thread: one call into each event loop, however many wait there."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Waiter]] = {}
    for waiter in waiters:
        by_loop.setdefault(waiter.get_loop(), []).append(waiter)
    for loop, group in by_loop.items():
        with suppress(RuntimeError):  # the loop was closed: nobody is left to hear it
            loop.call_soon_threadsafe(_resolve, group, has_failed)


def _resolve(waiters: list[Waiter], has_failed: bool) -> None:  # noqa: FBT001  # called by the loop
    for waiter in waiters:
        if isinstance(waiter, Batch):
            _tell(waiter, has_failed=has_failed)
        elif waiter.done():  # its task was cancelled
            continue
        elif has_failed:
            waiter.set_exception(not_durable())
        else:
            waiter.set_result(None)


def _tell(batch: Batch, *, has_failed: bool) -> None:
    try:
        batch.decided(batch.stop - batch.first, not_durable() if has_failed else None)
    except Exception as error:  # noqa: BLE001  # nobody else's answer depends on it
        batch.loop.call_exception_handler({"message": "a waiter for audit entries broke", "exception": error})
