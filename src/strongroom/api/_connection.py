"""One HTTP/1.1 connection: bytes in, requests to the handler one after the other, answers out in that order.

What one read brought, or a request that came in several, goes to the express lane when nothing else is under way, and comes
back from there unless it is usual; all else is read by ``RequestReader`` and answered by the handler. Requests of one
connection are handled strictly in turn, so a pipelined request sees the effects of those before it and answers never mix.
Everything that a peer can make us hold is bounded.
"""

import asyncio
from collections import deque
from typing import cast

from strongroom.api._connections_protocol import Connections
from strongroom.api._errors import ApiError
from strongroom.api._express import ExpressLane
from strongroom.api._http import Request, RequestHandler, Response, closing_bytes, response_bytes
from strongroom.api._identities import identity_of
from strongroom.api._request_reader import Arrived, RequestReader
from strongroom.api._timeouts import Timeouts

MAX_WAITING_REQUESTS = 64
"""Requests that may wait behind one on the same connection. At a quarter of it we stop reading; what is over
it, since one read brought that many, is not answered and the connection ends."""
_STOP_READING_AT = MAX_WAITING_REQUESTS // 4
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class HttpConnection(asyncio.Protocol):
    """One connection of one peer. Belongs to the event loop."""

    def __init__(
        self,
        handler: RequestHandler,
        connections: Connections,
        *,
        timeouts: Timeouts,
        lane: ExpressLane | None = None,
    ) -> None:
        self.peer = "-"
        self.boarded: bytes | Request | None = None
        """What waits in the lane for the end of this turn of the event loop; it may still be taken back."""
        self._is_usual_way = False  # what is being read does not board again
        self._is_riding = False  # the lane does a request of ours
        self._lane = lane
        self._handler = handler
        self._connections = connections
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader = RequestReader(self)
        self._waiting: deque[Arrived] = deque()
        self._task: asyncio.Task[None] | None = None
        self._is_last = False  # nothing after what waits is read any more
        self._is_draining = False
        self._is_write_paused = False
        self._since = self._loop.time()  # when the present state (reading, idle, writing) began

    # What the transport tells us.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or refuse it when there are too many."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self.peer = self._reader.peer = str(peer[0])
        self._reader.identity = identity_of(transport.get_extra_info("ssl_object"))
        if not self._connections.opened(self):
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's name
        """Forget what waits. A request under way goes on: its outcome is recorded, its answer is dropped."""
        self._connections.closed(self)
        if self._task is None:
            self._connections.large_bodies.give_back(self)
        self.boarded = None
        self._waiting.clear()
        self._is_last = True
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Parse, and refuse what is no HTTP."""
        if self._is_last or self._transport is None:
            return
        if type(self.boarded) is bytes:
            self.take_back()
        elif self._reader.is_at_rest and self._may_board():
            self._board(data)
            return
        self._feed(data)

    def eof_received(self) -> bool:
        """Answer what came whole before the peer closed its side, then close ours."""
        self.take_back()
        self._is_last = True
        return self._is_busy

    def pause_writing(self) -> None:
        """Hold the next request back until the peer has taken its answers."""
        self._is_write_paused = True
        self._since = self._loop.time()

    def resume_writing(self) -> None:
        """Go on."""
        self._is_write_paused = False
        self._since = self._loop.time()
        self._go_on()

    # What the express lane tells us.

    def take_back(self) -> None:
        """Handle what boarded the usual way."""
        boarded, self.boarded = self.boarded, None
        if isinstance(boarded, Request):
            self._waiting.appendleft(Arrived(boarded, keep_alive=True, error=None))
            self._go_on()
        elif boarded is not None and not self._is_last:
            self._is_usual_way = True
            try:
                self._feed(boarded)
            finally:
                self._is_usual_way = False

    def depart(self) -> None:
        """Take notice that an answer will come."""
        self.boarded = None
        self._is_riding = True

    def arrive(self, response: bytes) -> None:
        """Send the answer, and go on."""
        self._is_riding = False
        transport = self._transport
        if transport is None:
            return
        self._since = self._loop.time()
        if self._is_draining:
            self._is_last = True
            self._waiting.clear()
            response = closing_bytes(response)
        transport.write(response)
        if self._waiting or self._is_last:
            self._go_on()

    # What the reader tells us.

    def began(self) -> None:
        """Take notice of the first byte of a request."""
        self._since = self._loop.time()

    def arrived(self, arrived: Arrived) -> None:
        """Queue a whole request."""
        self._since = self._loop.time()
        if arrived.error is None and arrived.keep_alive and not self._is_usual_way and self._may_board():
            self._board(arrived.request)
            return
        self._waiting.append(arrived)
        if len(self._waiting) > MAX_WAITING_REQUESTS:
            self._waiting.pop()
            self._is_last = True
        self._go_on()

    def expects(self) -> None:
        """Give leave to send the body, if its turn has come."""
        if not self._is_busy and self._transport is not None:
            self._transport.write(_CONTINUE)

    def refuse(self, error: ApiError) -> None:
        """Answer with an error, after what came before it, and read no more: what follows cannot be trusted."""
        if not self._is_last:
            self._is_last = True
            self._waiting.append(self._reader.refused(error))
            self._go_on()

    def end(self) -> None:
        """Read no more."""
        self._is_last = True

    def refusal_of_large(self, url: bytes, n_bytes: int) -> ApiError | None:
        """Take a place for a large body, which comes alone: its place is held until it is answered."""
        if self._is_busy:
            return ApiError(
                "ThrottlingException", "A large request waits until those before it are answered."
            )
        return self._connections.large_bodies.refusal(self, url, n_bytes, self._loop.time())

    # What whoever gives out the places asks of us.

    @property
    def body_bytes_on_the_way(self) -> int | None:
        """How much of a body that is being read has come; None when none is."""
        return None if self._is_last or not self._reader.is_reading else self._reader.body_bytes

    # What whoever keeps count asks of us.

    def check(self, now: float) -> None:
        """Enforce the time-outs; called about once a second."""
        if self._transport is None:
            return
        waited_s = now - self._since
        if self._is_write_paused or self._transport.is_closing():
            # A close, too, waits until the peer has taken what is left.
            if waited_s > self._timeouts.write_s:
                self._transport.abort()
        elif self._is_busy:
            return  # our own time, which deadlines of the service bound
        elif self._reader.is_reading:
            if waited_s > self._timeouts.request_s:
                text = f"The request was not complete after {self._timeouts.request_s:g} seconds."
                self.refuse(ApiError("RequestTimeoutException", text, status=408))
        elif waited_s > self._timeouts.idle_s:
            self._transport.close()

    def drain(self) -> None:
        """Ask the peer to go elsewhere: the next answer says ``Connection: close``."""
        self._is_draining = True

    def close_if_idle(self) -> bool:
        """Close a connection on which nothing is under way; returns whether it is closed."""
        if self._transport is None:
            return True
        if not self._is_busy and not self._reader.is_reading:
            self._transport.close()
            return True
        return False

    # Our own work.

    @property
    def _is_busy(self) -> bool:
        """Whether a request is under way or waits."""
        return self._task is not None or self._is_riding or bool(self._waiting) or self.boarded is not None

    def _board(self, boarding: bytes | Request) -> None:
        if self._lane is not None:
            self.boarded = boarding
            self._lane.board(self)

    def _may_board(self) -> bool:
        """Whether there is a lane, and nothing that a request would have to wait for."""
        return (
            self._lane is not None
            and self._task is None
            and not self._is_riding
            and self.boarded is None
            and not self._waiting
            and not self._is_write_paused
        )

    def _feed(self, data: bytes) -> None:
        self._reader.feed(data)
        if len(self._waiting) >= _STOP_READING_AT and self._transport is not None:
            self._transport.pause_reading()

    def _go_on(self) -> None:
        """Start the next request, if none is under way and the peer takes its answers."""
        if self._task is not None or self._is_riding or self.boarded is not None:
            return
        if self._is_write_paused or self._transport is None:
            return
        if self._waiting:
            self._task = self._loop.create_task(self._answer(self._waiting.popleft()))
            if len(self._waiting) == _STOP_READING_AT - 1:
                self._transport.resume_reading()
        elif self._is_last:
            self._transport.close()

    async def _answer(self, arrived: Arrived) -> None:
        try:
            if arrived.error is not None:
                response = await self._handler.reject(arrived.request, arrived.error)
            else:
                response = await self._handler.handle(arrived.request)
            self._write(response, arrived)
        except BaseException:
            if self._transport is not None:  # a half answer must not be taken for a whole one
                self._transport.abort()
            raise
        finally:
            self._connections.large_bodies.give_back(self)
            self._task = None
            self._since = self._loop.time()
            self._go_on()

    def _write(self, response: Response, arrived: Arrived) -> None:
        if self._transport is None:
            return
        keep_alive = arrived.keep_alive and not self._is_draining
        if not keep_alive:
            self._is_last = True
            self._waiting.clear()
        has_body = arrived.request.method != "HEAD"
        self._transport.write(response_bytes(response, keep_alive=keep_alive, has_body=has_body))
