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
from strongroom.hsm.wire import (
    Batch,
    Connection,
    FrameError,
    Ping,
    Pong,
    Reply,
    Request,
    Running,
    check_batch_len,
    failure_from,
)
from strongroom.hsm.worker._admission import Admission
from strongroom.hsm.worker._batch_job import BatchJob
from strongroom.hsm.worker._health import WorkerHealth
from strongroom.hsm.worker._performer import Performer

MAX_WAITING = 4096
"""Calls that may wait in a worker; one more is refused at once, so that its caller tries another member."""

MAX_BATCHES = 64
"""Batches that may be under way in a worker: each can hold half a MiB."""

_STARTED_WITHIN = 0.85
"""Of a caller's time. What starts later is answered to nobody, and under overload that would be all there is."""
_ANSWERED_WITHIN = 0.95
"""The same for a batch: then it is answered with what is done of it, though an item hangs."""
_FLUSH_AFTER_S = 0.001
_HELD_AT_MOST_S = 0.01
_NOTHING = msgspec.Raw(b"\xc0")  # MessagePack nil


class _Waiting(NamedTuple):
    connection: Connection
    request: Request[Any]
    start_by: float
    end_by: float
    job: BatchJob | None = None


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
        self._batches: set[BatchJob] = set()  # those under way; added to by the event loop, taken from by any
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
            elif isinstance(request.call, Batch):
                refusal = self._submit_batch(connection, request, now, admission)
                if refusal is not None:
                    answers.append(Reply(request.id, _NOTHING, failure_from(refusal)))
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

    def _submit_batch(
        self, connection: Connection, request: Request[Any], now: float, admission: Admission | None
    ) -> Exception | None:
        """Queue a batch; returns why not."""
        n_items = len(request.call.items)
        try:
            check_batch_len(n_items)
        except HsmRequestError as error:
            return error
        if len(self._batches) >= MAX_BATCHES or self._queue.qsize() >= MAX_WAITING:
            return MemberBusyError("too many batches or calls wait for this member already")
        admitted = n_items if admission is None else admission.admit_some(n_items)
        if n_items and not admitted:
            return MemberBusyError("the member has had all calls that it may have just now")
        cut_at = now + request.timeout_s * _ANSWERED_WITHIN
        job = BatchJob(connection, request, cut_at=cut_at, admitted=admitted)
        self._batches.add(job)
        start_by = now + request.timeout_s * _STARTED_WITHIN
        self._queue.put(_Waiting(connection, request, start_by, now + request.timeout_s, job))
        return None

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
            if waiting.job is not None and self._done:
                self._send()  # the slice of a batch is too long to hold answers back
            if flush_at is None:
                flush_at = self._clock.monotonic() + _FLUSH_AFTER_S
            reply = (
                self._answer(slot, waiting)
                if waiting.job is None
                else self._go_on(slot, waiting, waiting.job)
            )
            if reply is not None:
                self._done.append((waiting.connection, reply))
            if self._queue.empty() or self._clock.monotonic() >= flush_at:
                self._send_last()
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

    def _go_on(self, slot: int, waiting: _Waiting, job: BatchJob) -> Reply | None:
        """Do a slice of a batch, and queue it again behind the others; returns its answer at the end."""
        started_at, n_before = self._clock.monotonic(), job.n_done
        if started_at < waiting.start_by and not job.is_over:
            limit_s = self._performer.limit_s(waiting.request.call)
            self._running[slot] = (Batch.__name__, started_at, limit_s)
            job.advance(self._performer, within_s=waiting.end_by - started_at)
            self._running[slot] = None
            self._finished[slot] += job.n_done - n_before
            if not job.is_over:
                self._queue.put(waiting)
                return None
        self._batches.discard(job)
        return job.reply()

    def _watch(self) -> None:
        """Send what threads hold back for a fuller frame, and what is done of batches: the call that they are at may hang."""
        now = self._clock.monotonic()
        for job in [job for job in self._batches.copy() if now >= job.cut_at]:
            self._batches.discard(job)
            reply = job.reply()
            if reply is not None:
                self._done.append((job.connection, reply))
        # Asked before sending: a thread that saw a call waiting, and so did not send, had added its answer by then.
        self._is_watching = not self._queue.empty() or bool(self._batches)
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

    def _send_last(self) -> None:
        """Do what ``_send`` does, by a shorter way where one answer waits."""
        if len(self._done) != 1:
            self._send()
            return
        try:
            connection, reply = self._done.popleft()
        except IndexError:  # another thread was quicker
            return
        _send_to(connection, [reply])


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
