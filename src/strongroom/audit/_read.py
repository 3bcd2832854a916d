"""Reading the log: all of it, its last entries, or what comes in while somebody watches.

Entries of all writers are merged by time. Every entry is checked against its writer's chain on the way;
an incomplete entry at the very end is one that is being written and ends the reading without complaint.
Those of one writer always come in the order of their numbers, also where its clock went back.
"""

import heapq
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

from strongroom.audit._cursor import SETTLE_S, BrokenFrameError, Located, Position, SegmentReader
from strongroom.audit._entry import Entry
from strongroom.audit._errors import AuditCorruptError
from strongroom.audit._files import list_segments
from strongroom.audit._format import is_writer_name
from strongroom.audit._retention_record import pruned_end

POLL_S = 0.5


def list_writers(directory: Path) -> list[str]:
    """Return the names of all writers that have a log. Raises AuditCorruptError when there is no log at all."""
    wal = directory / "wal"
    try:
        return sorted(path.name for path in wal.iterdir() if path.is_dir() and is_writer_name(path.name))
    except FileNotFoundError as error:
        raise AuditCorruptError(f"there is no audit log in {directory}") from error


def read_entries(directory: Path) -> Iterator[Entry]:
    """Yield every entry of every writer, oldest first, in constant memory.

    Raises AuditCorruptError at the first frame that does not fit, OSError as the system does.
    """
    streams = [_read_writer(directory / "wal" / writer) for writer in list_writers(directory)]
    return heapq.merge(*streams, key=by_time)


Keeps = Callable[[Entry], bool]
Damaged = Callable[[AuditCorruptError], None]


def keep_all(_entry: Entry) -> bool:
    """Keep every entry."""
    return True


def last_entries(
    directory: Path, count: int, keeps: Keeps = keep_all, *, damaged: Damaged | None = None
) -> list[Entry]:
    """Return the last ``count`` entries of all writers together that ``keeps`` keeps, oldest first.

    Raises as ``read_entries`` does; with ``damaged`` it is told of a segment that cannot be read on, and the others are read.
    """
    return _Watch(directory, keeps, damaged).last(count)


def follow_entries(
    directory: Path,
    keeps: Keeps = keep_all,
    *,
    last: int = 10,
    poll_s: float = POLL_S,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Entry]:
    """Yield the last entries that ``keeps`` keeps and then, without end, new ones as they come; sleeps between two looks.

    New writers are noticed. Entries that a writer took back, because its disk failed, may be seen. Raises as
    ``read_entries`` does.
    """
    watch = _Watch(directory, keeps)
    yield from watch.last(last)
    while True:
        yield from watch.new()
        sleep(poll_s)


def by_time(entry: Entry) -> tuple[int, str, int]:
    """Order entries of several writers."""
    return entry.at, entry.writer, entry.seq


def _read_writer(folder: Path) -> Iterator[Entry]:
    before = pruned_end(folder.parent.parent, folder.name)
    numbers = [number for number in list_segments(folder) if before is None or number > before.segment]
    for number in numbers:
        with SegmentReader(folder, number) as reader:
            reader.check_joint(before)
            for located in settled(reader):
                yield located.entry
            if number != numbers[-1] and reader.rest():
                raise reader.corrupt("the segment ends within an entry")
            before = reader.end()


def settled(reader: SegmentReader) -> Iterator[Located]:
    """Yield entries as the reader does, but look again at a frame that does not fit: it may be in the middle of being written.

    Raises BrokenFrameError when it has stood still.
    """
    seen: tuple[Position, bytes] | None = None
    while True:
        try:
            yield from reader
        except BrokenFrameError:
            broken = (reader.position, reader.rest())
            if broken == seen:
                raise
            seen = broken
            time.sleep(SETTLE_S)
        else:
            return


class _Watch:
    """Where every writer's log has been read to."""

    def __init__(self, directory: Path, keeps: Keeps = keep_all, damaged: Damaged | None = None) -> None:
        self._directory = directory
        self._keeps, self._damaged = keeps, damaged
        self._writers: dict[str, _WriterWatch] = {}

    def last(self, count: int) -> list[Entry]:
        """Return the last entries, and go on behind them."""
        merged = self._merged([watch.last(count) for watch in self._all()])
        return merged[max(0, len(merged) - count) :]

    def new(self) -> list[Entry]:
        """Return what came in since the last look."""
        return self._merged([watch.new() for watch in self._all()])

    def _all(self) -> list["_WriterWatch"]:
        for name in list_writers(self._directory):
            if name not in self._writers:
                self._writers[name] = _WriterWatch(self._directory / "wal" / name, self._keeps, self._damaged)
        return list(self._writers.values())

    @staticmethod
    def _merged(lists: list[list[Entry]]) -> list[Entry]:
        return sorted(chain.from_iterable(lists), key=by_time)


class _WriterWatch:
    """Where one writer's log has been read to."""

    def __init__(self, folder: Path, keeps: Keeps, damaged: Damaged | None) -> None:
        self._folder = folder
        self._keeps, self._damaged = keeps, damaged
        self._segment = 0
        self._position: Position | None = None  # in that segment; None for its start
        self._last_at = 0

    def last(self, count: int) -> list[Entry]:
        """Return the last entries of this writer, and go on behind them."""
        numbers = list_segments(self._folder)
        found: list[Entry] = []
        for number in reversed(numbers):
            tail: deque[Entry] = deque(maxlen=count - len(found))
            try:
                with SegmentReader(self._folder, number) as reader:
                    self._read_tail(reader, tail, is_newest=number == numbers[-1])
            except FileNotFoundError:
                gone = pruned_end(self._folder.parent.parent, self._folder.name)
                if gone is None or number > gone.segment:
                    raise
                break  # pruned meanwhile, and all before it
            except AuditCorruptError as error:
                if self._damaged is None:
                    raise
                self._damaged(error)
            found = [*tail, *found]
            if len(found) >= count:
                break
        return found

    def _read_tail(self, reader: SegmentReader, tail: deque[Entry], *, is_newest: bool) -> None:
        for located in settled(reader):
            if self._keeps(located.entry):
                tail.append(located.entry)
            if is_newest:
                self._last_at = located.entry.at
        if is_newest:
            self._segment, self._position = reader.header.segment, reader.position
        elif reader.rest():
            raise reader.corrupt("the segment ends within an entry")

    def new(self) -> list[Entry]:
        """Return what came in since the last look."""
        found: list[Entry] = []
        for number in list_segments(self._folder):
            if number < self._segment:
                continue
            if number > self._segment:
                self._segment, self._position = number, None
            found += self._rest_of(number)
        if found:
            self._last_at = found[-1].at
        return [entry for entry in found if self._keeps(entry)]

    def _rest_of(self, number: int) -> list[Entry]:
        with SegmentReader(self._folder, number) as reader:
            start = reader.position
            if self._position is not None:
                reader.resume(self._position)
            try:
                if reader.bytes_left() < 0:
                    raise reader.corrupt("the segment became shorter")
                found = [located.entry for located in settled(reader)]
            except AuditCorruptError:
                # The writer may have cut back what its disk refused: read again, leave out what was shown.
                reader.resume(start)
                found = [located.entry for located in settled(reader) if located.entry.at > self._last_at]
            self._position = reader.position
        return found
