"""From one stream to another in constant memory: the loops around the chunks."""

import io
from collections.abc import Callable
from typing import Protocol

from strongroom.client._errors import ClientError
from strongroom.envelope import (
    FIRST_BYTES,
    PROLOGUE_BYTES,
    ChunkDecryptor,
    ChunkEncryptor,
    MalformedFileError,
    TruncatedMessageError,
    header_bytes,
)

Progress = Callable[[int], None]
"""Is told now and then how many bytes of the input are done."""

_CHUNKS_AT_ONCE = 32
"""512 KiB: larger reads gain nothing, and what is read and written stays in the processor's cache."""


class ReadableBytes(Protocol):
    """What is read from: any binary file, pipe or socket file that waits for its data."""

    def read(self, size: int, /) -> bytes | None:
        """Return at most so many bytes; none at the end."""
        ...


class WritableBytes(Protocol):
    """What is written to."""

    def write(self, data: memoryview, /) -> int | None:
        """Write some or all; return how much."""
        ...


def encrypt_through(
    encryptor: ChunkEncryptor, source: ReadableBytes, target: WritableBytes, progress: Progress | None
) -> tuple[int, int]:
    """Encrypt all of ``source``; returns how many bytes were read and written. The header is out already."""
    write_all(target, encryptor.prologue)
    done = _through(encryptor, source, target, progress)
    return done[0], done[1] + PROLOGUE_BYTES


def decrypt_through(
    decryptor: ChunkDecryptor, source: ReadableBytes, target: WritableBytes, progress: Progress | None
) -> tuple[int, int]:
    """Decrypt the chunks of ``source``. What is written is authentic, but it is all only when this returns."""
    return _through(decryptor, source, target, progress)


def read_header(source: ReadableBytes) -> bytes:
    """Read the header, and no byte beyond it. Raises MalformedFileError."""
    header = _read_exactly(source, FIRST_BYTES)
    while len(header) < (wanted := header_bytes(header)):
        more = _read_exactly(source, wanted - len(header))
        if len(more) < wanted - len(header):
            raise MalformedFileError("it ends within its header")
        header += more
    return header


def read_prologue(source: ReadableBytes) -> bytes:
    """Read what stands before the chunks. Raises TruncatedMessageError."""
    prologue = _read_exactly(source, PROLOGUE_BYTES)
    if len(prologue) < PROLOGUE_BYTES:
        raise TruncatedMessageError
    return prologue


def write_all(target: WritableBytes, data: bytes | bytearray | memoryview) -> None:
    """Write all of it, however little the target takes at a time."""
    rest = memoryview(data)
    while rest:
        written = target.write(rest)
        if written is None:
            if isinstance(target, io.RawIOBase):
                raise ClientError("the output does not wait until it can take data (it is non-blocking)")
            return  # objects of others that only look like files often say nothing
        rest = rest[written:]


def _through(
    chunks: ChunkEncryptor | ChunkDecryptor,
    source: ReadableBytes,
    target: WritableBytes,
    progress: Progress | None,
) -> tuple[int, int]:
    buffer = memoryview(bytearray(_CHUNKS_AT_ONCE * chunks.input_chunk_bytes))
    output = memoryview(bytearray((_CHUNKS_AT_ONCE + 1) * chunks.output_chunk_bytes))
    total_in = total_out = 0
    while n_read := read_some(source, buffer):
        n_ready = chunks.update_into(buffer[:n_read], output)
        write_all(target, output[:n_ready])
        total_in, total_out = total_in + n_read, total_out + n_ready
        if progress is not None:
            progress(total_in)
    last = chunks.finish()
    write_all(target, last)
    return total_in, total_out + len(last)


def read_some(source: ReadableBytes, buffer: memoryview) -> int:
    """Read what is there, without a copy where the source can; 0 at the end."""
    readinto = getattr(source, "readinto", None)
    if readinto is not None:
        n_read = readinto(buffer)
    else:
        data = source.read(len(buffer))
        n_read = None if data is None else len(data)
        buffer[: n_read or 0] = data or b""
    if n_read is None:
        raise ClientError("the input does not wait until it has data (it is non-blocking)")
    return int(n_read)


def _read_exactly(source: ReadableBytes, n_bytes: int) -> bytes:
    buffer = memoryview(bytearray(n_bytes))
    have = 0
    while have < n_bytes and (n_read := read_some(source, buffer[have:])):
        have += n_read
    return bytes(buffer[:have])
