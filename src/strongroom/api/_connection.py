"""One HTTP/1.1 connection: bytes in, requests to the handler one after the other, answers out in that order.

Parsing is llhttp's (httptools), which refuses what smuggling needs: doubled Content-Length, Content-Length with
Transfer-Encoding, bare line feeds. Requests of one connection are handled strictly in turn, so a pipelined request
sees the effects of those before it and answers never mix. Everything that a peer can make us hold is bounded.
"""

import asyncio
from collections import deque
from http import HTTPStatus
from typing import NamedTuple, Protocol, cast

import httptools
from msgspec.structs import replace

from strongroom.api._errors import ApiError
from strongroom.api._http import (
    MAX_BODY_BYTES,
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    Request,
    RequestHandler,
    Response,
)
from strongroom.api._identities import identity_of

MAX_WAITING_REQUESTS = 64
"""Requests that may wait behind one on the same connection. At a quarter of it we stop reading; what is over
it, since one read brought that many, is not answered and the connection ends."""
MAX_URL_BYTES = 2_048
_STOP_READING_AT = MAX_WAITING_REQUESTS // 4
_HEAD_SLACK_BYTES = 1_024  # request line and separators, beside the headers themselves
_NO_BODY = b""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


class Timeouts(NamedTuple):
    """How long a connection may take for what, in seconds."""

    request_s: float = 10.0
    """From the first byte of a request to its last."""
    idle_s: float = 75.0
    """Between two requests."""
    write_s: float = 30.0
    """For the peer to take an answer."""


class Connections(Protocol):
    """Who keeps count of connections."""

    def opened(self, connection: "HttpConnection") -> bool:
        """Take notice of a connection; False when there are too many, and it is to be closed at once."""
        ...

    def closed(self, connection: "HttpConnection") -> None:
        """Take notice of its end."""
        ...


class _Arrived(NamedTuple):
    request: Request
    keep_alive: bool
    error: ApiError | None
    """What the transport refuses it for; nothing after it on the connection is read."""


class HttpConnection(asyncio.Protocol):
    """One connection of one peer. Belongs to the event loop."""

    def __init__(self, handler: RequestHandler, connections: Connections, *, timeouts: Timeouts) -> None:
        self._handler = handler
        self._connections = connections
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._peer = "-"
        self._identity = ""
        self._waiting: deque[_Arrived] = deque()
        self._task: asyncio.Task[None] | None = None
        self._is_last = False  # nothing after what waits is read any more
        self._is_draining = False
        self._is_write_paused = False
        self._since = self._loop.time()  # when the present state (reading, idle, writing) began
        self._reset()

    # What the transport tells us.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or refuse it when there are too many."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self._peer = str(peer[0])
        self._identity = identity_of(transport.get_extra_info("ssl_object"))
        if not self._connections.opened(self):
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's name
        """Forget what waits. A request under way goes on: its outcome is recorded, its answer is dropped."""
        self._connections.closed(self)
        self._waiting.clear()
        self._is_last = True
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Parse, and refuse what is no HTTP."""
        if self._is_last or self._transport is None:
            return
        if not self._is_head_done:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except _RefusedError:
            return
        except httptools.HttpParserUpgrade:
            self._is_last = (
                True  # the request was queued; it is answered in HTTP/1.1, which RFC 9110 7.8 allows
            )
        except (httptools.HttpParserError, httptools.HttpParserCallbackError, ValueError):
            self._refuse(
                ApiError("SerializationException", "The bytes sent are no HTTP/1.1 request.", status=400)
            )
        else:
            if not self._is_head_done and self._head_bytes > MAX_HEADER_BYTES + _HEAD_SLACK_BYTES + len(data):
                self._refuse(_headers_too_large())
        if len(self._waiting) >= _STOP_READING_AT and self._transport is not None:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Answer what came whole before the peer closed its side, then close ours."""
        self._is_last = True
        return self._task is not None or bool(self._waiting)

    def pause_writing(self) -> None:
        """Hold the next request back until the peer has taken its answers."""
        self._is_write_paused = True
        self._since = self._loop.time()

    def resume_writing(self) -> None:
        """Go on."""
        self._is_write_paused = False
        self._since = self._loop.time()
        self._go_on()

    # What the parser tells us.

    def on_message_begin(self) -> None:
        """Start a request."""
        self._reset()
        self._is_reading = True
        self._since = self._loop.time()

    def on_url(self, url: bytes) -> None:
        """Collect the request target, within its limit."""
        self._url += url
        if len(self._url) > MAX_URL_BYTES:
            text = f"A request target may have {MAX_URL_BYTES} bytes."
            self._refuse_now(ApiError("ValidationException", text, status=414))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header, within limits."""
        if self._is_head_done:
            self._refuse_now(ApiError("ValidationException", "Trailers are not supported.", status=400))
        self._names.append(name)
        self._values.append(value)
        if len(self._names) > MAX_HEADERS:
            self._refuse_now(_headers_too_large())

    def on_headers_complete(self) -> None:
        """Check what the headers say of the body."""
        self._is_head_done = True
        self._head_bytes = 0
        headers = self._take_headers()
        if self._parser.get_method() == b"CONNECT":
            self._refuse_now(ApiError("ValidationException", "This is no proxy.", status=400))
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > MAX_BODY_BYTES:
            self._refuse_now(_body_too_large())
        if self._parser.should_upgrade() and (int(length) or "transfer-encoding" in headers):
            # The parser takes the body for the other protocol: the request would be handled without it.
            text = "A request with a body cannot ask for an upgrade."
            self._refuse_now(ApiError("ValidationException", text, status=400))
        version = self._parser.get_http_version()
        if version == "1.1":
            if "host" not in headers:
                text = "HTTP/1.1 requires a Host header."
                self._refuse_now(ApiError("ValidationException", text, status=400))
        elif version != "1.0":
            # A first line without a version is HTTP/0.9 to the parser, which takes headers after it all the same.
            self._refuse_now(ApiError("ValidationException", "HTTP/1.1 is spoken here.", status=400))
        expect = headers.get("expect")
        if expect is not None:
            if expect.lower() != "100-continue":
                self._refuse_now(ApiError("ValidationException", "Unknown expectation.", status=417))
            elif self._task is None and not self._waiting and self._transport is not None:
                self._transport.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        """Collect the body, within its limit."""
        self._body.append(body)
        self._body_bytes += len(body)
        if self._body_bytes > MAX_BODY_BYTES:
            self._refuse_now(_body_too_large())

    def on_message_complete(self) -> None:
        """Queue a whole request."""
        self._is_reading = False
        self._since = self._loop.time()
        keep_alive = self._parser.should_keep_alive() and not self._parser.should_upgrade()
        self._waiting.append(_Arrived(self._request(), keep_alive, None))
        self._reset()
        if len(self._waiting) > MAX_WAITING_REQUESTS:
            self._waiting.pop()
            self._is_last = True
        self._go_on()

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
        elif self._task is not None or self._waiting:
            return  # our own time, which deadlines of the service bound
        elif self._is_reading:
            if waited_s > self._timeouts.request_s:
                text = f"The request was not complete after {self._timeouts.request_s:g} seconds."
                self._refuse(ApiError("RequestTimeoutException", text, status=408))
        elif waited_s > self._timeouts.idle_s:
            self._transport.close()

    def drain(self) -> None:
        """Ask the peer to go elsewhere: the next answer says ``Connection: close``."""
        self._is_draining = True

    def close_if_idle(self) -> bool:
        """Close a connection on which nothing is under way; returns whether it is closed."""
        if self._transport is None:
            return True
        if self._task is None and not self._waiting and not self._is_reading:
            self._transport.close()
            return True
        return False

    # Our own work.

    def _reset(self) -> None:
        self._is_reading = False
        self._is_head_done = False
        self._url = b""
        self._names: list[bytes] = []
        self._values: list[bytes] = []
        self._headers: tuple[tuple[str, str], ...] = ()
        self._by_name: dict[str, str] = {}
        self._head_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0

    def _take_headers(self) -> dict[str, str]:
        """Decode the headers, all at once, within their limit."""
        names, values = b"\n".join(self._names), b"\n".join(self._values)
        if len(names) + len(values) > MAX_HEADER_BYTES + 2 * len(self._names):
            self._refuse_now(_headers_too_large())
        self._headers = _pairs(names, values)
        self._by_name = dict(self._headers)
        return self._by_name

    def _request(self) -> Request:
        path, _, query = self._url.decode("latin-1").partition("?")
        body = self._body[0] if len(self._body) == 1 else _NO_BODY.join(self._body)
        method = self._parser.get_method().decode("latin-1")
        return Request(method, path, query, self._headers, body, self._peer, self._identity, self._by_name)

    def _refuse_now(self, error: ApiError) -> None:
        """Refuse from within the parser, which then stops."""
        self._refuse(error)
        raise _RefusedError

    def _refuse(self, error: ApiError) -> None:
        """Answer with an error, after what came before it, and read no more: what follows cannot be trusted."""
        if self._is_last:
            return
        self._is_last = True
        try:
            if not self._headers:
                names, values = self._names[:MAX_HEADERS], self._values[:MAX_HEADERS]
                self._headers = _pairs(b"\n".join(names), b"\n".join(values))
            request = self._request()
        except (httptools.HttpParserError, ValueError):
            request = Request("-", "-", "", (), _NO_BODY, self._peer)
        refused = replace(request, body=_NO_BODY)
        self._waiting.append(_Arrived(refused, keep_alive=False, error=error))
        self._go_on()

    def _go_on(self) -> None:
        """Start the next request, if none is under way and the peer takes its answers."""
        if self._task is not None or self._is_write_paused or self._transport is None:
            return
        if self._waiting:
            self._task = self._loop.create_task(self._answer(self._waiting.popleft()))
            if len(self._waiting) == _STOP_READING_AT - 1:
                self._transport.resume_reading()
        elif self._is_last:
            self._transport.close()

    async def _answer(self, arrived: _Arrived) -> None:
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
            self._task = None
            self._since = self._loop.time()
            self._go_on()

    def _write(self, response: Response, arrived: _Arrived) -> None:
        if self._transport is None:
            return
        keep_alive = arrived.keep_alive and not self._is_draining
        closing = b""
        if not keep_alive:
            closing = b"connection: close\r\n"
            self._is_last = True
            self._waiting.clear()
        status, head, body = response
        sent = _NO_BODY if arrived.request.method == "HEAD" else body
        self._transport.write(
            b"%b%b%bcontent-length: %d\r\n\r\n%b" % (_STATUS_LINES[status], head, closing, len(body), sent)
        )


def _pairs(names: bytes, values: bytes) -> tuple[tuple[str, str], ...]:
    """Pair lower-case names with values, each joined by line feeds, which the parser lets into neither.

    Raises ValueError if it did.
    """
    if not names:
        return ()
    listed = names.decode("latin-1").lower().split("\n")
    return tuple(zip(listed, values.decode("latin-1").split("\n"), strict=True))


class _RefusedError(Exception):
    """Stops the parser after a refusal."""


def _headers_too_large() -> ApiError:
    text = f"A request may carry {MAX_HEADERS} headers and {MAX_HEADER_BYTES} bytes of them."
    return ApiError("RequestHeaderFieldsTooLargeException", text, status=431)


def _body_too_large() -> ApiError:
    text = f"The body of a request may have {MAX_BODY_BYTES} bytes."
    return ApiError("RequestEntityTooLargeException", text, status=413)
