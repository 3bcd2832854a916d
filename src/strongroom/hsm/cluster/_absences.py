"""Which workers have said that they do not hold a key, so that the next call for it asks those that may.

A key that may not leave its member is on that one only, by design. Without this every call for it would try the others
first, and count as so many failures.
"""

from collections.abc import Collection
from typing import Final

from strongroom.core import Clock
from strongroom.hsm.cluster._worker import Place

_REMEMBERED_S: Final = 10.0
"""Then it is asked again: it may have got a copy."""
_MOST_KEYS: Final = 4096


class Absences:
    """What was not found where, for some seconds. Belongs to the event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[bytes, dict[Place, float]] = {}

    def note(self, key_id: bytes, place: Place) -> None:
        """Remember that a worker does not hold a key."""
        if key_id not in self._until and len(self._until) >= _MOST_KEYS:
            del self._until[next(iter(self._until))]  # the one that was noted first
        self._until.setdefault(key_id, {})[place] = self._clock.monotonic() + _REMEMBERED_S

    def of(self, key_id: bytes) -> Collection[Place]:
        """Return the workers that do not hold a key, as far as they said so lately."""
        found = self._until.get(key_id)
        if found is None:
            return ()
        now = self._clock.monotonic()
        current = {place for place, until in found.items() if until > now}
        if not current:
            del self._until[key_id]
        return current
