"""Key records in memory, trusted for as long as nobody changes the database."""

import asyncio
import contextlib
import uuid
from typing import NamedTuple

from strongroom.core import Clock
from strongroom.envelope import data_header
from strongroom.keyring._errors import AliasNotFoundError
from strongroom.keyring._key_state import NEVER, at_time, changes_at, read_key
from strongroom.keyring._values import KeyById, KeyRef
from strongroom.storage import KeyRecord, ReadOnlyStore


class HeldKey(NamedTuple):
    """A key's record, and its id as blobs have it."""

    record: KeyRecord
    id_bytes: bytes
    """16 bytes, kept because parsing the text again for every blob takes longer than the AES for it."""
    data_header: bytes
    """The authenticated bytes of what is encrypted under the current version."""


class KeyRecords:
    """Finds keys by id, by alias, and by the id in a blob. Belongs to one event loop.

    What was found is kept until the database's generation moves, or a date comes that changes a key's state: a key that any process suspended is refused by
    the next request of every process. Names that nobody has are not kept. Holds ``max_names`` at most.
    """

    def __init__(self, store: ReadOnlyStore, *, max_names: int, clock: Clock) -> None:
        self._clock = clock
        self._until = NEVER
        self._store = store
        self._max_names = max_names
        self._generation = store.generation()
        self._is_compared = False
        self._epoch = 0
        self._by_id: dict[str, HeldKey] = {}
        self._by_alias: dict[str, HeldKey] = {}
        self._by_blob: dict[bytes, HeldKey] = {}

    def __len__(self) -> int:
        return len(self._by_id) + len(self._by_alias) + len(self._by_blob)

    def generation(self) -> int:
        """Return the database's generation, as all that is handled in this turn of the event loop sees it."""
        self._forget_what_changed()
        return self._generation

    def epoch(self) -> int:
        """Return a number that is another one once anything that was found may not be so any more."""
        if not self._is_compared:
            self._forget_what_changed()
        return self._epoch

    def find(self, key: KeyRef) -> HeldKey:
        """Return the key of an id or alias, as it is now. Raises KeyNotFoundError, AliasNotFoundError."""
        self._forget_what_changed()
        if isinstance(key, KeyById):
            held = self._by_id.get(key.key_id)
            if held is None:
                held = self._by_id[key.key_id] = self._look_up(key.key_id)
        else:
            held = self._by_alias.get(key.alias_name)
            if held is None:
                held = self._by_alias[key.alias_name] = self._look_up_alias(key.alias_name)
        return held

    def pinned(self, key: KeyRef) -> KeyById:
        """Return the name of the key that this names now, for work that waits: an alias may name another key by then.

        Whoever was authorised was so about the key of now. Raises as ``find``.
        """
        return KeyById(self.find(key).record.key_id)

    def find_in_blob(self, id_bytes: bytes) -> HeldKey:
        """Return the key whose 16-byte id a blob names, as it is now. Raises KeyNotFoundError."""
        self._forget_what_changed()
        held = self._by_blob.get(id_bytes)
        if held is None:
            held = self._by_blob[id_bytes] = self._look_up(str(uuid.UUID(bytes=id_bytes)))
        return held

    def _forget_what_changed(self) -> None:
        """Compare the generation, once for all that one turn of the event loop handles.

        Whoever is handled in a turn has sent its request before that turn began, and so before a change that
        is answered in it or later; the look at the database (a lock and a system call) is shared by them.
        """
        if self._is_compared:
            return
        generation = self._store.generation()
        if generation != self._generation or self._clock.now() >= self._until:
            self._clear()
            self._generation = generation
        with contextlib.suppress(RuntimeError):  # without a running loop every look counts for itself
            asyncio.get_running_loop().call_soon(self._turn_ended)
            self._is_compared = True

    def _turn_ended(self) -> None:
        self._is_compared = False

    def _look_up(self, key_id: str) -> HeldKey:
        record = read_key(self._store, key_id)
        if len(self) >= self._max_names:
            self._clear()
        now = self._clock.now()
        self._until = min(self._until, changes_at(record, now))
        record = at_time(record, now)
        id_bytes = uuid.UUID(key_id).bytes
        return HeldKey(record, id_bytes, data_header(id_bytes, record.current_version))

    def _look_up_alias(self, alias_name: str) -> HeldKey:
        alias = self._store.get_alias(alias_name)
        if alias is None:
            raise AliasNotFoundError(alias_name)
        return self._look_up(alias.key_id)

    def _clear(self) -> None:
        self._until = NEVER
        self._epoch += 1
        self._by_id.clear()
        self._by_alias.clear()
        self._by_blob.clear()
