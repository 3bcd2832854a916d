"""The bytes of an archived segment: ``NNNNNNNN.wal.xz``, which ``xz -d`` makes the segment again, bit for bit.

The file is a row of .xz streams, one behind the other, each of 256 KiB of the segment (the last may be shorter). xz keeps, at
the end of each stream, how long it is and what it makes, so any place is found from the end of the file without
decompressing what stands before it. xz and not zlib: the same entries take a sixth less, and are read at 180,000 a second,
which is faster than they are checked (docs/audit-retention.md).

What is read may be anybody's: sizes are believed only within what a writer can have left, and decompression ends there.
"""

import io
import lzma
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, Protocol

from strongroom.audit._errors import AuditCorruptError

BLOCK_BYTES: Final = 256 * 1024
"""Of a segment, in one stream."""
MAX_SEGMENT_BYTES: Final = (64 * 1024 + 1024 + 512) * 1024
"""64 MiB, the largest group, and what is written ahead: no segment is longer."""
_PRESET: Final = 1
_MEMORY_BYTES: Final = 16 * 1024 * 1024
"""For decompression; preset 1 takes 2 MiB of it."""
_FOOTER_BYTES: Final = 12
_HEADER_BYTES: Final = 12
_MAX_INDEX_BYTES: Final = 64
_MAX_STREAM_BYTES: Final = 2 * BLOCK_BYTES


class PositionedRead(Protocol):
    """What reads ``n`` bytes at an offset, fewer at the end, as pread(2) does."""

    def __call__(self, n: int, offset: int, /) -> bytes:
        """Read."""
        ...


class _Stream(NamedTuple):
    offset: int
    n_packed: int
    n_bytes: int


def pack(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the streams of a segment that comes in blocks of ``BLOCK_BYTES``."""
    for block in blocks:
        yield lzma.compress(block, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, preset=_PRESET)


class ArchivedSegment:
    """Reads an archived segment at any place, in the memory of one block. For one thread.

    Raises AuditCorruptError, which names writer and segment, for bytes that are no archived segment, and OSError.
    """

    def __init__(self, path: Path, *, writer: str, segment: int) -> None:
        self._writer, self._segment = writer, segment
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._number, self._block = -1, b""
        try:
            self._streams = self._walk()
        except BaseException:
            self.close()
            raise
        self.size = sum(stream.n_bytes for stream in self._streams)

    def pread(self, n: int, offset: int) -> bytes:
        """Read ``n`` bytes of the segment, fewer at its end."""
        parts: list[bytes] = []
        end = min(offset + n, self.size)
        while offset < end:
            number, start = divmod(offset, BLOCK_BYTES)
            part = self._unpacked(number)[start : start + end - offset]
            parts.append(part)
            offset += len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _unpacked(self, number: int) -> bytes:
        if number != self._number:
            stream = self._streams[number]
            packed = os.pread(self._fd, stream.n_packed, stream.offset)
            unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY_BYTES)
            try:
                block = unpacker.decompress(packed, max_length=stream.n_bytes + 1)
                if len(block) == stream.n_bytes and not unpacker.eof:
                    block += unpacker.decompress(
                        b"", max_length=1
                    )  # what stands behind the data is checked too
            except (lzma.LZMAError, EOFError) as error:
                raise self._corrupt(f"block {number} of the archived segment is damaged") from error
            if len(block) != stream.n_bytes or not unpacker.eof or unpacker.unused_data:
                raise self._corrupt(f"block {number} of the archived segment is not what its end says")
            self._number, self._block = number, block
        return self._block

    def _walk(self) -> list[_Stream]:
        """Find all streams, from the end of the file back to its start."""
        end = os.fstat(self._fd).st_size
        found: list[_Stream] = []
        total = 0
        while end > 0:
            stream = self._stream_before(end)
            found.append(stream)
            total += stream.n_bytes
            if total > MAX_SEGMENT_BYTES:
                raise self._corrupt("the archived segment is larger than a segment can be")
            end = stream.offset
        found.reverse()
        if not found or any(stream.n_bytes != BLOCK_BYTES for stream in found[:-1]):
            raise self._corrupt("the archived segment has blocks of other sizes")
        return found

    def _stream_before(self, end: int) -> _Stream:
        footer = os.pread(self._fd, _FOOTER_BYTES, max(end - _FOOTER_BYTES, 0))
        if len(footer) != _FOOTER_BYTES or footer[10:] != b"YZ" or _crc(footer[4:10]) != footer[:4]:
            raise self._corrupt("the archived segment does not end as it should")
        n_index = (int.from_bytes(footer[4:8], "little") + 1) * 4
        index_at = end - _FOOTER_BYTES - n_index
        if n_index > _MAX_INDEX_BYTES or index_at < _HEADER_BYTES:
            raise self._corrupt("the archived segment is damaged")
        index = os.pread(self._fd, n_index, index_at)
        if _crc(index[:-4]) != index[-4:] or index[0] != 0:
            raise self._corrupt("the archived segment is damaged")
        n_records, at = self._varint(index, 1)
        unpadded, at = self._varint(index, at)
        n_bytes, _ = self._varint(index, at)
        offset = index_at - (unpadded + 3) // 4 * 4 - _HEADER_BYTES
        if (
            n_records != 1
            or not 1 <= n_bytes <= BLOCK_BYTES
            or offset < 0
            or end - offset > _MAX_STREAM_BYTES
        ):
            raise self._corrupt("the archived segment has blocks of other sizes")
        return _Stream(offset, end - offset, n_bytes)

    def _varint(self, data: bytes, at: int) -> tuple[int, int]:
        """Read a number of the .xz format (section 1.2): seven bits a byte, the lowest first."""
        value = 0
        for shift in range(0, 63, 7):
            if at >= len(data):
                break
            value |= (data[at] & 0x7F) << shift
            at += 1
            if not data[at - 1] & 0x80:
                return value, at
        raise self._corrupt("the archived segment is damaged")

    def _corrupt(self, message: str) -> AuditCorruptError:
        return AuditCorruptError(message, writer=self._writer, segment=self._segment)


class _Unpacking(io.RawIOBase):
    """An archived segment as a file for reading."""

    def __init__(self, archived: ArchivedSegment) -> None:
        super().__init__()
        self._archived = archived
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._archived.size}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # what io calls it with
        data = self._archived.pread(len(buffer), self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        self._archived.close()
        super().close()


def open_archived(path: Path, *, writer: str, segment: int) -> tuple[BinaryIO, PositionedRead, int]:
    """Open an archived segment: as a file, what reads at a place of it, and its size before it was compressed."""
    archived = ArchivedSegment(path, writer=writer, segment=segment)
    return io.BufferedReader(_Unpacking(archived), 16 * 1024), archived.pread, archived.size


def _crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "little")
