"""The home directory as a whole: who may change it, whether it is complete, and where its sockets live."""

import contextlib
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from strongroom.config import Home, runtime_base
from strongroom.core import HomeError

_SOCKET_NAME_BYTES = 48
_LONGEST_SOCKET_PATH = 107  # sockaddr_un, unix(7)


@contextlib.contextmanager
def locked_home(home: Home) -> Iterator[None]:
    """Hold the lock of a home; whoever serves or changes it does. Raises HomeError when somebody else holds it."""
    try:
        lock = os.open(home.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise HomeError(f"cannot open {home.lock_file}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise HomeError(
                f"another process serves or changes {home.root}",
                next_step="see 'strongroom status'; stop that process, or set STRONGROOM_HOME to another folder",
            ) from error
        yield
    finally:
        os.close(lock)


def make_home_folder(home: Home) -> None:
    """Make the folder of a home that is to be initialised. Raises HomeError when it holds other things."""
    try:
        home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise HomeError(f"cannot make {home.root}: {error.strerror}") from error
    journals = (home.init_journal.name, home.restore_journal.name)
    ours = {"lock", home.unfinished_mark.name, *journals, *(f".{name}.new" for name in journals)}
    foreign = sorted(path.name for path in home.root.iterdir() if path.name not in ours)
    if foreign and not home.config_file.exists() and not _is_begun(home):
        raise HomeError(
            f"{home.root} holds other things ({', '.join(foreign[:3])} …)",
            next_step="set STRONGROOM_HOME to a new or empty folder",
        )
    home.root.chmod(0o700)


def refuse_scripted(home: Home) -> None:
    """Leave a home alone that ``init --script`` or ``backup restore`` has begun: it has the PINs of tokens. Raises HomeError."""
    if home.restore_journal.exists():
        raise HomeError(
            f"{home.root} is half restored from a backup, and holds the PINs of its tokens",
            next_step="run the same 'strongroom backup restore …' again; it goes on where it was",
        )
    if home.init_journal.exists():
        raise HomeError(
            f"{home.root} is half initialised from a script, and holds the PINs of its tokens",
            next_step="run the same 'strongroom init --script … --genesis …' again; it goes on where it was",
        )
    if home.unfinished_mark.exists() and any(home.pins.glob("*.first.sealed")):
        raise HomeError(
            f"{home.root} is half initialised from a script and holds the PINs of its tokens, and its journal is missing",
            next_step=f"put back {home.init_journal.name} (or {home.restore_journal.name}); or reset those tokens with the vendor's tool, and begin anew in an"
            " empty home",
        )


def _is_begun(home: Home) -> bool:
    return home.unfinished_mark.exists() or home.init_journal.exists() or home.restore_journal.exists()


def require_complete(home: Home) -> None:
    """Check that a home is there, private and fully initialised. Raises HomeError with what to do."""
    if not home.root.is_dir() or not (home.config_file.exists() or home.unfinished_mark.exists()):
        raise HomeError(
            f"{home.root} is not a Strongroom home",
            next_step="run 'strongroom init --development' to make one, or see docs/initialisation.md",
        )
    if home.unfinished_mark.exists():
        refuse_scripted(home)
    if home.unfinished_mark.exists():
        raise HomeError(
            f"{home.root} is half initialised: an earlier 'strongroom init' did not finish",
            next_step="run 'strongroom init --development' again; it starts afresh, no key of it was ever in use",
        )
    mode = stat.S_IMODE(home.root.stat().st_mode)
    if mode & 0o077:
        raise HomeError(
            f"others may enter {home.root} (mode {mode:04o})", next_step=f"chmod 0700 {home.root}"
        )
    for needed in (home.config_file, home.database):
        if not needed.is_file():
            raise HomeError(
                f"{needed} is missing", next_step="restore it from a backup; its keys are not anywhere else"
            )


def runtime_folder(home: Home) -> Path:
    """Make the private folder for this home's sockets, empty, and return it. Call with the home locked.

    Its name is derived from the home, so that what a killed service left is found and removed. Raises
    HomeError when the folder belongs to somebody else or its path is too long for a socket.
    """
    folder = restore_runtime_folder(home)
    try:
        for left_over in folder.iterdir():
            left_over.unlink()
    except OSError as error:
        raise HomeError(f"cannot empty the socket folder {folder}: {error.strerror}") from error
    return folder


def restore_runtime_folder(home: Home) -> Path:
    """Make the folder of ``runtime_folder`` again if it is gone, and leave what is in it.

    What cleans temporary folders may remove it while the service runs. Raises HomeError as ``runtime_folder``.
    """
    folder = runtime_folder_path(home)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise HomeError(f"cannot make the socket folder {folder}: {error.strerror}") from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise HomeError(
            f"{folder} is not a private folder of this user",
            next_step="remove it; somebody may have put it there to spy",
        )
    if len(os.fsencode(folder)) + 1 + _SOCKET_NAME_BYTES > _LONGEST_SOCKET_PATH:
        raise HomeError(
            f"the path {folder} is too long for sockets", next_step="set XDG_RUNTIME_DIR to a shorter one"
        )
    return folder


def remove_runtime_folder(home: Home) -> None:
    """Remove the folder and what is left in it. Never fails: what stays is removed at the next start."""
    folder = runtime_folder_path(home)
    with contextlib.suppress(OSError):
        for left_over in folder.iterdir():
            left_over.unlink(missing_ok=True)
        folder.rmdir()


def runtime_folder_path(home: Home) -> Path:
    """Where the sockets of a home's service are; nothing is made or looked at."""
    digest = hashlib.sha256(os.fsencode(home.root)).hexdigest()[:12]
    return runtime_base() / f"strongroom-{os.geteuid()}-{digest}"


def sync_tree(folder: Path) -> None:
    """Force every file and folder below to disk (fsync(2))."""
    for parent, _, names in os.walk(folder):
        for path in (*(Path(parent) / name for name in names), Path(parent)):
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                continue
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
