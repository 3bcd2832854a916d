"""What is kept of a sink over restarts: how far it has accepted each writer's log, and how it is."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import DecodeError, Meta, Struct, json

from strongroom.audit import WriterPosition
from strongroom.shipping._errors import PositionsUnreadableError

_MAX_BYTES: Final = 1024 * 1024
_Count = Annotated[int, Meta(ge=0, lt=1 << 62)]


class SinkRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """What the file of a sink says."""

    version: Literal[1] = 1
    positions: dict[str, WriterPosition] = {}
    """By writer. Everything before them was accepted."""
    accepted: _Count = 0
    """Entries so far, repeats included."""
    accepted_at: float | None = None
    """When the last of them were; seconds since the Unix epoch."""
    failing_since: float | None = None
    """None: the last attempt did not fail."""
    failure: str = ""
    stuck: dict[str, str] = {}
    """Writers whose log cannot be read on, and why."""


def record_path(audit: Path, sink: str) -> Path:
    """Return where the record of a sink lies, below the audit directory."""
    return audit / "shipping" / f"{sink}.json"


def read_record(path: Path) -> SinkRecord:
    """Read the record of a sink; an empty one where there is none. Raises PositionsUnreadableError and OSError."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return SinkRecord()
    try:
        if len(data) > _MAX_BYTES:
            raise ValueError(f"over {_MAX_BYTES} bytes")
        return json.decode(data, type=SinkRecord)
    except (DecodeError, ValueError, RecursionError) as error:
        raise PositionsUnreadableError(
            f"{path} is not what was written there: {error}",
            next_step="remove it while the service is stopped: the sink is then sent the whole log again",
        ) from error


def needed_segments(audit: Path, sinks: Iterable[str]) -> dict[str, int] | None:
    """Return, by writer, the first segment that one of these sinks has yet to read: what prunes the log leaves it and all behind it.

    A writer that is not in it is needed whole. None: no sink needs anything, for there is none. Raises PositionsUnreadableError and
    OSError; then nothing can be pruned.
    """
    needed: dict[str, int] | None = None
    for sink in sinks:
        positions = read_record(record_path(audit, sink)).positions
        # A position is fallen back from to ``sure``, where its writer took entries back.
        segments = {writer: position.sure.segment for writer, position in positions.items()}
        if needed is None:
            needed = segments
        else:
            needed = {
                writer: min(first, segments[writer]) for writer, first in needed.items() if writer in segments
            }
    return needed


def write_record(path: Path, record: SinkRecord) -> None:
    """Put a record in the place of the one before, whole or not at all, also when power is lost. Raises OSError.

    The folder is not forced to disk: after a power loss the record before may be there, and entries come twice.
    """
    path.parent.mkdir(mode=0o700, exist_ok=True)
    draft = path.with_suffix(".new")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(json.encode(record))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
