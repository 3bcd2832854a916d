"""The snapshot: files one behind the other, encrypted as one chunked message under a key of its own (``envelope``).

The key is 32 random bytes. Main has it wrapped by the current root inside an HSM; the blob stands in the header of the
message, and binds it to the bundle (``envelope.backup_snapshot_binding``).
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from strongroom.backup._errors import AlteredBundleError, MissingKeyError, TruncatedBundleError
from strongroom.backup._manifest import Manifest, Snapshot, SnapshotPart
from strongroom.core import Secret, random_bytes
from strongroom.envelope import (
    FIRST_BYTES,
    PROLOGUE_BYTES,
    Blob,
    ChunkDecryptor,
    ChunkEncryptor,
    EnvelopeError,
    FileHeader,
    Purpose,
    TruncatedMessageError,
    header_bytes,
)

SNAPSHOT_KEY_BYTES: Final = 32
DATABASE_PART: Final = "strongroom.db"
"""Name of the database in a snapshot."""
CONFIGURATION_PART: Final = "strongroom.toml"
"""Name of the configuration in a snapshot."""
_CONTEXT_NAME: Final = "strongroom-backup"
_READ_BYTES: Final = 1 << 20


class SnapshotFile(NamedTuple):
    """A file that goes into a snapshot."""

    name: str
    content: BinaryIO


def new_snapshot_key() -> Secret:
    """Return a random key for one snapshot."""
    return Secret(random_bytes(SNAPSHOT_KEY_BYTES))


def encrypt_snapshot(
    out: BinaryIO,
    files: Sequence[SnapshotFile],
    *,
    backup_id: str,
    key: Secret,
    wrapped_key: Blob,
    revision: str,
    counts: Mapping[str, int],
) -> Snapshot:
    """Write the encrypted form of some files, and return what the manifest says of it. Raises OSError."""
    header = FileHeader(wrapped_key.encode(), {_CONTEXT_NAME: backup_id}).encode()
    message = ChunkEncryptor(key, header)
    digest, size, parts = hashlib.sha256(), 0, []

    def write(data: bytes) -> None:
        nonlocal size
        out.write(data)
        digest.update(data)
        size += len(data)

    write(header + message.prologue)
    for name, content in files:
        part_digest, part_size = hashlib.sha256(), 0
        for piece in _pieces(content):
            part_digest.update(piece)
            part_size += len(piece)
            write(message.update(piece))
        parts.append(SnapshotPart(name=name, size=part_size, sha256=part_digest.hexdigest()))
    write(message.finish())
    return Snapshot(
        size=size, sha256=digest.hexdigest(), parts=tuple(parts), revision=revision, counts=dict(counts)
    )


def snapshot_key_blob(file: BinaryIO, manifest: Manifest, *, begins_at: int) -> Blob:
    """Return the wrapped key of a snapshot that begins at an offset of a file.

    Raises AlteredBundleError, TruncatedBundleError, MissingKeyError when another root is needed than the manifest says.
    """
    file.seek(begins_at)
    try:
        blob = Blob.parse(_read_header(file, manifest)[1].wrapped_data_key)
    except EnvelopeError as error:
        raise AlteredBundleError("snapshot", error.message) from error
    if blob.purpose is not Purpose.SNAPSHOT_KEY:
        raise AlteredBundleError("snapshot", "its key was wrapped for another purpose")
    if blob.wrapping_key_id.hex() != manifest.snapshot_key_root:
        raise MissingKeyError(
            f"the snapshot opens under root {blob.wrapping_key_id.hex()}, and the manifest names another one"
        )
    return blob


def decrypt_snapshot(
    file: BinaryIO, manifest: Manifest, key: Secret, folder: Path, *, begins_at: int
) -> dict[str, Path]:
    """Write the files of a snapshot into a folder, mode 0600, and return where each is.

    Raises AlteredBundleError and TruncatedBundleError, then what was written is of no worth; FileExistsError, OSError.
    """
    file.seek(begins_at)
    header, _ = _read_header(file, manifest)
    try:
        message = ChunkDecryptor(key, header, file.read(PROLOGUE_BYTES))
        return _write_parts(_decrypted(file, message), manifest.snapshot.parts, folder)
    except TruncatedMessageError as error:
        raise TruncatedBundleError("snapshot") from error
    except EnvelopeError as error:
        raise AlteredBundleError("snapshot", error.message) from error


def _read_header(file: BinaryIO, manifest: Manifest) -> tuple[bytes, FileHeader]:
    data = b""
    try:
        wanted = FIRST_BYTES
        while len(data) < wanted:
            more = file.read(wanted - len(data))
            if not more:
                raise TruncatedBundleError("snapshot")
            data += more
            if len(data) == wanted:
                wanted = header_bytes(data)
        header = FileHeader.parse(data)
    except EnvelopeError as error:
        raise AlteredBundleError("snapshot", error.message) from error
    if dict(header.encryption_context) != {_CONTEXT_NAME: manifest.backup_id}:
        raise AlteredBundleError("snapshot", "it is that of another bundle")
    return data, header


def _decrypted(file: BinaryIO, message: ChunkDecryptor) -> Iterator[bytes]:
    for piece in _pieces(file):
        yield message.update(piece)
    yield message.finish()


def _write_parts(plaintext: Iterator[bytes], parts: Sequence[SnapshotPart], folder: Path) -> dict[str, Path]:
    written: dict[str, Path] = {}
    pieces = (piece for piece in plaintext if piece)
    rest = b""
    for part in parts:
        path = folder / part.name
        digest, missing = hashlib.sha256(), part.size
        with open(path, "xb", opener=_private) as out:  # Path.open takes no opener
            while missing:
                rest = rest or next(pieces, b"")
                if not rest:
                    raise AlteredBundleError("snapshot", "there is less in it than the manifest says")
                piece, rest = rest[:missing], rest[missing:]
                out.write(piece)
                digest.update(piece)
                missing -= len(piece)
        if digest.hexdigest() != part.sha256:
            raise AlteredBundleError("snapshot", f"{part.name} in it is not the file that the manifest names")
        written[part.name] = path
    if rest or next(pieces, b""):  # asked for to its end, which authenticates that it is the end
        raise AlteredBundleError("snapshot", "there is more in it than the manifest says")
    return written


def _pieces(content: BinaryIO) -> Iterator[bytes]:
    while piece := content.read(_READ_BYTES):
        yield piece


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
