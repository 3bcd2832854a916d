"""What was read from the database, remembered for as long as nobody changes it."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from strongroom.storage import ReadOnlyStore

KeyT = TypeVar("KeyT", bound=Hashable)
T = TypeVar("T")

_MOST = 10_000


class Remembered(Generic[KeyT, T]):
    """Values by key, all forgotten when the database's generation moves. Belongs to one event loop."""

    def __init__(self, store: ReadOnlyStore, *, most: int = _MOST) -> None:
        self._store = store
        self._most = most
        self._generation = store.generation()
        self._values: dict[KeyT, T] = {}

    def get(self, key: KeyT, look_up: Callable[[], T]) -> T:
        """Return the value as it is now; what ``look_up`` raises is not remembered."""
        generation = self._store.generation()
        if generation != self._generation or len(self._values) >= self._most:
            self._values.clear()
            self._generation = generation
        found = self._values.get(key)
        if found is None:
            found = self._values[key] = look_up()
        return found
