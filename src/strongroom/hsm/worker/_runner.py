"""The queue of a member and the threads that work it off."""

import asyncio
import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from strongroom.core import Clock, HsmRequestError, MemberBusyError, MemberDeadlineError
from strongroom.hsm.wire import Connection, FrameError, Ping, Pong, Reply, Request, Running, failure_from
from strongroom.hsm.worker._admission import Admission
from strongroom.hsm.worker._health import WorkerHealth
from strongroom.hsm.worker._performer import Performer

MAX_WAITING = 4096
"""Calls that may wait in a worker; one more is refused at once, so that its caller tries another member."""

_STARTED_WITHIN = 0.85
"""Of a caller's time. What starts later is answered to nobody, and under overload that would be all there is."""
_FLUSH_AFTER_S = 0.001
_HELD_AT_MOST_S = 0.01
_NOTHING = msgspec.Raw(b"\xc0")  # MessagePack nil


class _Waiting(NamedTuple):
    connection: Connection
    request: Request[Any]
    start_by: float
    end_by: float


class CallRunner:
    """Runs calls on HSM threads, in the order in which they came, and sends the answers in batches.

    ``submit`` belongs to the event loop; ``_work`` runs on the HSM threads, which send answers themselves: waking the
    loop for each would cost more than a quick HSM call. They share the queue, the answers (``_done``), and, per
    thread, one slot of ``_running`` and of ``_finished`` that only it writes. After ``close`` the last thread to end closes the performer and sets ``ended``.
    """

    def __init__(
        self, performer: Performer, *, threads: int, clock: Clock, health: WorkerHealth | None = None
    ) -> None:
        self.broken = asyncio.Event()
        self.ended = asyncio.Event()
        self._performer = performer
        self._health = health
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._done: deque[tuple[Connection, Reply]] = deque()
        self._is_watching = False  # whether _watch is due; belongs to the event loop
        self._running: list[tuple[str, float, float] | None] = [None] * threads
        self._finished = [0] * threads
        self._is_closing = False
        self._at_work = threads
        self._lock = threading.Lock()  # for _at_work
        self._threads = [
            threading.Thread(target=self._work, args=(slot,), name=f"hsm-{slot}", daemon=True)
            for slot in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(
        self, connection: Connection, requests: list[Request[Any]], admission: Admission | None = None
    ) -> None:
        """Queue calls, as many as ``admission`` lets through; Ping is answered at once."""
        now = self._clock.monotonic()
        answers = []
        for request in requests:
            if isinstance(request.call, Ping):
                answers.append(Reply(request.id, _encode(self.pong())))
            elif self._queue.qsize() >= MAX_WAITING:
                # It would come too late: overload, which is no reason to think that the member is broken.
                full = failure_from(MemberBusyError(f"{MAX_WAITING} calls wait for this member already"))
                answers.append(Reply(request.id, _NOTHING, full))
            elif admission is not None and not admission.admit():
                limited = failure_from(
                    MemberBusyError("the member has had all calls that it may have just now")
                )
                answers.append(Reply(request.id, _NOTHING, limited))
            else:
                start_by = now + request.timeout_s * _STARTED_WITHIN
                self._queue.put(_Waiting(connection, request, start_by, now + request.timeout_s))
        if not self._is_watching:
            self._is_watching = True
            self._loop.call_later(_HELD_AT_MOST_S, self._watch)
        if answers:
            _send_to(connection, answers)

    def pong(self) -> Pong:
        """What runs, since when, how many wait, how many came to their end, and how the worker is."""
        now = self._clock.monotonic()
        running = [
            Running(verb, now - since, limit_s)
            for verb, since, limit_s in (slot for slot in self._running if slot is not None)
        ]
        finished = sum(self._finished)
        recoveries, recycle = self._health.read(finished) if self._health is not None else ({}, "")
        return Pong(running, self._queue.qsize(), finished, recoveries, recycle)

    def close(self) -> None:
        """Let the threads end after what they are at; what waits is dropped."""
        self._is_closing = True
        for _ in self._threads:
            self._queue.put(None)

    def _work(self, slot: int) -> None:
        try:
            self._work_off_queue(slot)
        finally:
            with self._lock:
                self._at_work -= 1
                is_last = self._at_work == 0
            if not self._is_closing:  # a bug of ours ended this thread: the process is of no more use
                self._in_loop(self.broken.set)
            elif is_last:
                with contextlib.suppress(Exception):  # nobody is left to be told
                    self._performer.close()
                self._in_loop(self.ended.set)

    def _work_off_queue(self, slot: int) -> None:
        flush_at: float | None = None
        while (waiting := self._queue.get()) is not None and not self._is_closing:
            if flush_at is None:
                flush_at = self._clock.monotonic() + _FLUSH_AFTER_S
            self._done.append((waiting.connection, self._answer(slot, waiting)))
            if self._queue.empty() or self._clock.monotonic() >= flush_at:
                self._send()
                flush_at = None
            if self._performer.is_broken:
                self._in_loop(self.broken.set)

    def _in_loop(self, callback: Callable[[], object]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left who could be told
            self._loop.call_soon_threadsafe(callback)

    def _answer(self, slot: int, waiting: _Waiting) -> Reply:
        request = waiting.request
        started_at = self._clock.monotonic()
        if started_at >= waiting.start_by:
            late = MemberDeadlineError("the call waited in the worker until its time was as good as over")
            return Reply(request.id, _NOTHING, failure_from(late))
        call = request.call
        self._running[slot] = (type(call).__name__, started_at, self._performer.limit_s(call))
        try:
            return Reply(
                request.id, _encode(self._performer.perform(call, within_s=waiting.end_by - started_at))
            )
        except Exception as error:  # noqa: BLE001  # whatever happens, the caller gets an answer
            return Reply(request.id, _NOTHING, failure_from(error))
        finally:
            self._running[slot] = None
            self._finished[slot] += 1

    def _watch(self) -> None:
        """Send what threads hold back for a fuller frame: the call that they are at now may hang."""
        # Asked before sending: a thread that saw a call waiting, and so did not send, had added its answer by then.
        self._is_watching = not self._queue.empty()
        self._send()
        if self._is_watching:
            self._loop.call_later(_HELD_AT_MOST_S, self._watch)

    def _send(self) -> None:
        by_connection: dict[Connection, list[Reply]] = {}
        with contextlib.suppress(IndexError):  # others may take from it at the same moment
            while True:
                connection, reply = self._done.popleft()
                by_connection.setdefault(connection, []).append(reply)
        for connection, replies in by_connection.items():
            _send_to(connection, replies)


def _send_to(connection: Connection, replies: list[Reply]) -> None:
    """Send answers in one frame; where they are too long for that, one by one."""
    try:
        connection.send_now(replies)
    except FrameError as error:
        if len(replies) == 1:
            too_long = failure_from(HsmRequestError(f"the answer cannot be sent: {error.message}"))
            connection.send_now([Reply(replies[0].id, _NOTHING, too_long)])
            return
        for reply in replies:
            _send_to(connection, [reply])


def _encode(result: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.msgpack.encode(result))
