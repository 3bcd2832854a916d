"""Reading parts of a chunked message that lies in a file, without decrypting what is before them."""

from collections.abc import Iterator
from typing import Protocol

from strongroom.core import Secret
from strongroom.envelope._chunk_cipher import (
    CHUNK_BYTES,
    ENCRYPTED_CHUNK_BYTES,
    PROLOGUE_BYTES,
    TAG_LEN_BYTES,
    ChunkCipher,
    check_chunk_count,
)
from strongroom.envelope._errors import TruncatedMessageError

_CHUNKS_AT_ONCE = 64


class SeekableBytes(Protocol):
    """What a file must be able to do for its parts to be read; every binary file of Python's can."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to an offset (from the start, or the end with ``whence`` 2); return the new one."""
        ...

    def read(self, size: int, /) -> bytes | None:
        """Read at most so many bytes; none at the end."""
        ...


class ChunkReader:
    """Random access to one message. Its length is authenticated before anything else is read.

    Chunks are decrypted when a part of them is asked for, and nothing is kept. For one thread at a time: it
    moves the file's position.
    """

    def __init__(
        self, file: SeekableBytes, input_key: bytes | Secret, context: bytes, *, begins_at: int = 0
    ) -> None:
        """Find the message, whose prologue is at offset ``begins_at`` and whose end is the end of the file.

        Raises KeyCommitmentError, TruncatedMessageError and EnvelopeIntegrityError (the last chunk does not
        authenticate), and ValueError on a key that is not 32 bytes long.
        """
        self._file = file
        self._chunks_at = begins_at + PROLOGUE_BYTES
        body_bytes = file.seek(0, 2) - self._chunks_at
        self._cipher = ChunkCipher.of_message(
            input_key, context, self._read(begins_at, min(PROLOGUE_BYTES, PROLOGUE_BYTES + body_bytes))
        )
        self._full_chunks, last_bytes = divmod(body_bytes, ENCRYPTED_CHUNK_BYTES)
        if last_bytes < TAG_LEN_BYTES:
            raise TruncatedMessageError
        check_chunk_count(self._full_chunks + 1)
        self.length = self._full_chunks * CHUNK_BYTES + last_bytes - TAG_LEN_BYTES
        """How many bytes the message has."""
        self._decrypt(self._full_chunks, self._full_chunks + 1)

    def read_range(self, start: int, length: int) -> bytes:
        """Return a part of the message; it is shorter where the message ends. Raises as ``pieces``."""
        return b"".join(self.pieces(start, length))

    def pieces(self, start: int, length: int) -> Iterator[memoryview]:
        """Return a part in pieces of up to 1 MiB.

        Raises ValueError on a negative start or length, EnvelopeIntegrityError where a chunk does not
        authenticate, and TruncatedMessageError when the file has become shorter meanwhile.
        """
        if start < 0 or length < 0:
            raise ValueError("a range begins at 0 or later and has 0 bytes or more")
        return self._pieces(start, min(start + length, self.length))

    def _pieces(self, start: int, end: int) -> Iterator[memoryview]:
        while start < end:
            first = start // CHUNK_BYTES
            beyond = min(first + _CHUNKS_AT_ONCE, (end - 1) // CHUNK_BYTES + 1)
            run_at = first * CHUNK_BYTES
            yield self._decrypt(first, beyond)[start - run_at : end - run_at]
            start = beyond * CHUNK_BYTES

    def _decrypt(self, first: int, beyond: int) -> memoryview:
        """Decrypt the chunks from number ``first`` to before ``beyond``."""
        stop = min(beyond * CHUNK_BYTES, self.length)
        run_bytes = stop - first * CHUNK_BYTES
        sealed_bytes = run_bytes + (beyond - first) * TAG_LEN_BYTES
        sealed = self._read(self._chunks_at + first * ENCRYPTED_CHUNK_BYTES, sealed_bytes)
        target = memoryview(bytearray(run_bytes))
        self._cipher.decrypt_run(first, memoryview(sealed), target)
        return target

    def _read(self, offset: int, n_bytes: int) -> bytes:
        self._file.seek(max(offset, 0))
        parts: list[bytes] = []
        missing = n_bytes
        while missing > 0:
            part = self._file.read(missing)
            if not part:
                raise TruncatedMessageError
            parts.append(part)
            missing -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)
