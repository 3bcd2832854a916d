"""The lines in which a member keeps what it remembers of approved acts, pure: ``wiring.custody_used`` brings the disk.

Each ends with a line feed and begins with the CRC-32 of the rest, 8 hex digits::

    <crc> strongroom-used-v1 <begins>                  the first one: a request made before may have been spent
    <crc> spent <nonce> <part> <until>                 ``-``: the whole request; else a key or a change, in hex
    <crc> session <nonce> <at> <until>                 when a session was begun
    <crc> used <nonce> <at> <until>                    one use of a standing approval
    <crc> uses <nonce> <total> <until> <at,at,…>       many of them, after the file was written anew
    <crc> made <kind>:<id> <at>                        an object that was not there before
"""

import re
import zlib
from collections.abc import Iterator
from typing import Final

from strongroom.custody._spent_acts import UNDO_S
from strongroom.custody._standing_terms import UsesSoFar

_KEPT_S: Final = 7 * 86_400
"""For so long a line is kept after it counts no longer, in case that the clock was ahead."""
_HEAD: Final = "strongroom-used-v1"
_MOST_LATEST: Final = 1000
_NUMBER: Final = r"([0-9]{1,14})"
_NONCE: Final = "([0-9a-f]{32})"
_FORMS: Final = {
    kind: re.compile(rf"{kind} {rest}")
    for kind, rest in {
        _HEAD: _NUMBER,
        "spent": rf"{_NONCE} (-|[0-9a-f]{{16}}|[0-9a-f]{{32}}) {_NUMBER}",
        "session": rf"{_NONCE} {_NUMBER} {_NUMBER}",
        "used": rf"{_NONCE} {_NUMBER} {_NUMBER}",
        "uses": rf"{_NONCE} {_NUMBER} {_NUMBER} ([0-9]{{1,14}}(?:,[0-9]{{1,14}}){{0,999}})",
        "made": rf"((?:key|root):[0-9a-f]{{32}}) {_NUMBER}",
    }.items()
}


def head_line(begins: int) -> str:
    """Return the first line of a file."""
    return f"{_HEAD} {begins}"


def with_checksum(line: str) -> bytes:
    """Return a line as it is written."""
    data = line.encode("ascii")
    return b"%08x %s\n" % (zlib.crc32(data), data)


def has_form(line: str) -> bool:
    """Whether a line, without its checksum, is one of ours."""
    return _match(line) is not None


class UsedLines:
    """What the lines of a file say, taken in one after the other."""

    def __init__(self) -> None:
        self.begins: int | None = None
        self.spent: dict[tuple[str, str], int] = {}
        self.sessions: dict[str, tuple[int, int]] = {}
        self.uses: dict[str, tuple[UsesSoFar, int]] = {}
        self.made: dict[str, int] = {}

    def take_written(self, line: bytes) -> None:
        """Take a line as it was written, without its line feed. Raises ValueError for one that is damaged or none of ours."""
        checksum, _, data = line.partition(b" ")
        if checksum != b"%08x" % zlib.crc32(data):
            raise ValueError("the checksum is another one")
        self.take(data.decode("ascii"))

    def take(self, line: str) -> None:
        """Take a line without its checksum. Raises ValueError for one that is none of ours."""
        found = _match(line)
        kind = line.partition(" ")[0]
        if found is None or (kind == _HEAD) != (self.begins is None):
            raise ValueError("it is no line of ours, or not in its place")
        name, *more = found.groups()
        if kind == _HEAD:
            self.begins = int(name)
        elif kind == "spent":
            self.spent[name, more[0]] = int(more[1])
        elif kind == "session":
            self.sessions.setdefault(name, (int(more[0]), int(more[1])))
        elif kind == "used":
            so_far, _ = self.uses.get(name, (UsesSoFar(), 0))
            latest = (*so_far.latest, int(more[0]))[-_MOST_LATEST:]
            self.uses[name] = (UsesSoFar(so_far.total + 1, latest), int(more[1]))
        elif kind == "uses":
            latest = tuple(map(int, more[2].split(",")))
            self.uses[name] = (UsesSoFar(int(more[0]), latest), int(more[1]))
        else:
            self.made[name] = int(more[0])

    def lines(self, now: int) -> Iterator[str]:
        """Say what still counts, or did lately: taken in, they make the same."""
        since = now - _KEPT_S
        yield head_line(self.begins or 0)
        yield from (f"spent {n} {part} {until}" for (n, part), until in self.spent.items() if until > since)
        yield from (f"session {n} {at} {until}" for n, (at, until) in self.sessions.items() if until > since)
        for nonce, (so_far, until) in self.uses.items():
            if until > since:
                yield f"uses {nonce} {so_far.total} {until} {','.join(map(str, so_far.latest))}"
        yield from (f"made {name} {at}" for name, at in self.made.items() if at > now - UNDO_S)


def _match(line: str) -> re.Match[str] | None:
    form = _FORMS.get(line.partition(" ")[0])
    return None if form is None else form.fullmatch(line)
