"""An encrypted file as a file object that reads as if it were not encrypted."""

import io
import os
from typing import BinaryIO

from strongroom.envelope import ChunkReader


class DecryptingFile(io.RawIOBase):
    """Reads and seeks in the plaintext; decrypts what is asked for and nothing else. Closes the file below."""

    def __init__(self, file: BinaryIO, chunks: ChunkReader, *, closes: bool) -> None:
        super().__init__()
        self._file = file
        self._chunks = chunks
        self._closes = closes
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in the plaintext."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move; positions beyond the end are allowed, and nothing is there to read."""
        if self.closed:
            raise ValueError("the file is closed")
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._chunks.length}[whence]
        if base + offset < 0:
            raise ValueError("a position is 0 or more")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]  # what collections.abc.Buffer is before Python 3.12
        """Fill the buffer as far as the plaintext goes. Raises EnvelopeIntegrityError and TruncatedMessageError."""
        if self.closed:
            raise ValueError("the file is closed")
        view, filled = memoryview(buffer).cast("B"), 0
        for piece in self._chunks.pieces(self._position, len(view)):
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
        self._position += filled
        return filled

    def close(self) -> None:
        """Close it, and the file below if it was opened for it."""
        if self._closes:
            self._file.close()
        super().close()
