"""HTTP as the api room sees it: request and response values, and a small raw ASGI application around one handler.

The handler is a plain function of ``Request`` to ``Response``; nothing in it knows ASGI, so that another
server can call it too.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple, Protocol

from strongroom.api._errors import ApiError

MAX_BODY_BYTES = 65_536
MAX_HEADERS = 64
MAX_HEADER_BYTES = 16_384
"""Names and values of all headers together."""
READ_TIMEOUT_S = 10.0
"""For the whole body."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Request(NamedTuple):
    """One HTTP request. Text is the bytes that were sent, decoded as Latin-1."""

    method: str
    path: str
    """Not percent-decoded, without the query."""
    query: str
    headers: tuple[tuple[str, str], ...]
    """Lower-case names, in the order sent."""
    body: bytes
    peer: str
    """Address of the other side, ``-`` when unknown."""


class Response(NamedTuple):
    """One HTTP response; it carries every header but those of the connection."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class RequestHandler(Protocol):
    """Answers requests. Neither function raises."""

    async def handle(self, request: Request) -> Response:
        """Answer a request that arrived whole."""
        ...

    async def reject(self, request: Request, error: ApiError) -> Response:
        """Answer a request that broke a limit of the transport; its body is empty here."""
        ...


class _GoneError(Exception):
    """The client went away before its request was complete: nobody to answer."""


class AsgiApp:
    """ASGI 3 application (``http`` and ``lifespan``) that reads within limits and calls the handler."""

    def __init__(self, handler: RequestHandler, *, read_timeout_s: float = READ_TIMEOUT_S) -> None:
        self._handler = handler
        self._read_timeout_s = read_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            raise ValueError(f"the service speaks HTTP only, not {scope['type']}")

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = _head(scope)
        try:
            _check_head(scope)
            body = await self._read(receive)
        except _GoneError:
            return
        except ApiError as error:
            rejected = await self._handler.reject(head, error)
            # What is left of the request was not read, so the connection cannot carry another one.
            await _send(send, head, rejected._replace(headers=(*rejected.headers, (b"connection", b"close"))))
            return
        await _send(send, head, await self._handler.handle(head._replace(body=body)))

    async def _read(self, receive: Receive) -> bytes:
        try:
            async with asyncio.timeout(self._read_timeout_s):
                return await _read_body(receive)
        except TimeoutError:
            text = f"The request was not complete after {self._read_timeout_s:g} seconds."
            raise ApiError("RequestTimeoutException", text, status=408) from None


def _head(scope: Scope) -> Request:
    client = scope.get("client")
    return Request(
        method=scope["method"],
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        # Bounded here too: a request that is refused for its headers is still recorded, without the surplus.
        headers=tuple(
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in scope["headers"][:MAX_HEADERS]
        ),
        body=b"",
        peer=client[0] if client else "-",
    )


def _check_head(scope: Scope) -> None:
    headers = scope["headers"]
    if len(headers) > MAX_HEADERS or sum(len(n) + len(v) for n, v in headers) > MAX_HEADER_BYTES:
        text = f"A request may carry {MAX_HEADERS} headers and {MAX_HEADER_BYTES} bytes of them."
        raise ApiError("RequestHeaderFieldsTooLargeException", text, status=431)
    for name, value in headers:
        if name == b"content-length" and (not value.isdigit() or int(value[:20]) > MAX_BODY_BYTES):
            raise _too_large()


async def _read_body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _GoneError
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise _too_large()
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _too_large() -> ApiError:
    text = f"The body of a request may have {MAX_BODY_BYTES} bytes."
    return ApiError("RequestEntityTooLargeException", text, status=413)


async def _send(send: Send, request: Request, response: Response) -> None:
    headers = [*response.headers, (b"content-length", str(len(response.body)).encode())]
    body = b"" if request.method == "HEAD" else response.body
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return
