"""What of a log is hot, archived and pruned, and what is due: found cheaply, from names and first entries. Reading only."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from strongroom.audit._archive_names import archive_folder, archived_name, list_archived
from strongroom.audit._cursor import SegmentReader
from strongroom.audit._files import list_hot_segments
from strongroom.audit._format import segment_name
from strongroom.audit._read import list_writers
from strongroom.audit._retention_record import read_pruned


class WriterRetention(NamedTuple):
    """One writer's log. Times are microseconds since the Unix epoch, of first entries of segments; 0: there is none."""

    writer: str
    hot: int
    """Segments."""
    hot_bytes: int
    archived: int
    archived_bytes: int
    """As they lie there, compressed."""
    pruned: int
    pruned_entries: int
    oldest_at: int
    """Of what is there."""
    hot_since: int
    archive_due: int
    """Hot segments before one that begins before the limit. Where others stay, something else is in their way."""
    prune_due: int
    """The same of archived ones."""


def retention_status(directory: Path, *, hot_from_us: int, keep_from_us: int) -> Sequence[WriterRetention]:
    """Return how it stands with each writer. What began before ``hot_from_us`` may be archived, before ``keep_from_us`` pruned.

    Raises AuditCorruptError and OSError.
    """
    history = read_pruned(directory)
    found: list[WriterRetention] = []
    for writer in list_writers(directory):
        folder = directory / "wal" / writer
        gone = history.writers.get(writer)
        hot = list_hot_segments(folder)
        archived = [
            number
            for number in list_archived(folder)
            if number not in hot and not history.is_gone(writer, number)
        ]
        found.append(
            WriterRetention(
                writer,
                len(hot),
                sum(_size(folder / segment_name(number)) for number in hot),
                len(archived),
                sum(_size(archive_folder(folder) / archived_name(number)) for number in archived),
                0 if gone is None else gone.segment,
                0 if gone is None else gone.seq,
                _first_at(folder, [*archived, *hot]),
                _first_at(folder, hot),
                _n_before(folder, hot, hot_from_us),
                _n_before(folder, [*archived, *hot[:1]], keep_from_us),
            )
        )
    return found


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # it moves just now
        return 0


def _first_at(folder: Path, numbers: Sequence[int]) -> int:
    """Return the time of the first entry of the first of these segments that has one."""
    for number in numbers:
        with SegmentReader(folder, number) as reader:
            for located in reader:
                return located.entry.at
    return 0


def _n_before(folder: Path, numbers: Sequence[int], limit_us: int) -> int:
    """Return how many of these segments end before a time: the next one begins before it. The last one never does."""
    first, end = 0, max(len(numbers) - 1, 0)
    while first < end:  # times rise
        middle = (first + end) // 2
        at = _first_at(folder, numbers[middle + 1 :])
        if 0 < at < limit_us:
            first = middle + 1
        else:
            end = middle
    return first
