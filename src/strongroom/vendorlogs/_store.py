"""What was taken in from the logs of HSMs, kept in the home: append-only files of a member, each sorted by time.

    <audit>/hsm/<member>/NNNNNNNN.records    mode 0600, up to 65,536 records, one JSON document a line, sorted by ``since``
    <audit>/hsm/<member>/state.json          how far each source was read; put in place after the records

A file of records is there whole or not at all, and is never changed. What a crash leaves out of ``state.json`` is found again, since
records are recognised by their hash.
"""

import heapq
import os
import re
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import DecodeError, Meta, Struct, json

from strongroom.vendorlogs._errors import VendorLogError
from strongroom.vendorlogs._record import VendorRecord

RECORDS_IN_FILE: Final = 65_536
MAX_SOURCES: Final = 4_096
"""Of one member: what a log calls its sources is bytes from outside, and all of them stand in ``state.json``."""
MAX_RECORDS: Final = 4_000_000
"""Of one member; more are refused until somebody moved old files away."""
_MAX_STATE_BYTES: Final = 4 * 1024 * 1024
_MAX_LINE_BYTES: Final = 16 * 1024
_BLOCK_BYTES: Final = 16 * 1024
_NAME: Final = re.compile(r"^\d{8}\.records\Z")
_PREFIX: Final = 16
_Number = Annotated[int, Meta(ge=0, lt=1 << 62)]

_encode = json.Encoder().encode
_decoder = json.Decoder(VendorRecord)


class SourceState(Struct, frozen=True, forbid_unknown_fields=True):
    """How far one source was read."""

    epoch: _Number = 0
    sequence: _Number | None = None
    """The last one."""
    digest: str = ""
    """Of a hash chain: that of the last entry, hexadecimal."""
    at: _Number = 0
    """Time of its newest record."""


class MemberState(Struct, frozen=True, forbid_unknown_fields=True):
    """What ``state.json`` says."""

    version: Literal[1] = 1
    format: str = ""
    """Of the last import."""
    sources: dict[str, SourceState] = {}
    records: _Number = 0
    newest_at: _Number = 0
    """Of all sources; 0 where there are no records."""
    imported_at: _Number = 0
    """When the last import was, by our clock; microseconds since the Unix epoch."""
    unknown_uses: _Number = 0
    """As the last comparison found."""
    unmatched_ours: _Number = 0
    compared_at: _Number = 0
    """0: never compared."""


class RecordStore:
    """The records of one member. One process writes at a time, under a lock of its caller's."""

    def __init__(self, audit: Path, member: str) -> None:
        self._folder = audit / "hsm" / member

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self._folder

    def state(self) -> MemberState:
        """Read the state; that of a member without records where there is none. Raises VendorLogError and OSError."""
        path = self._folder / "state.json"
        try:
            with path.open("rb") as file:
                data = file.read(_MAX_STATE_BYTES + 1)
        except FileNotFoundError:
            return MemberState()
        try:
            if len(data) > _MAX_STATE_BYTES:
                raise ValueError("it is too long")
            return json.decode(data, type=MemberState)
        except (DecodeError, ValueError, RecursionError) as error:
            raise VendorLogError(
                f"{path} is not what was written there: {error}",
                next_step="move it away: imports then begin without what they knew of gaps",
            ) from error

    def keep_state(self, state: MemberState) -> None:
        """Put a state in the place of the one before, whole or not at all. Raises OSError."""
        _place(self._folder, "state.json", [_encode(state)])

    def files(self) -> list[Path]:
        """Return the files of records, the oldest import first."""
        try:
            return sorted(path for path in self._folder.iterdir() if _NAME.match(path.name))
        except FileNotFoundError:
            return []

    def add(self, records: list[VendorRecord]) -> None:
        """Keep up to RECORDS_IN_FILE records as a file of their own. Raises OSError."""
        files = self.files()
        number = int(files[-1].stem) + 1 if files else 1
        lines = [_encode(each) + b"\n" for each in sorted(records, key=_by_time)]
        _place(self._folder, f"{number:08d}.records", lines)

    def read(self) -> Iterator[VendorRecord]:
        """Yield all records, sorted by ``since``, in memory that does not grow with their number. Raises VendorLogError."""
        return heapq.merge(*(read_records(path) for path in self.files()), key=_by_time)

    def known(self) -> "KnownRecords":
        """Return the hashes of all records. Raises VendorLogError."""
        known = KnownRecords()
        for path in self.files():
            known.take([each.sha256 for each in read_records(path)])
        return known


class KnownRecords:
    """Hashes of records, 16 bytes each, in sorted blocks."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._new: set[bytes] = set()

    def __len__(self) -> int:
        return sum(len(block) // _PREFIX for block in self._blocks) + len(self._new)

    def take(self, hashes: list[str]) -> None:
        """Take in the hashes of a file."""
        self._blocks.append(b"".join(sorted(bytes.fromhex(each)[:_PREFIX] for each in hashes)))

    def holds(self, sha256: str) -> bool:
        """Whether a record is there."""
        prefix = bytes.fromhex(sha256)[:_PREFIX]
        return prefix in self._new or any(_holds(block, prefix) for block in self._blocks)

    def add(self, sha256: str) -> bool:
        """Take one more in; returns whether it is new."""
        if self.holds(sha256):
            return False
        self._new.add(bytes.fromhex(sha256)[:_PREFIX])
        if len(self._new) >= RECORDS_IN_FILE:
            self._blocks.append(b"".join(sorted(self._new)))
            self._new = set()
        return True


def _holds(block: bytes, prefix: bytes) -> bool:
    places = range(len(block) // _PREFIX)
    found = bisect_left(places, prefix, key=lambda place: block[place * _PREFIX : (place + 1) * _PREFIX])
    return block[found * _PREFIX : (found + 1) * _PREFIX] == prefix


def read_records(path: Path) -> Iterator[VendorRecord]:
    """Yield the records of a file. Raises VendorLogError at a line that was not written there.

    A block at a time: all files of a member are read side by side, and may be more than can be open at once.
    """
    number = offset = 0
    while True:
        lines: list[bytes] = []
        with path.open("rb") as file:
            file.seek(offset)
            while file.tell() < offset + _BLOCK_BYTES and (line := file.readline(_MAX_LINE_BYTES)):
                lines.append(line)
            offset = file.tell()
        if not lines:
            return
        for line in lines:
            number += 1
            try:
                yield _decoder.decode(line)
            except (DecodeError, ValueError, RecursionError) as error:
                raise VendorLogError(
                    f"line {number} of {path} is not what was written there: {error}",
                    next_step="move the file away and import its log again",
                ) from error


def make_private(folder: Path) -> None:
    """Make a folder, and what is missing above it, for its owner alone. Raises OSError."""
    missing = [folder]
    while not missing[-1].parent.is_dir():
        missing.append(missing[-1].parent)
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)


def _by_time(record: VendorRecord) -> tuple[int, int, str, int]:
    return record.since, record.at, record.source, record.sequence or 0


def _place(folder: Path, name: str, parts: list[bytes]) -> None:
    make_private(folder)
    draft = folder / f"{name}.new"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / name)
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(held)
    finally:
        os.close(held)
