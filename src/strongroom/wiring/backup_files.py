"""Bundles on disk: written whole or not at all, mode 0600, checked as they lie there, and never over another file."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from strongroom.backup import BackupSet, Manifest, UnusableBackupError, verify_bundle, write_bundle
from strongroom.storage import inspect_snapshot
from strongroom.wiring.durable_files import sync_folder

_PIECE_BYTES: Final = 1 << 20
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
"""What file systems without hard links answer, such as those of memory sticks."""
DRAFT_PREFIX: Final = ".draft-"
"""How the folder is called in which a backup is made, until it is whole."""


def store_bundle(
    path: Path, backup_set: BackupSet, *, manifest: bytes, signature: bytes, snapshot: Path
) -> tuple[str, int]:
    """Write a bundle and verify what lies there; returns its SHA-256 in hex and its size. It is on disk when this returns.

    Raises BackupError, FileExistsError and OSError; then there is no file of this name that was not there before.
    """
    if path.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    try:
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w+b") as out, snapshot.open("rb") as encrypted:
            sha256 = write_bundle(out, manifest, signature, _pieces(encrypted))
            out.flush()
            os.fsync(out.fileno())
            verify_bundle(out, backup_set)
            size = out.seek(0, os.SEEK_END)
        _publish(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)
    return sha256, size


def require_database(path: Path, manifest: Manifest) -> None:
    """See that the database out of a bundle is whole and the one that its manifest names. Blocks.

    Ask this before anything else opens it: who can have a manifest signed chooses what is in it. Raises UnusableBackupError and
    StorageError.
    """
    found = inspect_snapshot(path)
    if (found.revision, found.counts) != (manifest.snapshot.revision, manifest.snapshot.counts):
        raise UnusableBackupError("the database in the snapshot has other rows than the manifest says")


def remove_bundle(path: Path) -> None:
    """Remove a bundle of which nobody was told. Raises OSError."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


@contextlib.contextmanager
def draft_folder(folder: Path, name: str) -> Iterator[Path]:
    """Make a private folder for the length of the block; whatever is in it then is removed with it. Raises OSError."""
    folder.mkdir(mode=0o700, exist_ok=True)
    draft = folder / f"{DRAFT_PREFIX}{name}"
    draft.mkdir(mode=0o700)
    try:
        yield draft
    finally:
        _remove(draft)


def remove_drafts(folder: Path) -> int:
    """Remove what a service that was killed left of backups that it was making; returns how many. Never fails."""
    if not folder.is_dir():
        return 0
    found = list(folder.glob(f"{DRAFT_PREFIX}*"))
    for draft in found:
        _remove(draft)
    for left in folder.glob(".*.new"):
        with contextlib.suppress(OSError):
            left.unlink()
    return len(found)


def _publish(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)  # refuses to overwrite
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        draft.rename(path)


def _remove(draft: Path) -> None:
    with contextlib.suppress(OSError):
        for left in draft.iterdir():
            left.unlink(missing_ok=True)
        draft.rmdir()


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE_BYTES):
        yield piece
