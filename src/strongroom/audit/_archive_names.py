"""Where archived segments lie, and which segments of a writer are where. Reading only.

    audit/wal/<writer>/NNNNNNNN.wal             hot: the newest ones, and the one that is written
    audit/archive/<writer>/NNNNNNNN.wal.xz      older ones, compressed; NNNNNNNN.torn beside them
    audit/pruned/NNNNNNNN.json                  what was removed for good (``_pruned``)

``audit/archive`` may be a symbolic link to another volume. A segment that moves is in both places for a moment, never in none.
"""

import re
from collections.abc import Callable
from pathlib import Path

from strongroom.audit._format import is_writer_name, segment_name, torn_name, torn_number

ARCHIVE = "archive"
_ARCHIVED_NAME = re.compile(r"(\d{8})\.wal\.xz", re.ASCII)


def archive_folder(folder: Path) -> Path:
    """Return the folder of archived segments of the writer whose hot ones are in ``folder``."""
    return folder.parent.parent / ARCHIVE / folder.name


def archived_name(number: int) -> str:
    """Return the file name of an archived segment."""
    return f"{segment_name(number)}.xz"


def archived_number(name: str) -> int | None:
    """Return the number in the file name of an archived segment, None for any other name."""
    match = _ARCHIVED_NAME.fullmatch(name)
    return int(match[1]) if match else None


def list_archived(folder: Path) -> list[int]:
    """Return the numbers of a writer's archived segments, in order; none where there is no archive."""
    return _numbers(archive_folder(folder), archived_number)


def list_archived_torn(folder: Path) -> list[int]:
    """Return the numbers of the archived segments of which something was cut off and kept, in order."""
    return _numbers(archive_folder(folder), torn_number)


def is_away(folder: Path) -> bool:
    """Whether the archive is a link, and has no folder of a writer: its volume may not be mounted, and the mount point be empty.

    A writer of which nothing was archived yet has none either.
    """
    archive = archive_folder(folder)
    return archive.parent.is_symlink() and not archive.is_dir()


def list_archives(directory: Path) -> list[str]:
    """Return the names of the writers that have archived segments. ``directory`` is that of the audit log."""
    try:
        found = sorted(path.name for path in (directory / ARCHIVE).iterdir() if path.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [name for name in found if is_writer_name(name)]


def torn_path(folder: Path, number: int) -> Path:
    """Return where what was cut off a segment is kept."""
    hot = folder / torn_name(number)
    archived = archive_folder(folder) / torn_name(number)
    return archived if not hot.exists() and archived.exists() else hot


def _numbers(folder: Path, number_of: Callable[[str], int | None]) -> list[int]:
    try:
        found = [number_of(path.name) for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(number for number in found if number is not None)
