"""A private folder for a token that lives as long as it is looked at: in memory where the system has such a place, and gone afterwards.

Whoever uses it holds a lock on it. What a process that was killed left is found by that, and removed by the next one that
wants such a folder.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from strongroom.wiring.durable_files import overwrite_and_remove

_IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108  # a folder of random name in it, mode 0700
_PREFIX: Final = "strongroom-scratch-"
_LOCK: Final = "lock"


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make an empty folder, mode 0700; its files are overwritten and removed at the end. Raises OSError."""
    base = _base()
    remove_abandoned(base)
    outer = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    lock = os.open(outer / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = outer / "scratch"
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        _remove(outer)
        os.close(lock)


def remove_abandoned(base: Path) -> int:
    """Remove what killed processes of this user left in a folder; returns how many. What cannot be removed stays."""
    removed = 0
    for outer in base.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if outer.lstat().st_uid == os.geteuid() and not outer.is_symlink() and _is_abandoned(outer):
                _remove(outer)
                removed += 1
    return removed


def _is_abandoned(outer: Path) -> bool:
    """Whether nobody holds the lock; one that has not made its lock yet may be about to."""
    try:
        lock = os.open(outer / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def _base() -> Path:
    is_there = _IN_MEMORY.is_dir() and os.access(_IN_MEMORY, os.W_OK | os.X_OK)
    return _IN_MEMORY if is_there else Path(tempfile.gettempdir())


def _remove(outer: Path) -> None:
    for parent, _, names in os.walk(outer):
        for name in names:
            path = Path(parent) / name
            with contextlib.suppress(OSError):
                if path.is_file() and not path.is_symlink():
                    overwrite_and_remove(path)
    shutil.rmtree(outer, ignore_errors=True)
