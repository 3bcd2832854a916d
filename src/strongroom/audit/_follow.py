"""Following all writers' logs from positions that the follower keeps: for whoever copies entries elsewhere.

A position is given back once what was read before it has arrived. Reading goes on there, in another process too, so that
no entry is left out; one that was read and never given back is read again.
"""

import heapq
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

from strongroom.audit._archive_names import is_away
from strongroom.audit._cursor import Position, SegmentEnd, SegmentReader
from strongroom.audit._entry import Entry
from strongroom.audit._errors import AuditCorruptError
from strongroom.audit._files import list_segments
from strongroom.audit._format import CHAIN_BYTES, HEADER_BYTES, first_chain
from strongroom.audit._read import list_writers, settled

_Number = Annotated[int, Meta(ge=0, lt=1 << 62)]
_Chain = Annotated[bytes, Meta(min_length=CHAIN_BYTES, max_length=CHAIN_BYTES)]


class Place(Struct, frozen=True, forbid_unknown_fields=True):
    """A place between two frames of a writer's log."""

    segment: _Number
    """0: before the first one."""
    offset: _Number
    seq: Annotated[int, Meta(ge=1, lt=1 << 62)]
    """Of the entry that comes next."""
    chain: _Chain
    group: _Number


class WriterPosition(Struct, frozen=True, forbid_unknown_fields=True):
    """How far one writer's log was read."""

    at: Place
    sure: Place
    """Start of the last group that was read. All before it was durable when that group was written; the group itself may
    yet be taken back by its writer, where the disk fails or power is lost before the sync."""


class LogGap(NamedTuple):
    """Entries that are not in the log any more, though they were never read."""

    writer: str
    first: int
    last: int


class FollowedBatch(NamedTuple):
    """What one look at the log found."""

    entries: Sequence[Entry]
    """In the order of each writer; of several writers by time, as far as that goes."""
    gaps: Sequence[LogGap]
    stuck: Mapping[str, AuditCorruptError]
    """Writers whose log cannot be read on, and why; the others go on."""


class LogFollower:
    """Reads what comes in, from positions on. For one thread; waits at most ``SETTLE_S`` for an entry that is being written."""

    def __init__(self, directory: Path, positions: Mapping[str, WriterPosition]) -> None:
        """``directory`` is the audit directory. A writer without a position is read from its first entry."""
        self._directory = directory
        self._writers = {
            name: _WriterFollower(directory / "wal" / name, position) for name, position in positions.items()
        }
        self._turn = 0

    def positions(self) -> dict[str, WriterPosition]:
        """Return how far each writer's log was read."""
        return {name: writer.position for name, writer in self._writers.items()}

    def read(self, *, most: int, most_bytes: int) -> FollowedBatch:
        """Return what comes next: at most ``most`` entries, and no more once they have ``most_bytes`` bytes.

        Empty when nothing is there. Each writer gets its share. Raises OSError as the system does.
        """
        names = self._names()
        self._turn += 1
        first = self._turn % max(len(names), 1)
        gaps: list[LogGap] = []
        stuck: dict[str, AuditCorruptError] = {}
        found: list[list[Entry]] = []
        for left, name in zip(range(len(names), 0, -1), names[first:] + names[:first], strict=True):
            share = _Share(max(most // left, 1), most_bytes // left)
            try:
                entries = self._writers[name].read(share, gaps)
            except AuditCorruptError as error:
                stuck[name] = error
                continue
            found.append(entries)
            most, most_bytes = most - len(entries), most_bytes - share.used_bytes
            if most <= 0 or most_bytes <= 0:
                break
        return FollowedBatch(list(heapq.merge(*found, key=_when)), gaps, stuck)

    def _names(self) -> list[str]:
        try:
            names = list_writers(self._directory)
        except AuditCorruptError:
            names = []  # no process has written anything yet
        for name in names:
            if name not in self._writers:
                self._writers[name] = _WriterFollower(self._directory / "wal" / name, None)
        return sorted(self._writers)


class _Share:
    """How much of a batch one writer may fill."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes = most, most_bytes
        self.used_bytes = 0
        self._used = 0

    def take(self, n_bytes: int) -> bool:
        """Count one entry; returns whether there may be another."""
        self._used += 1
        self.used_bytes += n_bytes
        return self._used < self._most and self.used_bytes < self._most_bytes


class _WriterFollower:
    """Where one writer's log has been read to."""

    def __init__(self, folder: Path, position: WriterPosition | None) -> None:
        self._folder = folder
        start = Place(0, 0, 1, first_chain(folder.name), 0)
        self._at = start if position is None else position.at
        self._sure = start if position is None else position.sure

    @property
    def position(self) -> WriterPosition:
        return WriterPosition(self._at, self._sure)

    def read(self, share: _Share, gaps: list[LogGap]) -> list[Entry]:
        """Return what comes next. Raises AuditCorruptError where that cannot be read, OSError as the system does."""
        found: list[Entry] = []
        try:
            self._read_on(found, share, gaps)
        except AuditCorruptError:
            if found:
                return found  # what is wrong behind them is found again
            if self._at == self._sure:
                raise
            # What was read behind that place was never durable, and its writer may have taken it back.
            self._at = self._sure
            self._read_on(found, share, gaps)
        return found

    def _read_on(self, found: list[Entry], share: _Share, gaps: list[LogGap]) -> None:
        numbers = self._segments()
        before: SegmentEnd | None = None
        for number in numbers:
            if number < self._at.segment:
                continue
            with SegmentReader(self._folder, number) as reader:
                self._enter(number, reader, before, gaps)
                for located in settled(reader):
                    self._pass(number, reader.position)
                    found.append(located.entry)
                    if not share.take(len(located.payload)):
                        return
                if number != numbers[-1] and reader.rest():
                    raise reader.corrupt("the segment ends within an entry")
                before = reader.end()

    def _segments(self) -> list[int]:
        """List the segments before any of them is read: only the last of them may still grow then."""
        try:
            numbers = list_segments(self._folder)
        except FileNotFoundError:
            numbers = []
        if self._at.segment > (numbers[-1] if numbers else 0):
            raise AuditCorruptError(
                "the log ends before what was read of it", writer=self._folder.name, segment=self._at.segment
            )
        return numbers

    def _enter(
        self, number: int, reader: SegmentReader, before: SegmentEnd | None, gaps: list[LogGap]
    ) -> None:
        at = self._at
        if number == at.segment:
            reader.resume(Position(at.offset, at.seq, at.chain, at.group))
            if at.offset < HEADER_BYTES or not reader.stands():
                raise reader.corrupt("what was read before is not in the log any more")
            return
        if before is not None:
            reader.check_joint(before)
        elif reader.header.first_seq > at.seq:
            if is_away(self._folder):
                raise reader.corrupt(
                    "what stands before it is archived, and the volume of the archive is away"
                )
            gaps.append(LogGap(self._folder.name, at.seq, reader.header.first_seq - 1))
        elif (reader.header.first_seq, reader.header.chain) != (at.seq, at.chain):
            raise reader.corrupt("the segment does not go on from what was read before")
        position = reader.position
        self._at = self._sure = Place(
            number, position.offset, position.seq, position.chain, position.group
        )  # a segment is made when all before it is durable

    def _pass(self, number: int, position: Position) -> None:
        if position.group != self._at.group:
            self._sure = self._at
        self._at = Place(number, position.offset, position.seq, position.chain, position.group)


def _when(entry: Entry) -> int:
    return entry.at
