"""Small private files that are replaced whole or not at all, and survive a power cut once written."""

import os
from pathlib import Path


def write_durably(path: Path, content: bytes, *, mode: int) -> None:
    """Put ``content`` in the place of a file; it is on disk when this returns. The folder is made if it is not there.

    A draft beside it is written, forced to disk (fsync(2)) and renamed, then the folder is forced to disk, and the one
    above it. Raises OSError.
    """
    folder = path.parent
    folder.mkdir(mode=0o700, exist_ok=True)
    draft = folder / f".{path.name}.new"
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(folder)
    sync_folder(folder.parent)


def write_new_durably(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file that is not there yet; it is whole and on disk when this returns. Raises FileExistsError and OSError."""
    folder = path.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / f".{path.name}.new"
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(folder)
    sync_folder(folder.parent)


def replace_and_overwrite(path: Path, content: bytes, *, mode: int) -> None:
    """Do what ``write_durably`` does, and then fill the file that was there before with zeros, on disk. Raises OSError.

    What a file system or a disk keeps of earlier contents elsewhere, that does not reach.
    """
    try:
        path.chmod(mode | 0o200)  # it may be read-only, to its owner too
        before = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        write_durably(path, content, mode=mode)
        return
    try:
        write_durably(path, content, mode=mode)
        os.pwrite(before, bytes(os.fstat(before).st_size), 0)
        os.fsync(before)
    finally:
        os.close(before)


def overwrite_and_remove(path: Path) -> None:
    """Fill a file with zeros, on disk, and remove it; without effect where it is not there. Raises OSError.

    What a file system or a disk keeps of earlier contents elsewhere, that does not reach.
    """
    try:
        path.chmod(0o600)
        with path.open("r+b") as file:
            file.write(bytes(os.fstat(file.fileno()).st_size))
            file.flush()
            os.fsync(file.fileno())
    except FileNotFoundError:
        return
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
