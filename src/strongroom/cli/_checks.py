"""What a check of ``doctor`` finds, and how a check that itself fails is reported."""

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

from strongroom.core import StrongroomError

Level = Literal["ok", "note", "warn", "fail"]


class Finding(NamedTuple):
    """One line of the doctor."""

    name: str
    level: Level
    """``note``: nothing is wrong, but know it. ``fail``: the service will not work, or a secret is exposed."""
    message: str
    next_step: str | None = None


def findings_of(name: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Run one check. An error that it raises is its finding; a file that cannot be read is one too."""
    try:
        yield from check()
    except StrongroomError as error:
        yield Finding(name, "fail", error.message, error.next_step)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        yield Finding(name, "fail", f"cannot look at{where}: {error.strerror or error}", "run as its owner")
