"""Which appended entries are durable, which failed, and who waits to hear it. Memory only; the caller locks.

Sequence numbers are given again after a failed group, so that the log has no gaps. Waiting goes by tickets,
which are never given twice: a waiter can not take another entry's success for its own.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain

from strongroom.core import AuditUnavailableError

MAX_OUTAGES = 1024
"""That are remembered. Who asks for an older ticket is told that its fate is not known."""


class Tickets:
    """Tickets from ``first`` on. All methods are for the holder of the log's lock."""

    def __init__(self, first: int) -> None:
        self._next = first
        self._decided_below = first
        self._known_from = first
        self._failed: deque[range] = deque()  # one for each outage, merged where they touch, oldest first
        self._waiting: dict[int, list[asyncio.Future[None]]] = {}  # by ticket, undecided ones only

    def issue(self) -> int:
        """Return the next ticket."""
        self._next += 1
        return self._next - 1

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

    def succeed(self, count: int) -> list[asyncio.Future[None]]:
        """Mark the ``count`` oldest undecided entries durable; return who waited for them."""
        start, self._decided_below = self._decided_below, self._decided_below + count
        ripe: list[asyncio.Future[None]] = []
        for ticket in range(start, self._decided_below):  # whatever else waits is not looked at
            if ticket in self._waiting:
                ripe += self._waiting.pop(ticket)
        return ripe

    def fail_all(self) -> list[asyncio.Future[None]]:
        """Mark every undecided entry failed; return who waited for them."""
        start = self._decided_below
        if self._failed and self._failed[-1].stop == start:
            start = self._failed.pop().start
        if start < self._next:
            self._failed.append(range(start, self._next))
        if len(self._failed) > MAX_OUTAGES:
            self._known_from = self._failed.popleft().stop
        self._decided_below = self._next
        futures = list(chain.from_iterable(self._waiting.values()))
        self._waiting = {}
        return futures

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


def wake(futures: Iterable[asyncio.Future[None]], *, has_failed: bool) -> None:
    """Resolve futures from another thread: one call into each event loop, however many wait there."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for future in futures:
        by_loop.setdefault(future.get_loop(), []).append(future)
    for loop, group in by_loop.items():
        with suppress(RuntimeError):  # the loop was closed: nobody is left to hear it
            loop.call_soon_threadsafe(_resolve, group, has_failed)


def _resolve(futures: list[asyncio.Future[None]], has_failed: bool) -> None:  # noqa: FBT001  # called by the loop
    for future in futures:
        if future.done():  # its task was cancelled
            continue
        if has_failed:
            future.set_exception(not_durable())
        else:
            future.set_result(None)
