"""The plain request: the one form in which SDKs send every call, read in a single pass.

``POST / HTTP/1.1`` with a body of declared length, all of it there and nothing after it; each header once, by a name out of a
short list, printable ASCII, exactly one blank after the colon and none that folding would touch. Every HTTP parser reads
these bytes alike, ours (``_request_reader``) too, which a test holds against this one. Whatever differs in one byte is not for
this reader: it returns None and says nothing of the request.
"""

import re
from collections.abc import Callable

from msgspec import Struct

from strongroom.api._http import MAX_BODY_BYTES

MAX_PLAIN_HEAD_BYTES = 4_096
MAX_SHAPES = 256
_TRIED = 4
"""Patterns that are tried on a request."""
_START = "POST / HTTP/1.1\r\n"
_VALUE = "([!-~]++(?: [!-~]++)*)"
"""Words of printable ASCII with one blank between two. The words are possessive, so there is one way to match, found in one pass.

The group is not: up to CPython 3.11.4 a possessive group that fails half-way (at a blank without a word) keeps that half.
"""
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


class Shape(Struct, eq=False, gc=False):
    """What the names of headers say, in the order in which they were sent. Compared by identity."""

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
    head: "re.Pattern[str] | None" = None
    """Matches the head of a plain request with just these names, and its groups are the values; of kept shapes only."""


class PlainRequest(Struct, frozen=True, eq=False, gc=False):
    """A plain request; nothing in it is verified."""

    shape: Shape
    values: tuple[str, ...]
    """Of the headers, in the order of the shape's names: printable ASCII, no blank at an end, no two in a row."""
    body: bytes


class PlainReader:
    """Reads plain requests. Belongs to one event loop.

    Shapes are kept (``keep``) of requests that verified, so strangers can neither fill the memory nor have us compile patterns.
    The pattern of a kept shape reads a head at once; it takes what reading line by line takes.
    """

    def __init__(self) -> None:
        self._shapes: dict[tuple[str, ...], Shape] = {}
        self._recent: list[tuple[Shape, Callable[[str], re.Match[str] | None]]] = []

    def read(self, data: bytes) -> PlainRequest | None:
        """Read what one read from the connection brought; None unless it is exactly one plain request."""
        text = data.decode("latin-1")
        for shape, match in self._recent:  # noqa: B007  # used below
            found = match(text)
            if found is not None:
                end = found.end()
                values = found.groups()
                break
        else:
            return self._read_lines(data, text)
        size = len(data) - end
        if values[shape.content_length] != str(size) or end > MAX_PLAIN_HEAD_BYTES or size > MAX_BODY_BYTES:
            return None
        return PlainRequest(shape, values, data[end:])

    def keep(self, shape: Shape) -> None:
        """Remember the shape of a request that verified. When there are many already, those stay."""
        if len(self._shapes) < MAX_SHAPES and shape.sent not in self._shapes:
            lines = "".join(f"{re.escape(name)}: {_VALUE}\\r\\n" for name in shape.sent)
            shape.head = re.compile(f"{re.escape(_START)}{lines}\\r\\n")
            self._shapes[shape.sent] = shape
            self._prefer(shape)

    def _read_lines(self, data: bytes, text: str) -> PlainRequest | None:
        """Read a head of any shape."""
        head, end, _ = text[:MAX_PLAIN_HEAD_BYTES].partition("\r\n\r\n")
        if not end or not head.startswith(_START):
            return None
        lines = head[len(_START) :].split("\r\n")
        if "  " in head or " \r" in head or head[-1] == " " or not _is_printable_ascii("".join(lines)):
            return None
        try:
            names, values = zip(*[line.split(": ", 1) for line in lines], strict=True)
        except ValueError:  # a line that is no header
            return None
        shape = self._shapes.get(names)
        if shape is not None:
            self._prefer(shape)
        else:
            shape = shape_of(names)
        size = len(data) - len(head) - 4
        if shape is None or values[shape.content_length] != str(size) or size > MAX_BODY_BYTES:
            return None
        return PlainRequest(shape, values, data[len(head) + 4 :])

    def _prefer(self, shape: Shape) -> None:
        """Try the pattern of this shape first from now on."""
        if shape.head is not None:
            self._recent = [(shape, shape.head.match), *self._recent[: _TRIED - 1]]


def _is_printable_ascii(text: str) -> bool:
    return text.isascii() and text.isprintable()


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
