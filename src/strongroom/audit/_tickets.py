"""Which appended entries are durable, which failed, and who waits to hear it. Memory only; the caller locks.

Sequence numbers are given again after a failed group, so that the log has no gaps. Waiting goes by tickets,
which are never given twice: a waiter can not take another entry's success for its own.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from strongroom.core import AuditUnavailableError


class _Waiting(NamedTuple):
    ticket: int
    future: asyncio.Future[None]


class Tickets:
    """Tickets from ``first`` on. All methods are for the holder of the log's lock."""

    def __init__(self, first: int) -> None:
        self._next = first
        self._decided_below = first
        self._failed: deque[range] = deque()  # one for each outage, merged where they touch
        self._waiting: list[_Waiting] = []

    def issue(self) -> int:
        """Return the next ticket."""
        self._next += 1
        return self._next - 1

    def wait_for(self, ticket: int, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None] | None:
        """Return what to await for a ticket, None when its entry is durable already.

        Raises AuditUnavailableError when it failed, ValueError when it was never issued.
        """
        if ticket >= self._next:
            raise ValueError(f"ticket {ticket} was never issued")
        if ticket < self._decided_below:
            if any(ticket in failed for failed in self._failed):
                raise not_durable()
            return None
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append(_Waiting(ticket, future))
        return future

    def succeed(self, count: int) -> list[asyncio.Future[None]]:
        """Mark the ``count`` oldest undecided entries durable; return who waited for them."""
        self._decided_below += count
        ripe = [waiting.future for waiting in self._waiting if waiting.ticket < self._decided_below]
        self._waiting = [waiting for waiting in self._waiting if waiting.ticket >= self._decided_below]
        return ripe

    def fail_all(self) -> list[asyncio.Future[None]]:
        """Mark every undecided entry failed; return who waited for them."""
        start = self._decided_below
        if self._failed and self._failed[-1].stop == start:
            start = self._failed.pop().start
        if start < self._next:
            self._failed.append(range(start, self._next))
        self._decided_below = self._next
        futures = [waiting.future for waiting in self._waiting]
        self._waiting = []
        return futures


def not_durable() -> AuditUnavailableError:
    """Make the error of an entry that did not become durable."""
    return AuditUnavailableError(
        "the audit entry could not be made durable",
        next_step="check space and health of the disk that holds the audit directory",
    )


def wake(futures: Iterable[asyncio.Future[None]], *, is_durable: bool) -> None:
    """Resolve futures from another thread: one call into each event loop, however many wait there."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for future in futures:
        by_loop.setdefault(future.get_loop(), []).append(future)
    for loop, group in by_loop.items():
        with suppress(RuntimeError):  # the loop was closed: nobody is left to hear it
            loop.call_soon_threadsafe(_resolve, group, is_durable)


def _resolve(futures: list[asyncio.Future[None]], is_durable: bool) -> None:  # noqa: FBT001  # called by the loop
    for future in futures:
        if future.done():  # its task was cancelled
            continue
        if is_durable:
            future.set_result(None)
        else:
            future.set_exception(not_durable())
