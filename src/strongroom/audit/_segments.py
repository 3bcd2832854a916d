"""The durable end of a writer's log: where it stands, how a group gets there, and how a failed one is undone.

Nothing here knows threads or waiters. ``recover`` finds the end after a crash, ``SegmentWriter`` moves it.
"""

from typing import NamedTuple

from strongroom.audit._cursor import BrokenFrameError, Position, SegmentReader
from strongroom.audit._errors import AuditCorruptError
from strongroom.audit._files import WalFile, WalFolder, list_segments
from strongroom.audit._format import HEADER_BYTES, Header, encode_header, first_chain


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


class Recovered(NamedTuple):
    """What ``recover`` found and did."""

    end: End
    cut_bytes: int
    """Length of the torn tail that was cut off, 0 when there was none."""


def recover(folder: WalFolder) -> Recovered:
    """Find the end of the log, cutting off one unfinished write.

    Reads the last segment through and the headers of the others. Raises AuditCorruptError for anything but a
    torn tail of the last segment, OSError as the system does.
    """
    folder.remove_drafts()
    numbers = list_segments(folder.path)
    if not numbers:
        return Recovered(End(0, 0, 0, first_chain(folder.path.name)), 0)
    _check_headers(folder, numbers)
    last = numbers[-1]
    with SegmentReader(folder.path, last) as reader:
        broken = _read_to_break(reader)
        torn_bytes = reader.bytes_left()
        if torn_bytes and not reader.ends_torn():
            raise broken or reader.corrupt("an incomplete entry is followed by whole ones")
        offset, next_seq, chain = reader.position
        boot = reader.header.boot
    if torn_bytes:
        _cut(folder, last, offset)
    return Recovered(End(last, boot, next_seq - 1, chain), torn_bytes)


def _check_headers(folder: WalFolder, numbers: list[int]) -> None:
    if numbers != list(range(1, numbers[-1] + 1)):
        missing = sorted(set(range(1, numbers[-1] + 1)) - set(numbers))
        raise AuditCorruptError("the segment is missing", writer=folder.path.name, segment=missing[0])
    before: Header | None = None
    for number in numbers:
        with SegmentReader(folder.path, number) as reader:
            if before and (reader.header.boot, reader.header.first_seq) < (before.boot, before.first_seq):
                raise reader.corrupt("the header goes back behind that of the segment before")
            before = reader.header


def _read_to_break(reader: SegmentReader) -> BrokenFrameError | None:
    try:
        for _ in reader:
            pass
    except BrokenFrameError as error:
        return error
    return None


def _cut(folder: WalFolder, number: int, offset: int) -> None:
    file = folder.open(number)
    try:
        file.cut(offset)
        file.sync()
    finally:
        file.close()


class SegmentWriter:
    """Appends groups of frames behind the durable end. One thread uses it, from construction to ``close``.

    The constructor starts a segment of a new boot. Raises OSError as the system does, everywhere; after that
    ``undo`` must succeed before the next ``write``.
    """

    def __init__(self, folder: WalFolder, end: End, *, segment_bytes: int) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._boot = end.boot + 1
        self._segment = end.segment
        self._position = Position(0, end.seq + 1, end.chain)
        self._file: WalFile | None = None
        self._segment_due = True
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

    def write(self, frames: bytes, *, count: int, chain: bytes) -> None:
        """Append ``count`` frames that end in ``chain``; they are durable on return."""
        offset = self._position.offset
        if offset > HEADER_BYTES and offset + len(frames) > self._segment_bytes:
            self._segment_due = True
        file = self._start_segment() if self._segment_due or self._file is None else self._file
        offset = self._position.offset
        self._synced = False
        file.write_at(offset, frames)
        try:
            file.sync()
        except OSError:
            # The kernel may have dropped the pages and call them clean: nothing more goes into this file.
            self._segment_due = True
            raise
        self._synced = True
        # Durable from here on.
        self._position = Position(offset + len(frames), self._position.seq + count, chain)

    def undo(self) -> None:
        """Cut a failed write off, so that no entry is in the log whose caller was told that it is not."""
        if self._file is not None and not self._synced:
            self._file.cut(self._position.offset)
            self._file.sync()
            self._synced = True

    def close(self) -> None:
        """Close the segment and release the folder."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._folder.close()

    def _start_segment(self) -> WalFile:
        """Go on in a new segment.

        It stays due until this worked: a header that failed may be in the folder all the same, and then
        nothing more may go into the segment before it.
        """
        _, seq, chain = self._position
        header = Header(self._segment + 1, self._boot, seq, chain, self._folder.path.name)
        file = self._folder.create(self._segment + 1, encode_header(header))
        before, self._file = self._file, file
        self._segment += 1
        self._position = Position(HEADER_BYTES, seq, chain)
        self._segment_due = False
        if before is not None:
            before.close()
        return file
