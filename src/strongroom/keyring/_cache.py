"""Unwrapped KEKs for a short while: bounded, with a hard end of life, filled once for all who wait."""

import heapq
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from itertools import count
from typing import Final, Generic, Protocol, TypeVar

from msgspec import Struct

from strongroom.core import Clock, NoMemberError
from strongroom.envelope import Xaes256Gcm
from strongroom.keyring._outage import Outage
from strongroom.keyring._shared_work import SharedWork

KeyT = TypeVar("KeyT", bound=Hashable)
EntryT = TypeVar("EntryT", bound="Expiring")


_SECOND_CHANCES: Final = 16
"""Entries that are spared at most, when one has to go, since they were used without being moved."""


class Expiring(Protocol):
    """What the cache asks of its entries."""

    is_touched: bool
    """Whether it was used without being moved, since it was last looked at for eviction."""

    @property
    def fresh_until(self) -> float:
        """Until when it may serve, in monotonic seconds."""
        ...


class CachedCipher(Struct, eq=False, weakref=True):
    """A key ready for use, and until when it may serve. Only the cache may hold on to it; others look weakly at it."""

    cipher: Xaes256Gcm
    fresh_until: float
    """Monotonic seconds. A key that was unwrapped by another cached key ends with that one, never later."""
    is_touched: bool = False


class CipherCache(Generic[KeyT, EntryT]):
    """Least-recently-used cache of ciphers, or of keys put to work, with a lifetime; belongs to one event loop.

    An entry serves until ``fresh_until``. While no HSM answers it serves for ``outage_grace_s`` more, which is 0
    unless configured: whoever comes first waits until that is certain (NoMemberError at the refill), who comes
    while it is known (``outage``) is served at once. ``sweep`` drops what has ended even when nobody asks for it.
    A dropped cipher's key schedule is overwritten by the cryptography library when its last user is done; the
    16-byte subkeys that Python holds are freed but not overwritten.
    """

    def __init__(self, *, clock: Clock, max_entries: int, outage_grace_s: float, outage: Outage) -> None:
        self.hits = 0
        self.misses = 0
        self._clock = clock
        self._max_entries = max_entries
        self._grace_s = outage_grace_s
        self._outage = outage
        self._entries: OrderedDict[KeyT, EntryT] = OrderedDict()
        # A heap; also of entries that are gone, until they would end:
        self._ends: list[tuple[float, int, KeyT]] = []
        self._numbers = count()  # keys need not be comparable
        self._fills: SharedWork[KeyT, EntryT] = SharedWork(clock)

    def __len__(self) -> int:
        return len(self._entries)

    def fresh(self, key: KeyT) -> EntryT | None:
        """Return the entry if it may serve now, without any HSM call. Counted as a hit or a miss."""
        entry = self._serving(key)
        if entry is None:
            self.misses += 1
        else:
            self.hits += 1
        return entry

    def ready(self, key: KeyT) -> EntryT | None:
        """As ``fresh``, but an entry that is not there is not counted: ``fresh`` is asked next."""
        entry = self._serving(key)
        if entry is not None:
            self.hits += 1
        return entry

    def now(self) -> float:
        """Return the monotonic time that entries' lives are measured by.

        For who looks weakly at entries: one that is still there serves until its end without a search. Who uses it sets
        ``is_touched``, in the place of being moved, and counts the hit.
        """
        return self._clock.monotonic()

    async def filled(self, key: KeyT, fill: Callable[[], Coroutine[object, object, EntryT]]) -> EntryT:
        """Return a fresh entry, else the result of ``fill``; callers that come meanwhile share one fill.

        In an outage an entry within its grace is returned at once, and a fill that nobody waits for finds out
        whether the outage has ended. A caller that is cancelled does not cancel the fill for the others. Raises what
        ``fill`` raises. Not counted: whoever wants that has asked ``fresh`` first.
        """
        entry = self._serving(key)
        if entry is not None:
            return entry
        old = self._within_grace(key)
        if old is not None and self._outage.is_on:
            if not self._outage.is_probed:
                self._fills.begin(key, lambda: self._fill(key, fill))
            return old
        return await self._fills.result(key, lambda: self._fill(key, fill))

    def sweep(self) -> None:
        """Drop every entry whose life, grace included, has ended. Looks at these only, not at all there are."""
        ended = self._clock.monotonic() - self._grace_s
        while self._ends and self._ends[0][0] <= ended:
            _, _, key = heapq.heappop(self._ends)
            entry = self._entries.get(key)
            if entry is not None and entry.fresh_until <= ended:  # else it was filled again since
                del self._entries[key]

    def clear(self) -> None:
        """Drop everything."""
        self._entries.clear()
        self._ends.clear()

    def _serving(self, key: KeyT) -> EntryT | None:
        entry = self._entries.get(key)
        if entry is None or self._clock.monotonic() >= entry.fresh_until:
            return None
        self._entries.move_to_end(key)
        return entry

    def _within_grace(self, key: KeyT) -> EntryT | None:
        entry = self._entries.get(key)
        if entry is None or self._clock.monotonic() >= entry.fresh_until + self._grace_s:
            return None
        self._entries.move_to_end(key)
        return entry

    async def _fill(self, key: KeyT, fill: Callable[[], Coroutine[object, object, EntryT]]) -> EntryT:
        try:
            entry = await fill()
        except NoMemberError:
            old = self._within_grace(key)
            if old is None:
                raise
            return old
        if self._clock.monotonic() < entry.fresh_until:
            self._entries[key] = entry
            self._entries.move_to_end(key)
            self._make_room()
            self._note_end(key, entry)
        return entry

    def _make_room(self) -> None:
        chances = _SECOND_CHANCES
        while len(self._entries) > self._max_entries:
            key, entry = next(iter(self._entries.items()))
            if entry.is_touched and chances:
                chances -= 1
                entry.is_touched = False
                self._entries.move_to_end(key)
            else:
                del self._entries[key]

    def _note_end(self, key: KeyT, entry: EntryT) -> None:
        heapq.heappush(self._ends, (entry.fresh_until, next(self._numbers), key))
        if len(self._ends) > 2 * self._max_entries + 1_000:  # most are of entries that had to make room
            self._ends = [
                (held.fresh_until, next(self._numbers), name) for name, held in self._entries.items()
            ]
            heapq.heapify(self._ends)
