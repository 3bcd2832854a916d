"""A new file that appears under its name only when it is whole, and never in another's place unasked."""

import contextlib
import ctypes
import errno
import io
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from strongroom.client._errors import OutputExistsError
from strongroom.core import random_bytes

_NO_UNNAMED_FILES = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT}
"""What open(2) says to O_TMPFILE where the file system or the kernel cannot."""
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK}
"""What link(2) says where the file system has no hard links."""
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_LEAST_RESERVED_BYTES = 1024 * 1024
_OWN_DESCRIPTORS = Path("/proc/self/fd")


@contextlib.contextmanager
def new_file(path: Path, *, mode: int, overwrite: bool, reserve: int = 0) -> Iterator[io.FileIO]:
    """Open a file to write; it gets its name when the block ends well, after it and its folder are on disk.

    It is written without a name where the file system can (``O_TMPFILE``): a process that is killed then leaves
    nothing behind. Elsewhere a hidden file beside ``path`` may be left. ``mode`` is narrowed by the umask.

    ``reserve`` is how many bytes it will have, about: where the file system can, they are set aside at once, so
    that a disk that is too small shows before work begins, and the kernel has less to do for each write.

    Raises OutputExistsError when something else than a file to overwrite is there, at the start or at the end,
    and OSError.
    """
    require_free(path, overwrite=overwrite)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        descriptor, temporary = _open_in(folder, mode)
        try:
            with io.FileIO(descriptor, "w") as file:
                is_reserved = _reserve(descriptor, reserve)
                yield file
                if is_reserved:
                    os.ftruncate(descriptor, file.tell())
                os.fsync(descriptor)
                if temporary is None:
                    temporary = _name_it(descriptor, path, folder, overwrite=overwrite)
                if temporary is not None:
                    _move(temporary, path.name, folder, overwrite=overwrite, shown=path)
                    temporary = None
            os.fsync(folder)
        finally:
            if temporary is not None:
                os.unlink(temporary, dir_fd=folder)
    finally:
        os.close(folder)


def publish(part: Path, path: Path, *, overwrite: bool) -> None:
    """Give a file that is whole and on disk its final name, in the same folder. Raises as ``new_file``."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _move(part.name, path.name, folder, overwrite=overwrite, shown=path)
        os.fsync(folder)
    finally:
        os.close(folder)


def require_free(path: Path, *, overwrite: bool) -> None:
    """Raise OutputExistsError unless a file may be put there."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not overwrite:
        raise _exists(path)
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISLNK(found.st_mode):
        raise OutputExistsError(f"{path} is no ordinary file, so it is not replaced")


def _open_in(folder: int, mode: int) -> tuple[int, str | None]:
    """Open a file in the folder: nameless, or with the hidden name that is returned."""
    if _OWN_DESCRIPTORS.is_dir():  # without /proc a nameless file could not be named
        try:
            return os.open(".", os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, mode, dir_fd=folder), None
        except OSError as error:
            if error.errno not in _NO_UNNAMED_FILES:
                raise
    temporary = _hidden_name()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.open(temporary, flags, mode, dir_fd=folder), temporary


def _reserve(descriptor: int, n_bytes: int) -> bool:
    """Have the file system set bytes aside; returns whether it did.

    This is fallocate(2) itself: where that is missing, ``os.posix_fallocate`` writes to every block instead.
    """
    if not _LEAST_RESERVED_BYTES <= n_bytes <= sys.maxsize:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.fallocate(descriptor, 0, ctypes.c_long(0), ctypes.c_long(n_bytes)) == 0:
        return True
    error = ctypes.get_errno()
    if error in _NO_ROOM:
        raise OSError(error, os.strerror(error))
    return False


def _name_it(descriptor: int, path: Path, folder: int, *, overwrite: bool) -> str | None:
    """Give a nameless file its name, or, where that is to be replaced, a hidden one, which is returned."""
    # link(2) with AT_SYMLINK_FOLLOW, which Python uses only when it is given a folder's descriptor.
    name = _hidden_name() if overwrite else path.name
    try:
        os.link(
            _OWN_DESCRIPTORS / str(descriptor),
            name,
            src_dir_fd=folder,
            dst_dir_fd=folder,
            follow_symlinks=True,
        )
    except FileExistsError:
        raise _exists(path) from None
    return name if overwrite else None


def _move(temporary: str, name: str, folder: int, *, overwrite: bool, shown: Path) -> None:
    """Give a named file its final name."""
    if not overwrite:
        try:
            os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except FileExistsError:
            raise _exists(shown) from None
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            require_free(shown, overwrite=False)  # without links there is no way to look and move in one step
        else:
            os.unlink(temporary, dir_fd=folder)
            return
    os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)


def _hidden_name() -> str:
    return f".strongroom-{random_bytes(8).hex()}.part"


def _exists(path: Path) -> OutputExistsError:
    return OutputExistsError(
        f"{path} exists already; nothing was written", next_step="choose another name, or allow overwriting"
    )
