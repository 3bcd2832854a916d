"""``AsyncEnvelope``: the same for programs on an event loop."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from types import TracebackType
from typing import Self

from strongroom.client._cache import DataKeyCache
from strongroom.client._data_keys import DataKeySource
from strongroom.client._envelope import AnyPath, Envelope
from strongroom.client._envelope_keys import Done, EnvelopeKeys
from strongroom.client._streams import Progress
from strongroom.envelope import (
    FIRST_BYTES,
    PROLOGUE_BYTES,
    ChunkDecryptor,
    ChunkEncryptor,
    MalformedFileError,
    TruncatedMessageError,
    header_bytes,
)

_LONG_BYTES = 256 * 1024
"""Pieces over this (about 50 µs of work) leave the event loop's thread."""


class AsyncEnvelope:
    """``Envelope`` for event loops: calls to the key service and work on files go to threads.

    Arguments and errors are those of ``Envelope``, and so is the format: what one encrypts the other decrypts. A
    call that is cancelled stops waiting; the thread behind it finishes what it is at, a file included.
    """

    def __init__(
        self,
        key_id: str | None = None,
        *,
        source: DataKeySource | None = None,
        cache: DataKeyCache | None = None,
    ) -> None:
        """Join key, source and cache; calls nobody yet. Raises ConfigError when no service is to be found."""
        self._keys = EnvelopeKeys(key_id, source=source, cache=cache)
        self._envelope = Envelope.of(self._keys)

    async def close(self) -> None:
        """Close the connections to the key service, if they are our own, and forget cached data keys."""
        self._keys.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def encrypt(self, plaintext: bytes, *, context: Mapping[str, str] | None = None) -> bytes:
        """Encrypt bytes."""
        return await asyncio.to_thread(self._envelope.encrypt, plaintext, context=context)

    async def decrypt(self, ciphertext: bytes, *, context: Mapping[str, str] | None = None) -> bytes:
        """Decrypt bytes."""
        return await asyncio.to_thread(self._envelope.decrypt, ciphertext, context=context)

    async def encrypt_file(
        self,
        source: AnyPath,
        target: AnyPath,
        *,
        context: Mapping[str, str] | None = None,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> Done:
        """Encrypt a file into a new one; ``progress`` is called in another thread."""
        return await asyncio.to_thread(
            self._envelope.encrypt_file,
            source,
            target,
            context=context,
            overwrite=overwrite,
            progress=progress,
        )

    async def decrypt_file(
        self,
        source: AnyPath,
        target: AnyPath,
        *,
        context: Mapping[str, str] | None = None,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> Done:
        """Decrypt a file into a new one; ``progress`` is called in another thread."""
        return await asyncio.to_thread(
            self._envelope.decrypt_file,
            source,
            target,
            context=context,
            overwrite=overwrite,
            progress=progress,
        )

    async def encrypt_stream(
        self, source: AsyncIterable[bytes], *, context: Mapping[str, str] | None = None
    ) -> AsyncIterator[bytes]:
        """Encrypt pieces as they come, such as the body of a request: ``async for piece in …``."""
        header, chunks, _ = await asyncio.to_thread(self._keys.begin_encryption, None, context)
        yield header + chunks.prologue
        async for piece in source:
            if ready := await _update(chunks, piece):
                yield ready
        yield chunks.finish()

    async def decrypt_stream(
        self, source: AsyncIterable[bytes], *, context: Mapping[str, str] | None = None
    ) -> AsyncIterator[bytes]:
        """Decrypt pieces as they come. All that comes out is authentic; that it is all shows when it ends.

        **Do not act on the pieces before the loop ended well**: a stream that was cut off raises at its end.
        """
        pieces = aiter(source)
        header, prologue, rest = await _beginning(pieces)
        chunks, _ = await asyncio.to_thread(self._keys.begin_decryption, header, prologue, context)
        if ready := await _update(chunks, rest):
            yield ready
        async for piece in pieces:
            if ready := await _update(chunks, piece):
                yield ready
        if last := chunks.finish():
            yield last


async def _update(chunks: ChunkEncryptor | ChunkDecryptor, piece: bytes) -> bytes:
    if len(piece) <= _LONG_BYTES:
        return chunks.update(piece)
    return await asyncio.to_thread(chunks.update, piece)


async def _beginning(pieces: AsyncIterator[bytes]) -> tuple[bytes, bytes, bytes]:
    """Read until header and prologue are whole; returns them and what is left of the last piece."""
    have, header_end, wanted = b"", 0, FIRST_BYTES
    while True:
        while len(have) < wanted:
            piece = await anext(pieces, None)
            if piece is None and header_end:
                raise TruncatedMessageError
            if piece is None:
                raise MalformedFileError("it ends within its header")
            have += piece
        if header_end:
            return have[:header_end], have[header_end:wanted], have[wanted:]
        longer = header_bytes(have[:wanted])
        if longer == wanted:
            header_end, wanted = wanted, wanted + PROLOGUE_BYTES
        else:
            wanted = longer
