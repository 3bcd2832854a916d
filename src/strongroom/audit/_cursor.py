"""Walking one writer's log: frames in order, across segments, each checked against the chain.

Whoever reads (recovery, tail, verification) reads through ``SegmentReader``; there is one idea of what a
segment that fits looks like.
"""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from strongroom.audit._archive_file import PositionedRead, open_archived
from strongroom.audit._archive_names import archive_folder, archived_name
from strongroom.audit._entry import MAX_PAYLOAD_BYTES, Entry, decode_at, decode_entry
from strongroom.audit._errors import AuditCorruptError
from strongroom.audit._format import (
    CHAIN_BYTES,
    HEADER_BYTES,
    PREFIX_BYTES,
    Header,
    decode_header,
    decode_prefix,
    first_chain,
    next_chain,
    segment_name,
)
from strongroom.audit._tail import Missing, proves_damage

MAX_GROUP_BYTES = 1024 * 1024
"""The most that a writer writes between two syncs, so the most that an unfinished write can leave."""
RESERVE_BYTES = 512 * 1024
"""The most zeros that a writer writes ahead of its entries."""
SETTLE_S = 0.02
"""How long the end of a log that is not whole must stand still before it counts as unfinished, not as being written."""
_UNWRITTEN = bytes(PREFIX_BYTES)
_BUFFER_BYTES = 256 * 1024


class BrokenFrameError(AuditCorruptError):
    """A frame that does not fit: the only damage that an unfinished write can leave, if it is the last one."""


class Position(NamedTuple):
    """A place between two frames of a segment."""

    offset: int
    seq: int
    """Of the entry that comes next."""
    chain: bytes
    group: int = 0
    """Of the entry before; 0 at the start of a segment."""


class Located(NamedTuple):
    """An entry and where its frame stands."""

    segment: int
    offset: int
    entry: Entry
    payload: bytes


class SegmentEnd(NamedTuple):
    """Where a segment ended, for the check that the next one goes on from there."""

    segment: int
    boot: int
    seq: int
    """Of the entry that comes next."""
    chain: bytes


class TimeSpan(NamedTuple):
    """The earliest and the latest time of entries, in microseconds since the Unix epoch; of none ``first`` is behind ``last``."""

    first: int
    last: int


class SegmentReader:
    """Reads one segment of one writer, hot or archived, from its header on. Not for use by two threads at a time.

    Raises AuditCorruptError from the constructor when the header is wrong, OSError as the system does.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self._writer, self._number = folder.name, number
        self._file, self._pread, self._archived_bytes = _open(folder, number)
        try:
            self.header = self._read_header()
        except BaseException:
            self._file.close()
            raise
        self.position = Position(HEADER_BYTES, self.header.first_seq, self.header.chain)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Located]:
        """Yield entries from ``position`` until the end of the file or an incomplete frame.

        ``position`` moves along, and stays in front of whatever ended the loop. Raises AuditCorruptError at
        the first frame that does not fit.
        """
        self._file.seek(0, os.SEEK_END)  # forgets what is buffered: the writer may have written it anew
        self._file.seek(self.position.offset)
        while (located := self._next()) is not None:
            yield located

    def skim(self) -> TimeSpan | None:
        """Go to the end of the segment looking at nothing but the times of its entries, several times as fast as reading them.

        All times are looked at: a clock that went back hides none. Hashes are not checked, but for what the next segment
        builds on. None, and ``position`` as it was, where anything is not as usual; reading tells then what it is.
        """
        before = self.position
        try:
            span = self._skim()
        except AuditCorruptError:
            span = None
        if span is None or self.rest():
            self.position = before
            return None
        return span

    def _skim(self) -> TimeSpan | None:
        offset, seq, chain, group = self.position
        self._file.seek(offset)
        read = self._file.read
        first, last, body = 1 << 63, -1, chain
        while len(prefix := read(PREFIX_BYTES)) == PREFIX_BYTES and prefix != _UNWRITTEN:
            length, group = decode_prefix(prefix)
            body = read(length + CHAIN_BYTES) if 1 <= length <= MAX_PAYLOAD_BYTES else b""
            if len(body) != length + CHAIN_BYTES:
                return None
            at = decode_at(body[:length])
            last = max(last, at)
            first = min(first, at)
            offset += PREFIX_BYTES + len(body)
            seq += 1
        self.position = Position(offset, seq, body[-CHAIN_BYTES:], group)
        return TimeSpan(first, last)

    def resume(self, position: Position) -> None:
        """Go on from a place where this segment was left before."""
        self.position = position

    def enter(self, offset: int, seq: int) -> None:
        """Go on from the frame at ``offset``, which should hold entry ``seq``. What stands before it is taken at its word.

        Raises AuditCorruptError where that cannot be a place between two frames.
        """
        if offset == HEADER_BYTES:
            return
        head = self._pread(CHAIN_BYTES + PREFIX_BYTES, max(offset - CHAIN_BYTES, 0))
        if offset < HEADER_BYTES + CHAIN_BYTES or len(head) < CHAIN_BYTES + PREFIX_BYTES:
            raise self.corrupt(f"there is no entry at offset {offset}")
        _, group = decode_prefix(head[CHAIN_BYTES:])
        self.position = Position(offset, seq, head[:CHAIN_BYTES], group)

    def stands(self) -> bool:
        """Whether what lies in front of ``position`` is still what was read there: its chain value is."""
        offset, chain = self.position.offset, self.position.chain
        if offset == HEADER_BYTES:
            return self.header.chain == chain
        return self._pread(CHAIN_BYTES, offset - CHAIN_BYTES) == chain

    def bytes_left(self) -> int:
        """Return how many bytes stand behind ``position``."""
        size = self._archived_bytes
        return (os.fstat(self._file.fileno()).st_size if size is None else size) - self.position.offset

    def block(self) -> bytes:
        """Return some of what stands behind ``position``, read anew: many entries, where there are."""
        return self._pread(_BUFFER_BYTES, self.position.offset)

    def rest(self) -> bytes:
        """Return what stands behind ``position``, read anew, without the zeros that were written ahead.

        It is longer than a write can be when there are more zeros than a writer writes ahead.
        """
        most = MAX_GROUP_BYTES + RESERVE_BYTES
        rest = self._pread(most + 1, self.position.offset)
        return rest if len(rest) > most else rest.rstrip(b"\0")

    def is_unfinished_write(self, rest: bytes) -> bool:
        """Whether what stands behind ``position`` can be one write that was never finished."""
        _, seq, chain, _ = self.position
        missing = Missing(self._writer, self.header.boot, seq, chain)
        return len(rest) <= MAX_GROUP_BYTES and not proves_damage(rest, missing)

    def end(self) -> SegmentEnd:
        """Return ``position`` as the end of this segment."""
        return SegmentEnd(self._number, self.header.boot, self.position.seq, self.position.chain)

    def check_joint(self, before: SegmentEnd | None) -> None:
        """Check that this segment goes on where the one before ended; None where this must be the first.

        Raises AuditCorruptError.
        """
        header = self.header
        number, boot, seq, chain = before or SegmentEnd(0, 0, 1, first_chain(self._writer))
        if header.segment != number + 1:
            raise self._corrupt_header(f"segment {number + 1:08d} is missing before it")
        if header.first_seq != seq:
            raise self._corrupt_header(f"it starts with entry {header.first_seq}, expected {seq}")
        if header.chain != chain:
            raise self._corrupt_header("it does not go on from the hash chain of the segment before")
        if header.boot not in (boot, boot + 1) or header.boot == 0:
            raise self._corrupt_header(f"its boot counter is {header.boot} after {boot}")

    def corrupt(self, message: str, kind: type[AuditCorruptError] = AuditCorruptError) -> AuditCorruptError:
        """Make the error that names ``position``."""
        return kind(
            message,
            writer=self._writer,
            segment=self._number,
            offset=self.position.offset,
            seq=self.position.seq,
        )

    def _read_header(self) -> Header:
        try:
            header = decode_header(self._file.read(HEADER_BYTES))
        except AuditCorruptError as error:
            raise self._corrupt_header(error.message) from error
        if header.writer != self._writer:
            raise self._corrupt_header(f"the header belongs to writer {header.writer}")
        if header.segment != self._number:
            raise self._corrupt_header(f"the header belongs to segment {header.segment:08d}")
        return header

    def _corrupt_header(self, message: str) -> AuditCorruptError:
        return AuditCorruptError(message, writer=self._writer, segment=self._number, offset=0)

    def _next(self) -> Located | None:
        offset, seq, chain, _ = self.position
        prefix = self._file.read(PREFIX_BYTES)
        if len(prefix) < PREFIX_BYTES or (prefix == _UNWRITTEN and not self.rest()):
            return None
        length, group = decode_prefix(prefix)
        if not 1 <= length <= MAX_PAYLOAD_BYTES:
            raise self.corrupt(f"a payload of {length} bytes is impossible", BrokenFrameError)
        body = self._file.read(length + CHAIN_BYTES)
        if len(body) < length + CHAIN_BYTES:
            return None
        payload = body[:length]
        expected = next_chain(chain, group, payload)
        if expected != body[length:]:
            if len(self.rest()) <= PREFIX_BYTES + length:  # nothing of the chain value is there yet
                return None
            raise self.corrupt("the entry does not fit the hash chain", BrokenFrameError)
        entry = self._checked(payload, group)
        self.position = Position(offset + PREFIX_BYTES + len(body), seq + 1, expected, group)
        return Located(self._number, offset, entry, payload)

    def _checked(self, payload: bytes, group: int) -> Entry:
        try:
            entry = decode_entry(payload)
        except AuditCorruptError as error:
            raise self.corrupt(error.message) from error
        if entry.seq != self.position.seq:
            raise self.corrupt(f"the entry says that it is number {entry.seq}")
        if entry.writer != self._writer:
            raise self.corrupt(f"the entry says that it is of writer {entry.writer}")
        if entry.boot != self.header.boot:
            raise self.corrupt(f"the entry is of boot {entry.boot}, its segment of boot {self.header.boot}")
        if group not in (entry.seq, self.position.group):
            raise self.corrupt(f"the entry says that its group began with entry {group}")
        return entry


def _open(folder: Path, number: int) -> tuple[BinaryIO, PositionedRead, int | None]:
    """Open a segment where it is: as a file, what reads at a place of it, and its size where that stays as it is."""
    try:
        file = (folder / segment_name(number)).open("rb", buffering=_BUFFER_BYTES)
    except FileNotFoundError:
        archived = archive_folder(folder) / archived_name(number)
        if not archived.exists():
            raise
        return open_archived(archived, writer=folder.name, segment=number)
    return file, partial(os.pread, file.fileno()), None
