"""Reading a whole log while the service prunes it: what went meanwhile is not missing.

A record of a pruning has its name before the first file goes. So whoever misses something, and finds another record than there
was at the start, begins again.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from strongroom.audit._errors import AuditCorruptError
from strongroom.audit._retention_record import BEGUN, pruned_folder

T = TypeVar("T")

_MOST_TRIES: Final = 4


def read_beside_pruning(
    directory: Path, read: Callable[[], T], *, is_sound: Callable[[T], bool] = lambda _found: True
) -> T:
    """Return what ``read`` does; where that is not sound, or raises, and something was pruned meanwhile, read again.

    ``directory`` is that of the audit log. Raises as ``read`` does.
    """
    for _ in range(_MOST_TRIES - 1):
        before = _records(directory)
        try:
            found = read()
        except (AuditCorruptError, FileNotFoundError):
            if _records(directory) == before:
                raise
        else:
            if is_sound(found) or _records(directory) == before:
                return found
    return read()


def _records(directory: Path) -> frozenset[str]:
    try:
        names = [path.name for path in pruned_folder(directory).iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
    return frozenset(name for name in names if not name.endswith(BEGUN))
