"""JSON lines to a file that may be rotated, or to standard output."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from strongroom.audit import Entry
from strongroom.shipping._documents import json_lines
from strongroom.shipping._errors import SinkError
from strongroom.shipping._sink import HOLD_ENTRIES, HOLD_S

_FILE_MODE: Final = 0o600


class FileSink:
    """Appends to a file, and forces it to disk before the entries count as accepted.

    Before each batch it looks whether the file at the path is still the one that is open, so that a log rotation may rename
    it, remove it or cut it to nothing. What a full disk left of a line gets a line feed, so that the next line is whole.
    """

    hold_s = HOLD_S
    hold_entries = HOLD_ENTRIES

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self._is_stale = False

    def send(self, entries: Sequence[Entry]) -> None:
        """Append a line for each entry. Raises SinkError and OSError."""
        self._open()
        _write_all(self._fd, json_lines(entries))

    def confirm(self) -> None:
        """Return when they are on disk. Raises OSError."""
        os.fsync(self._fd)

    def abort(self) -> None:
        """Have the file opened anew for the next batch. A write or fsync that hangs goes on: no system call ends it."""
        self._is_stale = True  # not closed here: its number may be another file's by the time a write uses it

    def _open(self) -> None:
        if self._fd >= 0:
            if not self._is_stale and self._is_still_there():
                return
            if not self._is_stale:
                os.fsync(self._fd)  # it was renamed: what was sent to it belongs to what is confirmed next
            fd, self._fd = self._fd, -1
            os.close(fd)
        self._is_stale = False
        is_new = not self._path.exists()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        fd = os.open(self._path, flags, _FILE_MODE)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise SinkError(f"{self._path} is not a file")
            if status.st_size and os.pread(fd, 1, status.st_size - 1) != b"\n":
                _write_all(fd, b"\n")
            if is_new:
                _sync_folder(self._path.parent)
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd

    def _is_still_there(self) -> bool:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return False
        opened = os.fstat(self._fd)
        return (found.st_dev, found.st_ino) == (opened.st_dev, opened.st_ino)


class StreamSink:
    """Writes to a descriptor that stays open, such as standard output. What a reader of a pipe has read, nobody tells us."""

    hold_s = HOLD_S
    hold_entries = HOLD_ENTRIES

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def send(self, entries: Sequence[Entry]) -> None:
        """Write a line for each entry; waits for a reader who is slow. Raises OSError."""
        _write_all(self._fd, json_lines(entries))

    def confirm(self) -> None:
        """Return: what was written is out of our hands."""

    def abort(self) -> None:
        """Do nothing: the descriptor is not ours to close, so a write that hangs goes on."""


def _write_all(fd: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
