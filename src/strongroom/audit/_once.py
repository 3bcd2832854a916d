"""One entry of a command that comes and goes: durable on return, without a thread and without a segment of its own.

A process that runs for long holds its log open (``_log``). Commands that leave an entry now and then share a writer
name instead and take turns. Each goes on in the last segment, so that many commands do not leave many files; a new
segment, which is a new boot, begins when the last one is full or a day old, or something was cut off it.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Unpack

from strongroom.audit._cursor import SegmentReader
from strongroom.audit._entry import Kind
from strongroom.audit._errors import AuditWriterInUseError
from strongroom.audit._files import WalFile, WalFolder
from strongroom.audit._format import HEADER_BYTES, Header, encode_group, encode_header
from strongroom.audit._queue import EntryQueue
from strongroom.audit._segments import End, Recovered, recover
from strongroom.audit._values import EntryFields
from strongroom.core import AuditUnavailableError, Clock

SMALL_SEGMENT_BYTES: Final = 256 * 1024
"""Each command reads the last segment through before it appends: so much takes about 20 ms."""
_TURN_S: Final = 10.0
_POLL_S: Final = 0.02
_DAY_S: Final = 86_400.0


def append_once(
    directory: Path,
    writer: str,
    kind: Kind,
    event: str,
    *,
    clock: Clock,
    turn_s: float = _TURN_S,
    segment_bytes: int = SMALL_SEGMENT_BYTES,
    open_folder: Callable[[Path], WalFolder] = WalFolder,
    **fields: Unpack[EntryFields],
) -> None:
    """Append one entry to ``directory/wal/<writer>``, creating it when absent; durable on return.

    Waits up to ``turn_s`` for others under the same name. Raises AuditWriterInUseError after that, AuditCorruptError when
    that writer's log is damaged, AuditUnavailableError when the disk refuses: the entry is not in the log then.
    """
    try:
        folder = _in_turn(directory / "wal" / writer, open_folder, turn_s=turn_s)
        try:
            _append(folder, kind, event, fields, clock=clock, segment_bytes=segment_bytes)
        finally:
            folder.close()
    except OSError as error:
        raise AuditUnavailableError(
            f"the audit log of {writer} cannot be written: {error.strerror}",
            next_step=f"check space and permissions of {directory}",
        ) from error


def _in_turn(path: Path, open_folder: Callable[[Path], WalFolder], *, turn_s: float) -> WalFolder:
    until = time.monotonic() + turn_s
    while True:
        try:
            return open_folder(path)
        except AuditWriterInUseError as error:
            if time.monotonic() > until:
                raise AuditWriterInUseError(error.message, next_step="try again") from error
        time.sleep(_POLL_S)


def _append(
    folder: WalFolder, kind: Kind, event: str, fields: EntryFields, *, clock: Clock, segment_bytes: int
) -> None:
    recovered = recover(folder)
    end = recovered.end
    goes_on = not recovered.cuts and _has_room(folder.path, end, clock, segment_bytes)
    queue = EntryQueue(
        folder.path.name,
        boot=end.boot if goes_on else end.boot + 1,
        seq=end.seq + 1,
        untold=recovered.cuts,
        clock=clock,
    )
    queue.admit(kind, event, fields)  # behind what tells of a cut
    file, offset = (folder.open(end.segment), end.offset) if goes_on else _new_segment(folder, recovered)
    try:
        frames, _ = encode_group(queue.take_group(), group=end.seq + 1, chain=end.chain)
        _write(file, offset, frames)
    finally:
        file.close()


def _has_room(folder: Path, end: End, clock: Clock, segment_bytes: int) -> bool:
    """Whether the last segment may take another entry; one that holds entries of more than a day is not gone on with."""
    if not end.segment or end.offset >= segment_bytes:
        return False
    with SegmentReader(folder, end.segment) as reader:
        first = next(iter(reader), None)
    return first is None or abs(clock.now() - first.entry.at / 1e6) < _DAY_S


def _new_segment(folder: WalFolder, recovered: Recovered) -> tuple[WalFile, int]:
    end = recovered.end
    header = Header(end.segment + 1, end.boot + 1, end.seq + 1, end.chain, folder.path.name)
    return folder.create(end.segment + 1, encode_header(header)), HEADER_BYTES


def _write(file: WalFile, offset: int, frames: bytes) -> None:
    """Write a group behind the end, durably, or leave the file as it was."""
    try:
        file.write_at(offset, frames)
        file.sync()
    except OSError:
        with suppress(OSError):
            file.cut(offset)
            file.sync()
        raise
