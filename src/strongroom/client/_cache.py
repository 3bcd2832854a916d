"""Data keys that serve more than one message, within limits."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from strongroom.client._data_keys import DataKey, DataKeySource
from strongroom.core import Clock, SystemClock

_Name = TypeVar("_Name", bound=Hashable)


@dataclass(slots=True)
class _Entry:
    key: DataKey
    born: float
    messages: int = 0
    n_bytes: int = 0


class _Shelf(Generic[_Name]):
    """Entries in the order of their birth, so that the oldest stand in front. Callers hold the lock."""

    def __init__(self, *, max_age_s: float, max_entries: int) -> None:
        self._max_age_s = max_age_s
        self._max_entries = max_entries
        self._entries: OrderedDict[_Name, _Entry] = OrderedDict()

    def find(self, name: _Name, now: float) -> _Entry | None:
        """Return what is kept under a name; drops everything that is too old."""
        while self._entries:
            oldest, entry = next(iter(self._entries.items()))
            if now - entry.born < self._max_age_s:
                break
            self.drop(oldest)
        return self._entries.get(name)

    def put(self, name: _Name, entry: _Entry) -> None:
        """Keep an entry in place of what had its name; the oldest goes when there are too many."""
        self.drop(name)
        while len(self._entries) >= self._max_entries:
            self.drop(next(iter(self._entries)))
        self._entries[name] = entry

    def drop(self, name: _Name) -> None:
        """Forget an entry and overwrite its key; whoever uses a copy of it is not disturbed."""
        entry = self._entries.pop(name, None)
        if entry is not None:
            entry.key.plaintext.zeroize()

    def clear(self) -> None:
        """Drop everything."""
        for name in list(self._entries):
            self.drop(name)


class DataKeyCache:
    """Keeps data keys in memory, so that not every message needs a call to the key service.

    A data key encrypts at most ``max_messages`` messages with at most ``max_bytes`` bytes in all, and no longer
    than ``max_age_s`` seconds after it came; a new one is made then. Messages whose size is not known beforehand,
    such as pipes, get data keys of their own. Opened data keys are kept for ``max_age_s`` too. At most
    ``max_entries`` keys of either kind are kept, one for each key and encryption context.

    What it costs: a key that was disabled, or an access right that was taken away, goes on working here until
    ``max_age_s`` has passed, and the audit log shows one call for many messages.

    Each message has a salt and so keys of its own, whether its data key is cached or not. The cache belongs to
    the first ``Envelope`` source that it is given to, and may be shared between threads.
    """

    def __init__(
        self,
        *,
        max_messages: int,
        max_bytes: int,
        max_age_s: float,
        max_entries: int = 1000,
        clock: Clock | None = None,
    ) -> None:
        """Set the limits. Raises ValueError unless all are above zero."""
        if min(max_messages, max_bytes, max_age_s, max_entries) <= 0:
            raise ValueError("every limit of a DataKeyCache is above zero")
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._source: DataKeySource | None = None  # guarded by the lock, and so is what follows
        self._encrypting: _Shelf[tuple[str, bytes]] = _Shelf(max_age_s=max_age_s, max_entries=max_entries)
        self._decrypting: _Shelf[tuple[bytes, bytes, str | None]] = _Shelf(
            max_age_s=max_age_s, max_entries=max_entries
        )

    def belong_to(self, source: DataKeySource) -> None:
        """Bind the cache to a source. Raises ValueError when it belongs to another: rights may differ there."""
        with self._lock:
            if self._source is not None and self._source is not source:
                raise ValueError("this DataKeyCache belongs to an Envelope with another source")
            self._source = source

    def for_encryption(
        self, key_id: str, context: bytes, n_bytes: int | None, generate: Callable[[], DataKey]
    ) -> DataKey:
        """Return a copy of a data key for one message of so many bytes; ``context`` is the encoded context."""
        if n_bytes is None or n_bytes > self._max_bytes:
            return generate()
        name = (key_id, context)
        with self._lock:
            entry = self._encrypting.find(name, self._clock.monotonic())
            if entry is not None and self._count(entry, n_bytes):
                return entry.key.copied()
        # Two threads may get here at once; then the later key is kept, and each key serves its message.
        born = self._clock.monotonic()
        made = generate()
        with self._lock:
            entry = _Entry(made, born)
            self._count(entry, n_bytes)
            self._encrypting.put(name, entry)
            return made.copied()

    def for_decryption(
        self, wrapped: bytes, context: bytes, key_id: str | None, unwrap: Callable[[], DataKey]
    ) -> DataKey:
        """Return a copy of an opened data key; ``key_id`` is the only key that may have wrapped it, if given."""
        name = (wrapped, context, key_id)
        with self._lock:
            entry = self._decrypting.find(name, self._clock.monotonic())
            if entry is not None:
                return entry.key.copied()
        born = self._clock.monotonic()
        opened = unwrap()
        with self._lock:
            self._decrypting.put(name, _Entry(opened, born))
            return opened.copied()

    def clear(self) -> None:
        """Forget all data keys now."""
        with self._lock:
            self._encrypting.clear()
            self._decrypting.clear()

    def _count(self, entry: _Entry, n_bytes: int) -> bool:
        """Count one message, if the limits allow it."""
        if entry.messages >= self._max_messages or entry.n_bytes + n_bytes > self._max_bytes:
            return False
        entry.messages += 1
        entry.n_bytes += n_bytes
        return True
