"""Which segments may go into the archive, and moving them there: what main does once an hour. Nothing waits for it.

A segment goes when a later one is there (nobody writes to it any more), all its entries are in the tree and under a
checkpoint, every sink has read it, its newest entry is older than the limit, and it fits its hash chain from end to end. The
oldest goes first; one that may not go holds up those behind it, so what is archived is always the beginning of a log.
"""

import itertools
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from strongroom.audit._archive_disk import ArchiveDisk, SegmentMover
from strongroom.audit._archive_names import list_archived
from strongroom.audit._cursor import SegmentReader
from strongroom.audit._errors import AuditCorruptError, ProofError
from strongroom.audit._files import list_hot_segments
from strongroom.audit._read import list_writers
from strongroom.audit._retention_record import pruned_end
from strongroom.audit._tree_lookup import TreeLookup

DAY_US: Final = 86_400 * 1_000_000


class Archived(NamedTuple):
    """What one look did."""

    moved: tuple[tuple[str, int], ...]
    """Writer and segment."""
    failed: Mapping[str, str]
    """Writers whose log could not be archived on, and why."""


class Archiver:
    """Archives what is due. For one thread, of the process that keeps the tree."""

    def __init__(
        self,
        directory: Path,
        *,
        disk: ArchiveDisk | None = None,
        pace: Callable[[int], None] = lambda _n: None,
    ) -> None:
        """``pace`` is called with the bytes that were worked on, and may sleep, or raise to end the work between two steps."""
        self._directory = directory
        self._disk = disk or ArchiveDisk()
        self._pace = pace
        self._newest: dict[tuple[str, int], int] = {}  # of segments that nobody writes any more

    def run(self, *, before_us: int, needed: Mapping[str, int] | None, most: int = 1_000_000) -> Archived:
        """Archive segments whose newest entry is from before a time, microseconds since the Unix epoch; at most so many.

        ``needed``: by writer the first segment that a sink has yet to read, a writer that is not in it is needed whole; None: there
        are no sinks (``shipping.needed_segments``). Raises OSError.
        """
        moved: list[tuple[str, int]] = []
        failed: dict[str, str] = {}
        for writer in list_writers(self._directory):
            mover = SegmentMover(self._directory / "wal" / writer, self._disk, self._pace)
            mover.remove_drafts()
            try:
                for number in self.due(writer, before_us=before_us, needed=needed):
                    if len(moved) >= most:
                        break
                    self._move(mover, number)
                    self._newest.pop((writer, number), None)
                    moved.append((writer, number))
            except AuditCorruptError as error:
                failed[writer] = str(error)
        return Archived(tuple(moved), failed)

    def _move(self, mover: SegmentMover, number: int) -> None:
        try:
            mover.move(number)
        except OSError:
            with suppress(OSError):
                mover.remove_drafts()  # a full disk needs the room
            raise

    def due(self, writer: str, *, before_us: int, needed: Mapping[str, int] | None) -> list[int]:
        """Return the segments of a writer that ``run`` would archive now. Raises AuditCorruptError and OSError."""
        folder = self._directory / "wal" / writer
        hot = list_hot_segments(folder)
        unread = None if needed is None else needed.get(writer, 0)
        lookup = TreeLookup(self._directory)
        found: list[int] = []
        for number, after in itertools.pairwise(sorted({*hot, *list_archived(folder)})):
            if number not in hot:
                continue
            if unread is not None and number >= unread:
                break
            if not self._may_go(folder, number, after, lookup, before_us):
                break
            found.append(number)
        if found:
            self._require_beginning(folder, found[0])
        while found and self._newest.get((writer, found[-1])) == 0:
            found.pop()  # without entries it has no age: it goes with what follows it
        return found

    def _require_beginning(self, folder: Path, number: int) -> None:
        """Check that what stands before a segment is archived already, or pruned: on a volume that is away it is not."""
        pruned = pruned_end(self._directory, folder.name)
        is_gone = pruned is not None and number - 1 <= pruned.segment
        if number > 1 and not is_gone and number - 1 not in list_archived(folder):
            raise AuditCorruptError(
                "the segment before it is neither archived nor pruned, so nothing is archived: is the volume of the archive away?",
                writer=folder.name,
                segment=number,
            )

    def _may_go(self, folder: Path, number: int, after: int, lookup: TreeLookup, before_us: int) -> bool:
        newest = self._newest.get((folder.name, number))
        if newest is None:
            newest = self._newest[folder.name, number] = newest_entry(folder, number, after, self._pace)
        return newest < before_us and is_covered(lookup, folder, number, after)


def newest_entry(folder: Path, number: int, after: int, pace: Callable[[int], None] = lambda _n: None) -> int:
    """Return the time of the newest entry of a segment, 0 if it has none; microseconds since the Unix epoch.

    Reads it through. Raises AuditCorruptError where it does not fit its chain, or the next segment does not go on from it.
    """
    newest = 0
    with SegmentReader(folder, number) as reader, SegmentReader(folder, after) as next_one:
        for located in reader:
            newest = max(newest, located.entry.at)
            pace(len(located.payload))
        if reader.rest():
            raise reader.corrupt("the segment ends within an entry")
        next_one.check_joint(reader.end())
    return newest


def is_covered(lookup: TreeLookup, folder: Path, number: int, after: int) -> bool:
    """Whether all entries of a segment are in the tree and under the newest checkpoint. Raises AuditCorruptError and OSError."""
    with SegmentReader(folder, after) as next_one:
        last_seq = next_one.header.first_seq - 1
    try:
        checkpoint = lookup.checkpoint().checkpoint
        return lookup.is_taken(folder.name, number) and (
            last_seq == 0 or lookup.leaf_of(folder.name, last_seq) < checkpoint.size
        )
    except ProofError:
        return False
