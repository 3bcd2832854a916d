"""Reading a home's own audit log leaves entries in it: an intent before the first entry is shown, an outcome after the last.

They are of the writer ``reader``, which all commands share in turns, so that it needs no service and goes into the tree like any
other. A log in a home (``strongroom.toml`` stands beside it) is that home's own, by whatever path it is named; a copy is not, and
reading it leaves nothing. Whoever has the files can read them with other programs: this is no protection.
"""

import os
import pwd
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from strongroom.audit import AuditCorruptError, Entry, Kind, append_once
from strongroom.config import Home, home_from_environment
from strongroom.core import AuditUnavailableError, Clock, StrongroomError, random_bytes

READER: Final = "reader"
"""Name of the writer."""
READ_EVENT: Final = "audit.read"
_CANCELLED: Final = "Cancelled"
_COPY: Final = "copy the folder 'audit' out of the home, and name the copy with --path"


class Reading:
    """One reading of a log, while it lasts."""

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.shown = 0
        """How many entries were shown, or counted for a report."""

    def is_other(self, entry: Entry) -> bool:
        """Whether an entry is of anything but this reading itself."""
        return entry.request_id != self.request_id or entry.writer != READER


def home_of(directory: Path) -> Home | None:
    """Return the home whose own log an audit directory is, also one that it has as a link; None for a copy that stands by itself.

    A folder of links to the folders of a home's log is that log too.
    """
    roots = [directory.absolute().parent, directory.resolve().parent, home_from_environment()]
    wal = directory / "wal"
    folders = [wal, *wal.iterdir()] if wal.is_dir() else []
    for folder in filter(Path.is_symlink, folders):
        roots += folder.resolve().parents[1:3]
    return next((Home(root) for root in roots if _is_of(Home(root), directory)), None)


def _is_of(home: Home, directory: Path) -> bool:
    if not home.config_file.exists() or not home.audit.exists():
        return False
    pairs = [(home.audit, directory), (home.audit / "wal", directory / "wal")]
    pairs += [
        (home.audit / "wal" / path.name, path) for path in (directory / "wal").glob("*") if path.is_symlink()
    ]
    return any(ours.exists() and path.exists() and ours.samefile(path) for ours, path in pairs)


@contextmanager
def recorded_reading(
    directory: Path, command: str, asked: Mapping[str, str], *, clock: Clock
) -> Iterator[Reading]:
    """Record that somebody reads a log for as long as this is open; of a copy nothing is recorded.

    ``asked``: what was asked for, as name and value. Raises AuditUnavailableError, with a copy as the next step, where the
    reading cannot be recorded; the log is not to be read then.
    """
    reading = Reading(str(uuid.UUID(bytes=random_bytes(16), version=4)))
    home = home_of(directory)
    if home is None:
        yield reading
        return
    _require_owner(home.audit)
    detail = {"command": command, **_who()}
    if asked:
        detail["asked"] = "; ".join(f"{name}={value}" for name, value in asked.items())
    said = _Said(home.audit, reading, detail, clock)
    said.leave("intent")
    outcome = _CANCELLED
    try:
        yield reading
        outcome = "ok"
    except StrongroomError as error:
        outcome = type(error).__name__
        raise
    except OSError as error:
        outcome = _CANCELLED if isinstance(error, BrokenPipeError) else "UnexpectedError"
        raise
    except Exception:
        outcome = "UnexpectedError"
        raise
    finally:
        said.leave("outcome", outcome=outcome, shown=str(reading.shown))


class _Said(NamedTuple):
    """What is told of a reading."""

    directory: Path
    reading: Reading
    detail: dict[str, str]
    clock: Clock

    def leave(self, kind: Kind, *, outcome: str = "", **more: str) -> None:
        """Leave an entry, durable on return. Raises AuditUnavailableError."""
        try:
            append_once(
                self.directory,
                READER,
                kind,
                READ_EVENT,
                clock=self.clock,
                principal=f"local/{os.geteuid()}",
                request_id=self.reading.request_id,
                outcome=outcome,
                detail=self.detail | more,
            )
        except (AuditUnavailableError, AuditCorruptError) as error:
            so = "the log is not read" if kind == "intent" else "the end of this reading is not in it"
            raise AuditUnavailableError(
                f"reading the audit log is recorded in it, and that failed, so {so}: {error.message}",
                next_step=f"make room or permit writing; or {_COPY}",
            ) from error


def _require_owner(directory: Path) -> None:
    """Refuse whoever would leave files there that the service cannot read. Raises AuditUnavailableError."""
    owner = (directory / "wal").stat().st_uid
    if owner != os.geteuid():
        raise AuditUnavailableError(
            f"reading this audit log is recorded in it, and that takes its owner, {_name_of(owner)}",
            next_step=f"run the command as {_name_of(owner)}; or {_COPY}",
        )


def _who() -> dict[str, str]:
    """Say who reads: the user, and who logged in where that is known and another one (sudo)."""
    user = _name_of(os.geteuid())
    who = {"user": user}
    with suppress(OSError):
        if (login := os.getlogin()) != user:
            who["login"] = login
    return who


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
