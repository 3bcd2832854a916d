"""The plain request: the one form in which SDKs send every call, read in a single pass.

``POST / HTTP/1.1`` with a body of declared length, all of it there and nothing after it; each header once, by a name out of a
short list, printable ASCII, exactly one blank after the colon and none that folding would touch. Every HTTP parser reads
these bytes alike, ours (``_http_parser``) too, which a test holds against this one. Whatever differs in one byte is not for
this reader: it returns None and says nothing of the request.
"""

import re
from typing import NamedTuple

from msgspec import Struct

from strongroom.api._http import MAX_BODY_BYTES

MAX_PLAIN_HEAD_BYTES = 4_096
MAX_SHAPES = 256
_START = b"POST / HTTP/1.1\r\n"
_NAMES = frozenset(
    {
        "accept", "accept-encoding", "amz-sdk-invocation-id", "amz-sdk-request", "authorization", "content-length",
        "content-type", "host", "user-agent", "x-amz-content-sha256", "x-amz-date", "x-amz-target", "x-amz-user-agent",
        "x-amzn-trace-id",
    }
)  # fmt: skip
"""What may be sent: nothing of it tells how the request is framed, but Content-Length."""
_NEEDED = frozenset({"authorization", "content-length", "host", "x-amz-date", "x-amz-target"})
_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")


class Shape(Struct, frozen=True, eq=False):
    """What the names of headers say, in the order in which they were sent."""

    sent: tuple[str, ...]
    """The names as they were sent."""
    names: tuple[str, ...]
    """In lower case, each once."""
    authorization: int
    """At which place that header stands; likewise the others."""
    content_length: int
    date: int
    target: int
    payload_hash: int | None


class PlainRequest(NamedTuple):
    """A plain request; nothing in it is verified."""

    shape: Shape
    values: tuple[str, ...]
    """Of the headers, in the order of the shape's names: printable ASCII, no blank at an end, no two in a row."""
    body: bytes


class PlainReader:
    """Reads plain requests. Shapes are kept (``keep``) of requests that verified, so strangers cannot fill the memory."""

    def __init__(self) -> None:
        self._shapes: dict[tuple[str, ...], Shape] = {}

    def read(self, data: bytes) -> PlainRequest | None:
        """Read what one read from the connection brought; None unless it is exactly one plain request."""
        head, end, body = data.partition(b"\r\n\r\n")
        if not end or len(head) > MAX_PLAIN_HEAD_BYTES or not head.startswith(_START):
            return None
        try:
            text = head[len(_START) :].decode("ascii")
            lines = text.split("\r\n")
            if "  " in text or " \r" in text or text[-1:] == " " or not "".join(lines).isprintable():
                return None
            names, values = zip(*[line.split(": ", 1) for line in lines], strict=True)
        except ValueError:  # not ASCII, or a line that is no header
            return None
        shape = self._shapes.get(names) or shape_of(names)
        if shape is None or values[shape.content_length] != str(len(body)) or len(body) > MAX_BODY_BYTES:
            return None
        return PlainRequest(shape, values, body)

    def keep(self, shape: Shape) -> None:
        """Remember the shape of a request that verified."""
        self._shapes[shape.sent] = shape
        if len(self._shapes) > MAX_SHAPES:
            del self._shapes[next(iter(self._shapes))]


def shape_of(names: tuple[str, ...]) -> Shape | None:
    """Return what the names of headers, as they were sent, say; None when a request with them is not plain."""
    if not all(map(_NAME.fullmatch, names)):
        return None
    lowered = tuple(name.lower() for name in names)
    present = set(lowered)
    if len(present) != len(lowered) or not _NEEDED <= present <= _NAMES:
        return None
    return Shape(
        names,
        lowered,
        lowered.index("authorization"),
        lowered.index("content-length"),
        lowered.index("x-amz-date"),
        lowered.index("x-amz-target"),
        lowered.index("x-amz-content-sha256") if "x-amz-content-sha256" in present else None,
    )
