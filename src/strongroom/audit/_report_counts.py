"""What reports count with: how many, first and last, and tables that never grow beyond a limit."""

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

from msgspec import Struct

from strongroom.audit._entry import Entry

K = TypeVar("K", bound=Hashable)


class Tally(Struct):
    """How many entries, and when the earliest and the latest of them were."""

    entries: int = 0
    first_at: int = 0
    """Microseconds since the Unix epoch; 0 of none."""
    last_at: int = 0

    def add(self, at: int) -> None:
        """Count an entry."""
        if not self.entries or at < self.first_at:
            self.first_at = at
        if not self.entries or at > self.last_at:
            self.last_at = at
        self.entries += 1


class Tallies(Generic[K]):
    """Tallies by name, of the first ``most`` names that come; what comes under others is counted as left out."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._tallies: dict[K, Tally] = {}
        self.left_out = 0
        """Entries under names for which there was no room."""

    def add(self, name: K, at: int) -> None:
        """Count an entry under a name."""
        tally = self._tallies.get(name)
        if tally is None:
            if len(self._tallies) >= self._most:
                self.left_out += 1
                return
            tally = self._tallies[name] = Tally()
        tally.add(at)

    def items(self) -> Iterator[tuple[K, Tally]]:
        """Yield names and tallies, the most frequent first."""
        return iter(sorted(self._tallies.items(), key=lambda one: (-one[1].entries, str(one[0]))))


def who_of(entry: Entry) -> str:
    """Return who an entry is of: the principal, else the access key that was claimed; ``-`` of none."""
    return entry.principal or entry.access_key_id or "-"


def keys_of(entry: Entry) -> tuple[str, ...]:
    """Return the ids of the keys that an entry is about: the one, and the source of a ReEncrypt."""
    source = entry.detail.get("source_key", "") if entry.detail else ""
    if not source or source == entry.key_id:
        return (entry.key_id,) if entry.key_id else ()
    return (entry.key_id, source) if entry.key_id else (source,)
