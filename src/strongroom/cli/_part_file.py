"""``PartFile``: lines of output that survive their writer, so that another can go on where it stopped.

It is ``OUTPUT.part`` until it is whole, and then becomes ``OUTPUT`` in one step. A writer that is killed at any moment
leaves whole lines and at most one that is cut off; that one is dropped by the next.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

from strongroom.cli._errors import NotDoneError
from strongroom.client import publish, require_free

_MODE = 0o600
_PIECE_BYTES = 64 * 1024


class PartFile:
    """For one process at a time; it is locked while open."""

    def __init__(self, target: Path, *, resume: bool, overwrite: bool) -> None:
        """Open or create it. Raises OutputExistsError, NotDoneError when one is there unasked or in use, and OSError."""
        require_free(target, overwrite=overwrite)
        self.path = target.with_name(f"{target.name}.part")
        self._target = target
        self._overwrite = overwrite
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | (0 if resume else os.O_EXCL)
        try:
            self._descriptor = os.open(self.path, flags, _MODE)
        except FileExistsError:
            raise NotDoneError(
                f"an earlier run left {self.path}",
                next_step="go on where it stopped with --resume, or delete the file to begin anew",
            ) from None
        try:
            self._lock()
            self._drop_half_line()
        except BaseException:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def require_other(self, source: BinaryIO) -> None:
        """Raise NotDoneError when the input is this very file, or the one that is to be replaced."""
        with contextlib.suppress(OSError, ValueError):  # an input without a descriptor is no file
            found = os.fstat(source.fileno())
            for path in (self.path, self._target):
                if path.exists() and os.path.samestat(found, path.stat()):
                    raise NotDoneError(
                        "the output would replace the input", next_step="choose another --output"
                    )

    def lines(self) -> Iterator[bytes]:
        """Yield the lines that are there, without their ends; afterwards the file stands at its end."""
        with open(self._descriptor, "rb", closefd=False) as file:
            file.seek(0)
            for line in file:
                yield line[:-1]
        os.lseek(self._descriptor, 0, os.SEEK_END)

    def append(self, data: bytes) -> None:
        """Write whole lines; they are on disk when this returns."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]
        os.fdatasync(self._descriptor)

    def finish(self) -> None:
        """Give it its name: all lines are there."""
        os.fsync(self._descriptor)
        publish(self.path, self._target, overwrite=self._overwrite)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_ours = os.path.samestat(os.fstat(self._descriptor), self.path.stat())
        except (BlockingIOError, FileNotFoundError):
            is_ours = False
        if not is_ours:
            raise NotDoneError(f"another process writes {self.path}", next_step="wait until it is done")

    def _drop_half_line(self) -> None:
        end = os.fstat(self._descriptor).st_size
        while end:
            begin = max(0, end - _PIECE_BYTES)
            at = os.pread(self._descriptor, end - begin, begin).rfind(b"\n")
            if at >= 0:
                os.ftruncate(self._descriptor, begin + at + 1)
                break
            end = begin
        else:
            os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_END)
