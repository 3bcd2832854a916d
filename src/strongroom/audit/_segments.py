"""The durable end of a writer's log: where it stands, how a group gets there, and how a failed one is undone.

Nothing here knows threads or waiters. ``recover`` finds the end after a crash, ``SegmentWriter`` moves it.
"""

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from strongroom.audit._archive_names import is_away, list_archived
from strongroom.audit._cursor import RESERVE_BYTES, BrokenFrameError, Position, SegmentReader
from strongroom.audit._errors import AuditCorruptError
from strongroom.audit._files import WalFile, WalFolder, list_hot_segments, list_torn
from strongroom.audit._format import (
    HEADER_BYTES,
    Header,
    encode_group,
    encode_header,
    first_chain,
    segment_name,
)
from strongroom.audit._retention_record import pruned_end
from strongroom.audit._torn import Cut, read_cut
from strongroom.core import Clock, SystemClock

ROTATE_S = 86_400.0
"""An entry that comes so long after its segment was begun begins another one."""
_SYSTEM_CLOCK = SystemClock()

KEPT_BYTES = 64 * 1024
"""Zeros behind the end that no group may use but what tells of a full disk: there is always as much room for that."""


class End(NamedTuple):
    """Where a writer's log ends, durably."""

    segment: int
    """Number of the last segment, 0 when there is none."""
    boot: int
    """Boot counter of the last segment, 0 when there is none."""
    seq: int
    """Of the last entry, 0 when there is none."""
    chain: bytes
    """Chain value after the last entry."""
    offset: int = 0
    """In that segment, behind the last entry."""


class Recovered(NamedTuple):
    """What ``recover`` found and did."""

    end: End
    cuts: tuple[Cut, ...]
    """What was cut off, now or earlier, that no entry tells of yet."""


def recover(folder: WalFolder) -> Recovered:
    """Find the durable end of the log, cutting off one unfinished write, of which a copy is kept.

    Reads the last segment through and the headers of the others. Raises AuditCorruptError for anything that an
    unfinished write cannot have left, OSError as the system does; may be repeated after either.
    """
    folder.remove_drafts()
    numbers = list_hot_segments(folder.path)
    if not numbers:
        _require_none_archived(folder)
        return Recovered(End(0, 0, 0, first_chain(folder.path.name)), ())
    headers = _read_headers(folder, numbers)
    last = numbers[-1]
    with SegmentReader(folder.path, last) as reader:
        broken = _read_to_break(reader)
        rest = reader.rest()
        if rest and not reader.is_unfinished_write(rest):
            raise broken or reader.corrupt("an incomplete entry is followed by whole ones")
        position, boot = reader.position, reader.header.boot
        is_longer = reader.bytes_left() > 0
    if rest:
        folder.keep_torn(last, rest)
    _settle(folder, last, cut_at=position.offset if is_longer else None)
    end = End(last, boot, position.seq - 1, position.chain, position.offset)
    return Recovered(end, tuple(_untold_cuts(folder, headers, end)))


def _read_headers(folder: WalFolder, numbers: list[int]) -> dict[int, Header]:
    first = _first_due(folder, numbers[0])
    if numbers != list(range(first, numbers[-1] + 1)):
        missing = sorted(set(range(first, numbers[-1] + 1)) - set(numbers))
        raise AuditCorruptError("the segment is missing", writer=folder.path.name, segment=missing[0])
    headers: dict[int, Header] = {}
    before: Header | None = None
    for number in numbers:
        with SegmentReader(folder.path, number) as reader:
            if before and (reader.header.boot, reader.header.first_seq) < (before.boot, before.first_seq):
                raise reader.corrupt("the header goes back behind that of the segment before")
            headers[number] = before = reader.header
    return headers


def _require_none_archived(folder: WalFolder) -> None:
    """Check that a log without segments is new: its numbers would come twice otherwise."""
    archived = list_archived(folder.path)
    pruned = None if archived else pruned_end(folder.path.parent.parent, folder.path.name)
    if archived or pruned is not None:
        last = archived[-1] if archived else pruned.segment if pruned is not None else 0
        raise AuditCorruptError(
            f"segments up to {last:08d} were archived or pruned, and what follows them is not there",
            writer=folder.path.name,
            segment=last + 1,
        )


def _first_due(folder: WalFolder, first: int) -> int:
    """Return the first segment that must be in the folder: that behind the last one that was archived or pruned.

    An archive on a volume that is not there stops nobody: what it should hold is verification's business.
    """
    if first == 1 or is_away(folder.path):
        return first
    if archived := list_archived(folder.path):
        return min(archived[-1] + 1, first)  # one that is in both places is on its way
    pruned = pruned_end(folder.path.parent.parent, folder.path.name)
    return min(1 if pruned is None else pruned.segment + 1, first)


def _untold_cuts(folder: WalFolder, headers: dict[int, Header], end: End) -> list[Cut]:
    """Return the cuts behind which no entry is durable: the first one tells of them, so it is not there yet."""
    return [
        read_cut(folder.path, number)
        for number in list_torn(folder.path)
        if number == end.segment or (number < end.segment and headers[number + 1].first_seq == end.seq + 1)
    ]


def _read_to_break(reader: SegmentReader) -> BrokenFrameError | None:
    try:
        for _ in reader:
            pass
    except BrokenFrameError as error:
        return error
    return None


def _settle(folder: WalFolder, number: int, *, cut_at: int | None) -> None:
    """Make the end of a segment durable before anything builds on it.

    Also where nothing is cut: a process that was killed may have written entries that it never synced. They
    count from now on, so they must outlive the segment that follows them.
    """
    file = folder.open(number)
    try:
        if cut_at is not None:
            file.cut(cut_at)
        file.sync()
    finally:
        file.close()


class SegmentWriter:
    """Appends groups of frames behind the durable end. One thread uses it, from construction to ``close``.

    The constructor starts a segment of a new boot. Raises OSError as the system does, everywhere; after that
    ``undo`` must succeed before the next ``write``.
    """

    def __init__(
        self,
        folder: WalFolder,
        end: End,
        *,
        segment_bytes: int,
        rotate_s: float = math.inf,
        clock: Clock = _SYSTEM_CLOCK,
    ) -> None:
        """A segment is followed by a new one at so many bytes, or with the first entry after so many seconds."""
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._rotate_s, self._clock = rotate_s, clock
        self._started_at = clock.monotonic()
        self._boot = end.boot + 1
        self._segment = end.segment
        self._position = Position(0, end.seq + 1, end.chain)
        self._file: WalFile | None = None
        self._reserved_to = 0  # up to here the file holds zeros that were written ahead
        self._segment_due = True
        self._is_over = False  # nothing more may go into the present segment, not even what is kept room for
        self._synced = True
        self._start_segment()

    @property
    def boot(self) -> int:
        """The boot counter of this opening."""
        return self._boot

    @property
    def position(self) -> Position:
        """The durable end: everything before it would survive a power loss."""
        return self._position

    def write(self, payloads: Sequence[bytes]) -> None:
        """Append entries as one group, in one write; they are durable on return.

        Room for ``write_kept`` is left behind them. Where there is none any more, OSError is raised and nothing was written.
        """
        position = self._position
        frames, chain = encode_group(payloads, group=position.seq, chain=position.chain)
        if position.offset > HEADER_BYTES and (
            position.offset + len(frames) > self._segment_bytes
            or self._clock.monotonic() - self._started_at >= self._rotate_s
        ):
            self._segment_due = True
        file = self._start_segment() if self._segment_due or self._file is None else self._file
        self._reserve(file, self._position.offset + len(frames))
        self._append(file, frames, position.seq + len(payloads), chain)

    def require_room(self) -> None:
        """Return if there is room for more than an entry or two. Raises OSError; so a disk that is nearly full is not open by turns."""
        if self._file is not None and not self._segment_due:
            least = self._position.offset + 2 * KEPT_BYTES
            if least > self._reserved_to:
                self._fill(self._file, least)

    def write_kept(self, payload: bytes) -> bool:
        """Append an entry in the room that is kept behind the end; it is durable on return. Returns whether there was room.

        It needs nothing of the disk but that bytes of a file can be overwritten.
        """
        position = self._position
        frames, chain = encode_group([payload], group=position.seq, chain=position.chain)
        if self._file is None or self._is_over or position.offset + len(frames) > self._reserved_to:
            return False
        self._append(self._file, frames, position.seq + 1, chain)
        return True

    def _append(self, file: WalFile, frames: bytes, next_seq: int, chain: bytes) -> None:
        offset = self._position.offset
        self._synced = False
        file.write_at(offset, frames)
        try:
            file.sync()
        except OSError:
            # The kernel may have dropped the pages and call them clean: nothing more goes into this file.
            self._segment_due = self._is_over = True
            raise
        self._synced = True
        # Durable from here on.
        self._position = Position(offset + len(frames), next_seq, chain)

    def undo(self) -> None:
        """Take a failed write back, so that no entry is in the log whose caller was told that it is not.

        It is overwritten with zeros, so that the room stays ours; where nothing more goes into this file it is cut off.
        """
        if self._file is None or self._synced:
            return
        offset = self._position.offset
        if self._is_over or not offset < self._reserved_to <= offset + RESERVE_BYTES:
            self._file.cut(offset)
            self._reserved_to = offset
        else:
            self._file.write_at(offset, bytes(self._reserved_to - offset))
        self._file.sync()
        self._synced = True

    def close(self) -> None:
        """Close the segment and release the folder."""
        if self._file is not None:
            self._end_file(self._file, self._position)
            self._file = None
        self._folder.close()

    def _reserve(self, file: WalFile, end: int) -> None:
        """Fill what follows the frames, which will end at ``end``, with zeros once they come to the end of the file.

        What no group may use stays behind them, so that an entry can still say that the disk is full. And a sync of bytes that
        overwrite others takes the data to the disk, one that makes the file longer the file system's journal too: on ext4 that
        takes two to three times as long.
        """
        least = end + KEPT_BYTES
        if least <= self._reserved_to:
            return
        try:
            self._fill(file, max(least, min(end + RESERVE_BYTES, self._segment_bytes)))
        except OSError:
            self._fill(file, least)

    def _fill(self, file: WalFile, to: int) -> None:
        start = self._reserved_to
        try:
            file.write_at(start, bytes(to - start))
        except OSError:
            with suppress(OSError):
                file.cut(start)  # others may need the room, and zeros that stay say nothing
            raise
        self._reserved_to = to

    def _start_segment(self) -> WalFile:
        """Go on in a new segment.

        It stays due until this worked: a header that failed may be in the folder all the same, and then
        nothing more may go into the segment before it.
        """
        ended = self._position
        _, seq, chain, _ = ended
        header = Header(self._segment + 1, self._boot, seq, chain, self._folder.path.name)
        try:
            file = self._folder.create(self._segment + 1, encode_header(header) + bytes(KEPT_BYTES))
        except OSError:
            self._is_over |= (self._folder.path / segment_name(self._segment + 1)).exists()
            raise
        before, self._file = self._file, file
        self._segment += 1
        self._position = Position(HEADER_BYTES, seq, chain)
        self._reserved_to = HEADER_BYTES + KEPT_BYTES
        self._segment_due = self._is_over = False
        self._started_at = self._clock.monotonic()
        if before is not None:
            self._end_file(before, ended)
        return file

    def _end_file(self, file: WalFile, end: Position) -> None:
        """Close a segment that nothing more is written to; zeros that stay behind its end say nothing."""
        if self._synced:
            with suppress(OSError):
                file.cut(end.offset)
        file.close()
