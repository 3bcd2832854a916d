"""The queue of a member and the threads that work it off."""

import asyncio
import queue
import threading
from typing import Any, NamedTuple

import msgspec

from strongroom.core import Clock, MemberDeadlineError, MemberFailedError
from strongroom.hsm.wire import Connection, Ping, Pong, Reply, Request, Running, failure_from
from strongroom.hsm.worker._performer import Performer

MAX_WAITING = 4096
"""Calls that may wait in a worker; one more is refused at once, so that its caller tries another member."""

_FLUSH_AFTER_S = 0.001
_NOTHING = msgspec.Raw(b"\xc0")  # MessagePack nil


class _Waiting(NamedTuple):
    connection: Connection
    request: Request[Any]
    start_by: float


class CallRunner:
    """Runs calls on HSM threads, in the order in which they came, and sends the answers in batches.

    ``submit`` and everything that sends belongs to the event loop; ``_work`` runs on the HSM threads. They
    share the queue and, per thread, one slot of ``_running`` that only that thread writes.
    """

    def __init__(self, performer: Performer, *, threads: int, clock: Clock) -> None:
        self.broken = asyncio.Event()
        self._performer = performer
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._running: list[tuple[str, float, float] | None] = [None] * threads
        self._threads = [
            threading.Thread(target=self._work, args=(slot,), name=f"hsm-{slot}", daemon=True)
            for slot in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, connection: Connection, requests: list[Request[Any]]) -> None:
        """Queue calls; Ping is answered at once."""
        now = self._clock.monotonic()
        answers = []
        for request in requests:
            if isinstance(request.call, Ping):
                answers.append(Reply(request.id, _encode(self.pong())))
            elif self._queue.qsize() >= MAX_WAITING:
                full = failure_from(MemberFailedError(f"{MAX_WAITING} calls wait for this member already"))
                answers.append(Reply(request.id, _NOTHING, full))
            else:
                self._queue.put(_Waiting(connection, request, now + request.timeout_s))
        if answers:
            connection.send(answers)

    def pong(self) -> Pong:
        """What runs, since when, and how many wait."""
        now = self._clock.monotonic()
        running = [
            Running(verb, now - since, limit_s)
            for verb, since, limit_s in (slot for slot in self._running if slot is not None)
        ]
        return Pong(running, self._queue.qsize())

    def close(self) -> None:
        """Let the threads end after what they are at; what waits is dropped."""
        for _ in self._threads:
            self._queue.put(None)

    def _work(self, slot: int) -> None:
        done: list[tuple[Connection, Reply]] = []
        flush_at = 0.0
        while (waiting := self._queue.get()) is not None:
            if not done:
                flush_at = self._clock.monotonic() + _FLUSH_AFTER_S
            done.append((waiting.connection, self._answer(slot, waiting)))
            if self._queue.empty() or self._clock.monotonic() >= flush_at:
                self._loop.call_soon_threadsafe(self._send, done)
                done = []
            if self._performer.is_broken:
                self._loop.call_soon_threadsafe(self.broken.set)

    def _answer(self, slot: int, waiting: _Waiting) -> Reply:
        request = waiting.request
        started_at = self._clock.monotonic()
        if started_at >= waiting.start_by:
            late = MemberDeadlineError("the call waited in the worker until its time was over")
            return Reply(request.id, _NOTHING, failure_from(late))
        call = request.call
        self._running[slot] = (type(call).__name__, started_at, self._performer.limit_s(call))
        try:
            return Reply(request.id, _encode(self._performer.perform(call)))
        except Exception as error:  # noqa: BLE001  # whatever happens, the caller gets an answer
            return Reply(request.id, _NOTHING, failure_from(error))
        finally:
            self._running[slot] = None

    def _send(self, done: list[tuple[Connection, Reply]]) -> None:
        by_connection: dict[Connection, list[Reply]] = {}
        for connection, reply in done:
            by_connection.setdefault(connection, []).append(reply)
        for connection, replies in by_connection.items():
            connection.send(replies)


def _encode(result: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.msgpack.encode(result))
