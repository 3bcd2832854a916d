"""HTTP as the api room sees it: request and response values, their limits, and who answers."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple, Protocol

from msgspec import Struct
from msgspec.structs import force_setattr

from strongroom.api._errors import ApiError

MAX_BODY_BYTES = 65_536
MAX_HEADERS = 64
MAX_HEADER_BYTES = 16_384
"""Names and values of all headers together."""


class Request(Struct, frozen=True, eq=False):
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
    identity: str = ""
    """Of the peer's TLS client certificate, which was verified; empty when it has none."""
    by_name: Mapping[str, str] = {}  # msgspec copies an empty default for each instance
    """``headers`` by name, of doubled ones the last: made from them unless it is given."""

    def __post_init__(self) -> None:
        """Index the headers."""
        if not self.by_name:
            force_setattr(self, "by_name", dict(self.headers))


class Response(NamedTuple):
    """One HTTP response; it carries every header but those of the connection."""

    status: int
    head: bytes
    """Header lines, each ended by CRLF."""
    body: bytes


_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
_CLOSE = b"connection: close\r\n"


def response_bytes(response: Response, *, keep_alive: bool, has_body: bool = True) -> bytes:
    """Return a response as it is sent (RFC 9112); the answer to HEAD has the length of a body that is not there."""
    status, head, body = response
    closing = b"" if keep_alive else _CLOSE
    sent = body if has_body else b""
    return b"%b%b%bcontent-length: %d\r\n\r\n%b" % (_STATUS_LINES[status], head, closing, len(body), sent)


def closing_bytes(response: bytes) -> bytes:
    """Return the bytes of a response that keeps the connection open so that they close it."""
    return response.replace(b"\r\n", b"\r\n" + _CLOSE, 1)


class RequestHandler(Protocol):
    """Answers requests. Neither function raises."""

    async def handle(self, request: Request) -> Response:
        """Answer a request that arrived whole."""
        ...

    async def reject(self, request: Request, error: ApiError) -> Response:
        """Answer a request that broke a limit of the transport; its body is empty here."""
        ...
