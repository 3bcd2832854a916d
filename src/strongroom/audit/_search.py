"""Searching the log of all writers in the order of time, in constant memory, past what is damaged.

    search = LogSearch(directory, Criteria(principals=("user/*",), since=...))
    for entry in search: ...
    search.damage            # what could not be read, once all was

Where entries of a time are asked for, a segment without any is left out: its entries' times are looked at, all of them
since a clock can go back anywhere, but nothing else is decoded or hashed. The last segment of a writer is always read.
"""

import heapq
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from strongroom.audit._cursor import SegmentReader
from strongroom.audit._entry import Entry
from strongroom.audit._errors import AuditCorruptError
from strongroom.audit._files import list_segments
from strongroom.audit._filter import Criteria, EntryFilter
from strongroom.audit._read import by_time, list_writers, settled
from strongroom.audit._retention_record import pruned_end
from strongroom.audit._search_values import WriterCoverage

_PROGRESS_EVERY: Final = 10_000
MAX_DAMAGE: Final = 1_000
"""Damaged places that are listed; a log with more is beyond listing."""


class LogSearch:
    """One search; iterate once. ``damage`` and ``coverage`` tell at the end what it rests on."""

    def __init__(
        self,
        directory: Path,
        criteria: Criteria = Criteria(),  # noqa: B008  # a constant
        *,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Search the audit directory. ``progress`` is called with the number of entries read, now and then.

        Raises AuditCorruptError when there is no log at all.
        """
        self._wanted = EntryFilter(criteria)
        self._progress = progress
        self._writers = [
            _WriterSearch(self, directory / "wal" / name, self._wanted)
            for name in list_writers(directory)
            if self._wanted.keeps_writer(name)
        ]
        self._n_read = 0
        self.damage: list[AuditCorruptError] = []
        """The first thing wrong in each segment that could not be read to its end; the others were."""

    def __iter__(self) -> Iterator[Entry]:
        """Yield what is wanted, oldest first; of each writer in the order of its numbers. Raises OSError as the system does."""
        return heapq.merge(*(writer.entries() for writer in self._writers), key=by_time)

    @property
    def coverage(self) -> tuple[WriterCoverage, ...]:
        """What was read of each writer, so far."""
        return tuple(writer.coverage for writer in self._writers)

    def raise_if_damaged(self) -> None:
        """Raise the first AuditCorruptError that was met, if there was one."""
        if self.damage:
            raise self.damage[0]

    def take_damage(self, error: AuditCorruptError) -> None:
        """Keep what is wrong with a segment."""
        if len(self.damage) < MAX_DAMAGE:
            self.damage.append(error)

    def count(self) -> None:
        """Count an entry that was read."""
        self._n_read += 1
        if self._progress is not None and self._n_read % _PROGRESS_EVERY == 0:
            self._progress(self._n_read)


class _WriterSearch:
    """One writer's part."""

    def __init__(self, search: LogSearch, folder: Path, wanted: EntryFilter) -> None:
        self._search, self._folder, self._wanted = search, folder, wanted
        self.coverage = WriterCoverage(folder.name)

    def entries(self) -> Iterator[Entry]:
        """Yield what is wanted of this writer in the order of its numbers."""
        before = pruned_end(self._folder.parent.parent, self._folder.name)
        is_joined = True
        numbers = [
            number for number in list_segments(self._folder) if before is None or number > before.segment
        ]
        for number in numbers:
            try:
                with SegmentReader(self._folder, number) as reader:
                    if is_joined:
                        reader.check_joint(before)
                    yield from self._segment(reader, is_last=number == numbers[-1])
                    before, is_joined = reader.end(), True
            except FileNotFoundError:
                gone = pruned_end(self._folder.parent.parent, self._folder.name)
                if gone is None or number > gone.segment:
                    raise
                before, is_joined = gone, True  # pruned meanwhile
            except AuditCorruptError as error:
                self._search.take_damage(error)
                self.coverage.is_damaged = True
                is_joined = (
                    False  # what was lost is told of once; the next segment is taken from its own header on
                )

    def _segment(self, reader: SegmentReader, *, is_last: bool) -> Iterator[Entry]:
        if not is_last and self._lies_outside(reader):
            return
        keeps, coverage, count = self._wanted.keeps, self.coverage, self._search.count
        for located in settled(reader):
            entry = located.entry
            coverage.add(entry)
            count()
            if keeps(entry):
                yield entry
        if not is_last and reader.rest():
            raise reader.corrupt("the segment ends within an entry")

    def _lies_outside(self, reader: SegmentReader) -> bool:
        """Whether no entry of a segment is of the time that is asked for; the reader is at its end then."""
        if not self._wanted.has_time:
            return False
        start = reader.position
        span = reader.skim()
        if span is not None and self._wanted.excludes(span.first, span.last):
            self.coverage.skip(reader.position.seq - start.seq)
            return True
        reader.resume(start)
        return False
