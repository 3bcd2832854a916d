"""Taking the entries of all writers into the one tree of a host, in a fixed order: writer by writer, each in its own.

Only entries that are durable become leaves, for a leaf can never be taken back. An entry is known to be durable when a
later group of its writer is there (``_format``). The last group of a log is taken once it stood still from one look to
the next and a sync of ours, on a descriptor that was open all that time, did not fail: where the writer's own sync
fails, it takes the group back, and our descriptor is told of the failure too.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from strongroom.audit._bulk import read_leaves
from strongroom.audit._cursor import Position, SegmentEnd, SegmentReader
from strongroom.audit._entry import leaf_hash
from strongroom.audit._errors import AuditCorruptError
from strongroom.audit._files import list_hot_segments
from strongroom.audit._format import HEADER_BYTES, first_chain, segment_name
from strongroom.audit._read import list_writers, settled
from strongroom.audit._tree_files import NewRun, TreeWriter
from strongroom.audit._tree_state import Place

MOST_AT_ONCE = 10_000


class Gathered(NamedTuple):
    """What one look took into the tree."""

    n_entries: int
    has_more: bool
    """Whether more was there than one look takes."""
    stuck: dict[str, AuditCorruptError]
    """Writers whose log cannot be read on, and why; the others go on."""


class Gatherer:
    """Makes a tree grow by what writers wrote. For one thread at a time; give it back with ``close``."""

    def __init__(self, directory: Path, tree: TreeWriter) -> None:
        """``directory`` is that of the audit log."""
        self._directory = directory
        self._tree = tree
        self._writers: dict[str, _WriterGatherer] = {}

    def gather(self, *, is_last: bool = False, most: int = MOST_AT_ONCE) -> Gathered:
        """Take in what is there and durable; the tree has it, durably, on return.

        ``is_last``: nobody writes any more, so the last group of each log is taken at once, when it is synced. Raises OSError and
        TreeDamagedError; then the tree and this object can only be closed.
        """
        runs: list[NewRun] = []
        places: dict[str, Place] = {}
        stuck: dict[str, AuditCorruptError] = {}
        left, has_more = most, False
        for name in self._names():
            if left <= 0:
                has_more = True
                break
            writer = self._writers[name]
            place = self._tree.places.get(name) or _start(name)
            try:
                taken = writer.look(place, left, is_last=is_last)
            except AuditCorruptError as error:
                stuck[name] = error
                continue
            runs += taken.runs
            left -= taken.n_entries
            has_more = has_more or taken.is_cut_short
            if _goes_on(place, taken.place):
                places[name] = taken.place
        if places:
            self._tree.append(runs, places)
        return Gathered(most - left, has_more, stuck)

    def close(self) -> None:
        """Give the descriptors back."""
        for writer in self._writers.values():
            writer.close()

    def _names(self) -> list[str]:
        try:
            names = list_writers(self._directory)
        except AuditCorruptError:
            names = []  # no process has written anything yet
        for name in {*names, *self._tree.places} - self._writers.keys():
            self._writers[name] = _WriterGatherer(self._directory / "wal" / name)
        return sorted(self._writers)


class _Taken(NamedTuple):
    runs: list[NewRun]
    n_entries: int
    place: Place
    is_cut_short: bool
    """Whether reading ended because it was enough."""


class _Read(NamedTuple):
    """What was read of one segment."""

    leaves: list[bytes]
    first_offset: int
    groups: list[tuple[Position, int]]
    """Where each group begins, and how many leaves stand before it; last, where reading ended."""
    is_cut_short: bool

    def without_last_group(self) -> "_Read":
        """Return it without the group at its end."""
        kept = self.groups[:-1]
        return self._replace(leaves=self.leaves[: kept[-1][1]], groups=kept)

    def place(self, segment: int, boot: int) -> Place:
        """Return where the log goes on behind it."""
        end = self.groups[-1][0]
        return Place(
            segment=segment,
            offset=end.offset,
            seq=end.seq,
            chain=end.chain.hex(),
            group=end.group,
            boot=boot,
            runs=0,
        )

    def run(self, writer: str, segment: int) -> NewRun:
        """Return it as leaves to come."""
        first_seq = self.groups[-1][0].seq - len(self.leaves)
        return NewRun(writer, first_seq, segment, self.first_offset, self.leaves)


class _WriterGatherer:
    """One writer's log."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fd = -1  # of the segment that is synced before its last group is taken
        self._fd_segment = 0
        self._seen: tuple[int, int] | None = None  # segment and end at the last look

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def look(self, place: Place, most: int, *, is_last: bool) -> _Taken:
        """Return what can be taken in behind ``place``, at most so many entries."""
        runs: list[NewRun] = []
        n_entries = 0
        numbers = self._segments(place)
        for number, reader in self._readers(numbers, place):
            with reader:
                self._hold(number)
                is_newest = number == numbers[-1]
                taken = self._read(reader, most - n_entries)
                if is_newest and taken.leaves and not self._is_durable(reader, number, at_once=is_last):
                    taken = taken.without_last_group()
                place = taken.place(number, reader.header.boot)
                if taken.leaves:
                    runs.append(taken.run(self._folder.name, number))
                    n_entries += len(taken.leaves)
                if n_entries >= most or taken.is_cut_short:
                    return _Taken(runs, n_entries, place, True)
                if not is_newest and reader.rest():
                    raise reader.corrupt("the segment ends within an entry")
        return _Taken(runs, n_entries, place, False)

    def _segments(self, place: Place) -> list[int]:
        try:
            numbers = list_hot_segments(self._folder)
        except FileNotFoundError:
            numbers = []
        if place.segment > (numbers[-1] if numbers else 0):
            raise AuditCorruptError(
                "the log ends before what the tree holds of it",
                writer=self._folder.name,
                segment=place.segment,
            )
        return [number for number in numbers if number >= place.segment]

    def _readers(self, numbers: list[int], place: Place) -> Iterator[tuple[int, SegmentReader]]:
        """Yield the segments from ``place`` on, each checked to go on from what was taken in or read before it."""
        before: SegmentEnd | None = None
        for number in numbers:
            reader = SegmentReader(self._folder, number)
            try:
                if number == place.segment:
                    reader.resume(place.position)
                    if not reader.stands():
                        raise reader.corrupt("what the tree holds is not in the log any more")
                elif before is not None:
                    reader.check_joint(before)
                else:
                    self._require_next(reader, place)
            except BaseException:
                reader.__exit__()
                raise
            yield number, reader
            before = reader.end()

    def _require_next(self, reader: SegmentReader, place: Place) -> None:
        """Check a segment whose predecessor was taken in whole, and may be gone by now."""
        header = reader.header
        if (header.first_seq, header.chain.hex()) != (place.seq, place.chain):
            raise reader.corrupt("the segment does not go on from what the tree holds")

    def _read(self, reader: SegmentReader, most: int) -> "_Read":
        """Read on in one segment, at most so many entries.

        What is wrong behind whole entries is found again when they have been taken in.
        """
        bulk = read_leaves(reader, most)
        found = _Read(bulk.hashes, 0, bulk.groups, False)
        group = reader.position.group if bulk.hashes else -1
        before = reader.position
        if len(found.leaves) >= most:
            return _ended(found, before, is_cut_short=True)
        try:
            for located in settled(reader):
                if reader.position.group != group:
                    group = reader.position.group
                    found.groups.append((before, len(found.leaves)))
                found.leaves.append(leaf_hash(located.payload))
                before = reader.position
                if len(found.leaves) >= most:
                    break
        except AuditCorruptError:
            if not found.leaves:
                raise
        return _ended(found, before, is_cut_short=len(found.leaves) >= most)

    def _is_durable(self, reader: SegmentReader, number: int, *, at_once: bool) -> bool:
        """Whether the end that was read is durable: it was there at the last look already, and a sync does not fail."""
        seen, self._seen = self._seen, (number, reader.position.offset)
        if seen != self._seen and not at_once:
            return False
        try:
            os.fdatasync(self._fd)
        except OSError:
            self.close()  # the next look begins anew
            self._fd_segment, self._seen = 0, None
            return False
        return reader.stands()

    def _hold(self, number: int) -> None:
        """Keep a segment open from the first look at it on."""
        if self._fd_segment != number or self._fd < 0:
            self.close()
            self._fd = os.open(self._folder / segment_name(number), os.O_RDONLY | os.O_CLOEXEC)
            self._fd_segment, self._seen = number, None


def _ended(found: _Read, end: Position, *, is_cut_short: bool) -> _Read:
    """Return what was read, complete with where reading ended."""
    return found._replace(
        first_offset=found.groups[0][0].offset if found.groups else 0,
        groups=[*found.groups, (end, len(found.leaves))],
        is_cut_short=is_cut_short,
    )


def _goes_on(before: Place, after: Place) -> bool:
    return (before.segment, before.offset) != (after.segment, after.offset)


def _start(writer: str) -> Place:
    chain = first_chain(writer).hex()
    return Place(segment=0, offset=HEADER_BYTES, seq=1, chain=chain, group=0, boot=0, runs=0)
