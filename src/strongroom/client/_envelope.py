"""``Envelope``: encrypt bytes, files and streams under data keys of a key service."""

import io
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from strongroom.client._cache import DataKeyCache
from strongroom.client._data_keys import DataKeySource
from strongroom.client._envelope_keys import Done, EnvelopeKeys
from strongroom.client._output_file import new_file, require_free
from strongroom.client._reader import DecryptingFile
from strongroom.client._streams import (
    Progress,
    ReadableBytes,
    WritableBytes,
    decrypt_through,
    encrypt_through,
    read_header,
    read_prologue,
    write_all,
)

AnyPath = str | os.PathLike[str]

ENCRYPTED_MODE = 0o666
"""Mode of encrypted files, before the umask."""
PLAINTEXT_MODE = 0o600
"""Mode of decrypted files: for their owner only, whatever the umask."""
_READ_AHEAD_BYTES = 64 * 1024


class Envelope:
    """Encrypts under data keys, which a key service makes and opens; only they travel, never the data.

    ``key_id`` (key id, ARN or ``alias/NAME``) is the key to encrypt under, and then the only one whose data is
    decrypted. Without it, data of every key that the service lets this caller use is decrypted, and nothing can
    be encrypted. ``source`` is ``KmsClient.from_environment()`` unless something else is given, such as
    ``boto3.client("kms")``. Every object gets a data key of its own unless there is a ``cache``.

    ``context`` at encryption is stored with the data, in clear and authenticated. ``context`` at decryption is
    what must be there: pairs that were used at encryption, not necessarily all.

    May be shared between threads, if the source may; boto3 clients may. All methods raise what the source
    raises (of ours RequestRefusedError, ServiceUnreachableError), and at decryption ContextMismatchError and
    errors of ``strongroom.envelope``: MalformedFileError, EnvelopeIntegrityError, TruncatedMessageError.
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

    @classmethod
    def of(cls, keys: EnvelopeKeys) -> Self:
        """Make one that shares key, source and cache with another."""
        made = cls.__new__(cls)
        made._keys = keys  # noqa: SLF001  # our own
        return made

    def close(self) -> None:
        """Close the connections to the key service, if they are our own, and forget cached data keys."""
        self._keys.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def encrypt(self, plaintext: bytes, *, context: Mapping[str, str] | None = None) -> bytes:
        """Encrypt bytes. The result is as long, and about 0.1 % and the header (some 200 bytes) more."""
        header, chunks, _ = self._keys.begin_encryption(len(plaintext), context)
        return b"".join((header, chunks.prologue, chunks.update(plaintext), chunks.finish()))

    def decrypt(self, ciphertext: bytes, *, context: Mapping[str, str] | None = None) -> bytes:
        """Decrypt what any of the methods encrypted."""
        source = io.BytesIO(ciphertext)
        header, prologue = read_header(source), read_prologue(source)
        chunks, _ = self._keys.begin_decryption(header, prologue, context)
        return b"".join((chunks.update(memoryview(ciphertext)[source.tell() :]), chunks.finish()))

    def encrypt_stream(
        self,
        source: ReadableBytes,
        target: WritableBytes,
        *,
        context: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> Done:
        """Encrypt from one binary file, pipe or socket file into another, in constant memory; closes neither."""
        header, chunks, done = self._keys.begin_encryption(_size_of(source), context)
        write_all(target, header)
        n_read, n_written = encrypt_through(chunks, source, target, progress)
        return done._replace(plaintext_bytes=n_read, encrypted_bytes=len(header) + n_written)

    def decrypt_stream(
        self,
        source: ReadableBytes,
        target: WritableBytes,
        *,
        context: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> Done:
        """Decrypt from one binary file, pipe or socket file into another, in constant memory; closes neither.

        Each chunk is authenticated before it goes out. But whether the stream was cut off shows at its end only:
        **whoever reads the target must not act on it before this returns.**
        """
        header, prologue = read_header(source), read_prologue(source)
        chunks, done = self._keys.begin_decryption(header, prologue, context)
        n_read, n_written = decrypt_through(chunks, source, target, progress)
        return done._replace(plaintext_bytes=n_written, encrypted_bytes=done.encrypted_bytes + n_read)

    def encrypt_file(
        self,
        source: AnyPath,
        target: AnyPath,
        *,
        context: Mapping[str, str] | None = None,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> Done:
        """Encrypt a file into a new one, which appears under its name when it is whole and on disk.

        Raises OutputExistsError when ``target`` is there and may not be overwritten, and OSError.
        """
        with _from_file_to_file(source, target, mode=ENCRYPTED_MODE, overwrite=overwrite) as (
            read_from,
            write_to,
        ):
            return self.encrypt_stream(read_from, write_to, context=context, progress=progress)

    def decrypt_file(
        self,
        source: AnyPath,
        target: AnyPath,
        *,
        context: Mapping[str, str] | None = None,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> Done:
        """Decrypt a file into a new one of mode 0600, which appears only when all of it is authentic and on disk.

        Raises OutputExistsError when ``target`` is there and may not be overwritten, and OSError.
        """
        with _from_file_to_file(source, target, mode=PLAINTEXT_MODE, overwrite=overwrite) as (
            read_from,
            write_to,
        ):
            return self.decrypt_stream(read_from, write_to, context=context, progress=progress)

    def open(
        self, source: AnyPath | BinaryIO, *, context: Mapping[str, str] | None = None
    ) -> io.BufferedReader:
        """Open an encrypted file to read and seek in its plaintext, without decrypting all of it.

        ``source`` is a path, or a seekable binary file, which stays open. Its length is authenticated before
        this returns, and each chunk when it is read.
        """
        closes = isinstance(source, str | os.PathLike)
        file = io.FileIO(source) if isinstance(source, str | os.PathLike) else source
        try:
            file.seek(0)
            chunks = self._keys.begin_reading(read_header(file), file, context)
        except BaseException:
            if closes:
                file.close()
            raise
        return io.BufferedReader(DecryptingFile(file, chunks, closes=closes), _READ_AHEAD_BYTES)


@contextmanager
def _from_file_to_file(
    source: AnyPath, target: AnyPath, *, mode: int, overwrite: bool
) -> Iterator[tuple[io.FileIO, io.FileIO]]:
    path = Path(target)
    require_free(path, overwrite=overwrite)  # before a key is asked for
    with io.FileIO(source) as read_from:
        about = _size_of(read_from) or 0
        with new_file(path, mode=mode, overwrite=overwrite, reserve=about) as write_to:
            yield read_from, write_to


def _size_of(source: ReadableBytes) -> int | None:
    """Return how much an ordinary file has left to read, None for everything else."""
    if not isinstance(source, io.IOBase):
        return None
    try:
        status = os.fstat(source.fileno())
        return max(status.st_size - source.tell(), 0) if stat.S_ISREG(status.st_mode) else None
    except OSError:
        return None
