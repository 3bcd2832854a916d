"""Files of a write-ahead log: the few system calls that durability rests on, and nothing else.

``WalFolder`` and ``WalFile`` keep no opinion about contents. Tests put subclasses in their place whose calls
fail before or after they did their work.

System calls of a new segment (its name appears only once its header is whole and durable):

    open(NNNNNNNN.wal.tmp) write fdatasync rename(NNNNNNNN.wal) open(folder) fsync

the same of a file that keeps what is cut off, NNNNNNNN.torn; and of a group of entries: ``pwrite fdatasync``.
"""

import contextlib
import fcntl
import os
from pathlib import Path

from strongroom.audit._archive_names import list_archived
from strongroom.audit._errors import AuditWriterInUseError
from strongroom.audit._format import segment_name, segment_number, torn_name, torn_number

LOCK_NAME = "lock"
DRAFT_ENDING = ".tmp"
"""Of names of files that are not whole yet."""
_FOLDER_MODE = 0o700
_FILE_MODE = 0o600


class WalFile:
    """One segment that is open for writing. Every method raises OSError as the system does."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write_at(self, offset: int, data: bytes) -> None:
        """Write all of ``data``; some of it may be in the file when this raises."""
        left = memoryview(data)
        while left:
            written = os.pwrite(self._fd, left, offset)
            left, offset = left[written:], offset + written

    def sync(self) -> None:
        """Return when what was written, and the length, would survive a power loss (fdatasync(2))."""
        os.fdatasync(self._fd)

    def cut(self, length: int) -> None:
        """Make the file ``length`` bytes long; durable after ``sync``."""
        os.ftruncate(self._fd, length)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._fd)


class WalFolder:
    """The folder of one writer, held under its lock from construction to ``close``.

    Creates the folder, and what is missing above it, with mode 0700. Raises AuditWriterInUseError when another
    process holds the lock, OSError as the system does.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _make_folders(path)
        self._lock_fd = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT, _FILE_MODE)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock_fd)
            raise AuditWriterInUseError(
                f"another process writes the audit log of {path.name}",
                next_step="is the service already running on this home?",
            ) from error
        except BaseException:
            os.close(self._lock_fd)
            raise

    def create(self, number: int, header: bytes) -> WalFile:
        """Create a segment that holds ``header``; durable, with its name, on return."""
        return self._create(segment_name(number), header)

    def keep_torn(self, number: int, data: bytes) -> None:
        """Keep a copy of what is about to be cut off a segment; durable, with its name, on return."""
        self._create(torn_name(number), data).close()

    def open(self, number: int) -> WalFile:
        """Open a segment that exists."""
        return self._open_file(self.path / segment_name(number), os.O_RDWR)

    def remove_drafts(self) -> None:
        """Remove what an unfinished ``create`` left."""
        for draft in self.path.glob(f"*{DRAFT_ENDING}"):
            draft.unlink()

    def sync_names(self) -> None:
        """Return when created, renamed and removed names would survive a power loss."""
        _sync_folder(self.path)

    def close(self) -> None:
        """Release the lock."""
        os.close(self._lock_fd)

    def _create(self, name: str, data: bytes) -> WalFile:
        draft = self.path / f"{name}{DRAFT_ENDING}"
        file = self._open_file(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        try:
            file.write_at(0, data)
            file.sync()
            draft.rename(self.path / name)
            self.sync_names()
        except BaseException:
            file.close()
            with contextlib.suppress(OSError):  # on a full disk others need the room
                draft.unlink(missing_ok=True)
            raise
        return file

    def _open_file(self, path: Path, flags: int) -> WalFile:
        return WalFile(os.open(path, flags, _FILE_MODE))


def list_segments(folder: Path) -> list[int]:
    """Return the numbers of all segments of a writer that can be read, in order: those in its folder, and archived ones."""
    hot = list_hot_segments(folder)  # first: one that moves meanwhile is in the archive by then
    return sorted({*hot, *list_archived(folder)})


def list_hot_segments(folder: Path) -> list[int]:
    """Return the numbers of the segments in a writer's folder, in order."""
    found = (segment_number(path.name) for path in folder.iterdir())
    return sorted(number for number in found if number is not None)


def list_torn(folder: Path) -> list[int]:
    """Return the numbers of the segments of which something was cut off and kept, in order."""
    found = (torn_number(path.name) for path in folder.iterdir())
    return sorted(number for number in found if number is not None)


def _make_folders(path: Path) -> None:
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
