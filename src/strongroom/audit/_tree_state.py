"""How far a tree goes, and which entries its leaves are: the bytes of the files beside the tiles. Pure.

``tree/position``: a line of JSON, and its SHA-256 in hexadecimal on a second line. It says how many leaves the tree has,
its root, and to where each writer's log has been taken in. It is replaced as the last step of each change.

``tree/runs/<writer>``: 32 bytes for each *run*, entries of that writer that follow each other in one segment and in the tree:

    0   8  first leaf, counted from 0
    8   8  ``seq`` of the first entry
    16  4  segment
    20  4  offset of its frame in the segment
    24  4  how many entries
    28  4  SHA-256(bytes 0 to 27), the first four
"""

import hashlib
from typing import NamedTuple

import msgspec

from strongroom.audit._cursor import Position
from strongroom.audit._errors import TreeDamagedError

RUN_BYTES = 32
_CHECKED_BYTES = 28
_VERSION = 1


class Place(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """To where a writer's log has been taken in."""

    segment: int
    """0: nothing has been taken in yet."""
    offset: int
    seq: int
    """Of the entry that comes next."""
    chain: str
    """Chain value after the last entry, in hex."""
    group: int
    boot: int
    runs: int
    """In the file of its runs."""

    @property
    def position(self) -> Position:
        """Return it as a reader of segments takes it."""
        return Position(self.offset, self.seq, bytes.fromhex(self.chain), self.group)


class TreeState(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is durable of a tree."""

    version: int = _VERSION
    size: int = 0
    root: str = hashlib.sha256(b"").hexdigest()
    writers: dict[str, Place] = {}


class Run(NamedTuple):
    """Entries of one writer that follow each other in a segment and in the tree."""

    first_leaf: int
    first_seq: int
    segment: int
    offset: int
    n_entries: int

    def encode(self) -> bytes:
        """Return the 32 bytes of a run."""
        widths = (8, 8, 4, 4, 4)
        checked = b"".join(value.to_bytes(width, "big") for value, width in zip(self, widths, strict=True))
        return checked + _check(checked)


def read_run(data: bytes, writer: str) -> Run:
    """Read the 32 bytes of a run. Raises TreeDamagedError."""
    checked = data[:_CHECKED_BYTES]
    if len(data) != RUN_BYTES or data[_CHECKED_BYTES:] != _check(checked):
        raise TreeDamagedError("a record of the tree's runs is damaged", writer=writer)
    bounds = ((0, 8), (8, 16), (16, 20), (20, 24), (24, 28))
    return Run(*(int.from_bytes(checked[start:end], "big") for start, end in bounds))


def encode_state(state: TreeState) -> bytes:
    """Return the bytes of the position file."""
    line = msgspec.json.encode(state)
    return line + b"\n" + hashlib.sha256(line).hexdigest().encode() + b"\n"


def decode_state(data: bytes) -> TreeState:
    """Read the position file. Raises TreeDamagedError."""
    line, _, check = data.partition(b"\n")
    if check != hashlib.sha256(line).hexdigest().encode() + b"\n":
        raise TreeDamagedError("the position of the tree does not match its own hash")
    try:
        state = msgspec.json.decode(line, type=TreeState)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise TreeDamagedError(f"the position of the tree cannot be read: {error}") from error
    if state.version != _VERSION:
        raise TreeDamagedError(f"version {state.version} of the tree is not known to this program")
    return state


def _check(checked: bytes) -> bytes:
    return hashlib.sha256(checked).digest()[: RUN_BYTES - _CHECKED_BYTES]
