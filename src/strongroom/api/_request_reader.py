"""Requests out of the bytes of one HTTP/1.1 connection, within limits: the general reader.

Parsing is llhttp's (httptools), which refuses what smuggling needs: doubled Content-Length, Content-Length with
Transfer-Encoding, bare line feeds. What may stand in a request beyond that is decided here.
"""

from typing import NamedTuple, Protocol

import httptools
from msgspec.structs import replace

from strongroom.api._errors import ApiError
from strongroom.api._http import MAX_BODY_BYTES, MAX_HEADER_BYTES, MAX_HEADERS, Request
from strongroom.api._large_bodies import body_too_large

MAX_URL_BYTES = 2_048
_HEAD_SLACK_BYTES = 1_024  # request line and separators, beside the headers themselves
_NO_BODY = b""


class Arrived(NamedTuple):
    """A request, or what the transport refuses for its form; nothing after that on the connection is read."""

    request: Request
    keep_alive: bool
    error: ApiError | None


class Receiver(Protocol):
    """Who takes the requests: a connection."""

    def began(self) -> None:
        """Take notice of the first byte of a request."""
        ...

    def arrived(self, arrived: Arrived) -> None:
        """Take a request that arrived whole."""
        ...

    def expects(self) -> None:
        """Take notice that the peer waits for leave to send the body."""
        ...

    def refuse(self, error: ApiError) -> None:
        """Answer with an error after what came before, and give nothing more to the reader."""
        ...

    def end(self) -> None:
        """Give nothing more to the reader."""
        ...

    def refusal_of_large(self, url: bytes, n_bytes: int) -> ApiError | None:
        """Make room for a body beyond the usual limit; or return why there is none."""
        ...


class RequestReader:
    """Reads the requests of one connection in turn; what it holds of one is bounded."""

    def __init__(self, receiver: Receiver) -> None:
        self.peer = "-"
        self.identity = ""
        self.is_at_rest = True
        """Whether nothing of a request has been read yet."""
        self._receiver = receiver
        self._parser = httptools.HttpRequestParser(self)
        self._reset()

    def _reset(self) -> None:
        self.is_reading = False
        self._is_head_done = False
        self._url = b""
        self._names: list[bytes] = []
        self._values: list[bytes] = []
        self._headers: tuple[tuple[str, str], ...] = ()
        self._by_name: dict[str, str] = {}
        self._head_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._body_limit = MAX_BODY_BYTES

    @property
    def body_bytes(self) -> int:
        """How much of the present body has come."""
        return self._body_bytes

    def feed(self, data: bytes) -> None:
        """Read on, and refuse what is no HTTP."""
        self.is_at_rest = False
        if not self._is_head_done:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except _RefusedError:
            return
        except httptools.HttpParserUpgrade:
            self._receiver.end()  # the request was handed over; it is answered in HTTP/1.1, which RFC 9110 7.8 allows
        except (httptools.HttpParserError, httptools.HttpParserCallbackError, ValueError):
            self._receiver.refuse(
                ApiError("SerializationException", "The bytes sent are no HTTP/1.1 request.", status=400)
            )
        else:
            if not self._is_head_done and self._head_bytes > MAX_HEADER_BYTES + _HEAD_SLACK_BYTES + len(data):
                self._receiver.refuse(_headers_too_large())
            self.is_at_rest = not self.is_reading and not self._head_bytes

    def refused(self, error: ApiError) -> Arrived:
        """Return as much of the present request as there is, refused."""
        try:
            if not self._headers:
                names, values = self._names[:MAX_HEADERS], self._values[:MAX_HEADERS]
                self._headers = _pairs(b"\n".join(names), b"\n".join(values))
            request = self._request()
        except (httptools.HttpParserError, ValueError):
            request = Request("-", "-", "", (), _NO_BODY, self.peer)
        self._body = []  # it may be large, and the connection may take its time to go away
        return Arrived(replace(request, body=_NO_BODY), keep_alive=False, error=error)

    # What llhttp tells us.

    def on_message_begin(self) -> None:
        """Start a request."""
        self._reset()
        self.is_reading = True
        self._receiver.began()

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
        if not length.isdecimal():
            self._refuse_now(body_too_large(MAX_BODY_BYTES))
        self._make_room(int(length[:20]))
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
            else:
                self._receiver.expects()

    def _make_room(self, n_bytes: int) -> None:
        """Refuse a body beyond the limits, before any of it is read."""
        if n_bytes > MAX_BODY_BYTES:
            refusal = self._receiver.refusal_of_large(self._url, n_bytes)
            if refusal is not None:
                self._refuse_now(refusal)
            self._body_limit = n_bytes

    def on_body(self, body: bytes) -> None:
        """Collect the body, within its limit."""
        self._body.append(body)
        self._body_bytes += len(body)
        if self._body_bytes > self._body_limit:
            self._refuse_now(body_too_large(self._body_limit))

    def on_message_complete(self) -> None:
        """Hand a whole request over."""
        keep_alive = self._parser.should_keep_alive() and not self._parser.should_upgrade()
        arrived = Arrived(self._request(), keep_alive, None)
        self._reset()
        self._receiver.arrived(arrived)

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
        return Request(method, path, query, self._headers, body, self.peer, self.identity, self._by_name)

    def _refuse_now(self, error: ApiError) -> None:
        """Refuse from within the parser, which then stops."""
        self._receiver.refuse(error)
        raise _RefusedError


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
