"""How far each writer's log goes, found cheaply: lengths of frames are looked at, not their contents."""

import os
from pathlib import Path
from typing import NamedTuple

from strongroom.audit._entry import MAX_PAYLOAD_BYTES
from strongroom.audit._errors import AuditCorruptError
from strongroom.audit._files import list_hot_segments
from strongroom.audit._format import (
    FRAME_EXTRA_BYTES,
    HEADER_BYTES,
    PREFIX_BYTES,
    decode_header,
    decode_prefix,
    segment_name,
)
from strongroom.audit._read import list_writers

_CHUNK_BYTES = 1024 * 1024


class _Head(NamedTuple):
    segment: int
    offset: int
    seq: int
    """Of the last entry; 0 for none."""


class LogHeads:
    """Remembers what it saw, so that a look costs what is new. For one thread.

    It tells how much there is to do, and proves nothing: an entry that its writer takes back may be counted until the next
    segment begins.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._heads: dict[str, _Head] = {}

    def look(self) -> dict[str, int]:
        """Return the number of the last entry of each writer. Raises OSError as the system does."""
        try:
            writers = list_writers(self._directory)
        except AuditCorruptError:
            return {}
        for writer in writers:
            known = self._heads.get(writer)
            head = _look(self._directory / "wal" / writer, known)
            if head is not None:
                self._heads[writer] = head
        return {writer: head.seq for writer, head in self._heads.items()}


def _look(folder: Path, known: _Head | None) -> _Head | None:
    numbers = list_hot_segments(folder)
    if not numbers:
        return known
    with (folder / segment_name(numbers[-1])).open("rb") as file:
        if known is None or known.segment != numbers[-1] or known.offset > os.fstat(file.fileno()).st_size:
            try:
                header = decode_header(file.read(HEADER_BYTES))
            except AuditCorruptError:
                return known
            known = _Head(numbers[-1], HEADER_BYTES, header.first_seq - 1)
        return _count_on(file.fileno(), known)


def _count_on(fd: int, head: _Head) -> _Head:
    segment, offset, seq = head
    while len(chunk := os.pread(fd, _CHUNK_BYTES, offset)) > PREFIX_BYTES:
        at = 0
        while at + PREFIX_BYTES <= len(chunk):
            length, _ = decode_prefix(chunk[at : at + PREFIX_BYTES])
            end = at + FRAME_EXTRA_BYTES + length
            if not 1 <= length <= MAX_PAYLOAD_BYTES or end > len(chunk):
                break
            at, seq = end, seq + 1
        if at == 0:
            break
        offset += at
    return _Head(segment, offset, seq)
