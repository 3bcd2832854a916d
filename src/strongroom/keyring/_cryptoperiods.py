"""``Cryptoperiods``: how long, and how often, one version of a key protects (NIST SP 800-57 Part 1 Rev. 5, section 5.3).

What is limited is the *originator-usage period*: encryption, data keys, signatures, MACs, key agreement. What was protected
in it is decrypted and verified afterwards, for as long as the key lives. When it is over a symmetric key of our own making
gets a new version; every other key protects nothing more, which is the state *deactivated*.

Uses are counted before they are made, and by the block: a process takes some of those that are left from the database, where they
count as used from then on, and makes them without asking anybody. A block is a tenth of what is left, and 10,000 at most. So of
all processes together none goes past the limit; what a process that crashed had taken is lost, and the limit is reached the sooner.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, NamedTuple

from strongroom.core import Clock, KeyState, StorageError
from strongroom.keyring._errors import (
    CryptoperiodOverError,
    CryptoperiodUnfitError,
    KeyUsedError,
)
from strongroom.keyring._key_state import (
    NEVER,
    at_time,
    read_changeable_key,
    read_key,
    require_active,
    require_material,
    require_uncompromised,
)
from strongroom.keyring._records import HeldKey, KeyRecords
from strongroom.keyring._shared_work import SharedWork
from strongroom.keyring._values import KeyById, KeyRef
from strongroom.storage import KeyRecord, KeyVersionRecord, Reader, Store, Transaction

MAX_PERIOD_DAYS: Final = 36_500
MAX_USES: Final = 2**53
MAX_ACTIVATION_DAYS: Final = 3_650
_DAY_S: Final = 86_400.0
_MOST_TAKEN: Final = 10_000
_MOST_LEASES: Final = 10_000
_TRIES: Final = 5


class Cryptoperiod(NamedTuple):
    """What limits the current version of a key, and how far that is."""

    key_id: str
    days: int
    """0: no limit in time."""
    ends_at: float | None
    max_uses: int
    """0: any number."""
    n_taken: int
    """Uses of the current version that processes took, made or not."""
    activate_at: float | None
    is_made_anew: bool
    """Whether a new version follows by itself; else the key protects nothing more."""


class UseLease:
    """Uses of one version that this process may still make. Belongs to one event loop."""

    __slots__ = ("_clock", "_ends_at", "is_idle", "left", "lock", "max_uses")

    def __init__(self, record: KeyRecord, clock: Clock) -> None:
        self._clock = clock
        self._ends_at = NEVER if record.period_ends_at is None else record.period_ends_at
        self.max_uses = record.max_uses
        self.left = 0
        self.is_idle = False
        self.lock = asyncio.Lock()

    def take(self, n_uses: int = 1) -> bool:
        """Whether so many more uses may be made now; then they count as made."""
        if self._clock.now() >= self._ends_at:
            return False
        if self.max_uses:
            if self.left < n_uses:
                return False
            self.left -= n_uses
            self.is_idle = False
        return True

    def is_of(self, record: KeyRecord) -> bool:
        """Whether the limits are still those that this was taken under."""
        ends_at = NEVER if record.period_ends_at is None else record.period_ends_at
        return (self.max_uses, self._ends_at) == (record.max_uses, ends_at)

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return self._clock.now() >= self._ends_at


Rotate = Callable[[str, int], Awaitable[object]]
"""Gives a key a new version if its period is over, or fewer than so many uses are left."""


class Cryptoperiods:
    """Lets keys protect as often and as long as they may. Belongs to the keyring's event loop.

    A key that has no limit costs two comparisons. ``rotate`` may be replaced, by whoever writes down that a key is rotated.
    """

    def __init__(self, store: Store, records: KeyRecords, rotate: Rotate, *, clock: Clock) -> None:
        self.rotate = rotate
        self._store = store
        self._records = records
        self._clock = clock
        self._leases: dict[tuple[str, int], UseLease] = {}
        self._rotating: SharedWork[str, object] = SharedWork(clock)

    def lease(self, record: KeyRecord) -> UseLease | None:
        """Return what limits the uses of a key's current version in this process; None for a key without limits."""
        if not record.is_limited:
            return None
        place = (record.key_id, record.current_version)
        lease = self._leases.get(place)
        if lease is None or not lease.is_of(record):  # what it had left counts as used
            if len(self._leases) >= _MOST_LEASES:
                del self._leases[next(iter(self._leases))]
            lease = self._leases[place] = UseLease(record, self._clock)
        return lease

    async def protecting(self, key: KeyRef, n_uses: int = 1) -> HeldKey:
        """Return an active key that may protect ``n_uses`` things now, which count as protected from here on.

        A new version is waited for where one is due. Raises KeyStateError, CryptoperiodOverError, KeyNotFoundError,
        AliasNotFoundError, HsmError and StorageError.
        """
        held = self._records.find(key)
        for _ in range(_TRIES):
            record = held.record
            require_active(record, record.material_id)
            lease = self.lease(record)
            if lease is None or lease.take(n_uses):
                return held
            if not lease.is_over and await self._take_more(record, lease, n_uses):
                found = self._records.find(KeyById(record.key_id))
                require_active(found.record, record.material_id)  # it may have been suspended meanwhile
                if found.record.current_version == record.current_version:
                    return found
            held = self._records.find(KeyById(record.key_id))
            if (
                held.record != record
            ):  # somebody changed it meanwhile, and so what is said next would not be true
                continue
            if not record.is_made_anew or 0 < record.max_uses < n_uses:
                raise CryptoperiodOverError(record.key_id, material_id=record.material_id)
            await self._rotating.result(record.key_id, partial(self._rotate, record.key_id, n_uses))
            held = self._records.find(KeyById(record.key_id))
        raise StorageError("others kept using up the new versions of this key")

    async def give_back(self, *, all_of_them: bool = False) -> None:
        """Return uses that nobody wanted since the last call, or all: other processes may make them. Raises StorageError."""
        for place, lease in list(self._leases.items()):
            if not (lease.is_idle or all_of_them):
                lease.is_idle = True
                continue
            if self._leases.get(place) is lease:  # others may have let go of it while we wrote
                del self._leases[place]
            n_left, lease.left = (
                lease.left,
                0,
            )  # before anybody else has them; if the write fails they are lost
            if n_left > 0:
                await self._store.note(partial(_give_back, place=place, n_uses=n_left))

    async def limit(self, key_id: str, *, days: int, max_uses: int) -> Cryptoperiod:
        """Limit the versions of a key to ``days`` (to 36,500) and to ``max_uses`` (to 2**53); 0 takes a limit away.

        The time is counted from the beginning of the current version; uses from what was noted of it. Raises
        CryptoperiodUnfitError when the time of a key that would protect nothing more were over by now, KeyStateError.
        """
        if not (0 <= days <= MAX_PERIOD_DAYS and 0 <= max_uses <= MAX_USES):
            raise ValueError("a cryptoperiod out of its bounds")
        work = partial(_limit, key_id=key_id, days=days, max_uses=max_uses, now=self._clock.now())
        return await self._store.write(work)

    async def activate_at(self, key_id: str, date: float | None) -> Cryptoperiod:
        """Let a key that was never used do nothing before a date, within ten years; None: it is active from now on.

        Raises KeyUsedError, CryptoperiodUnfitError, KeyStateError.
        """
        now = self._clock.now()
        if date is not None and not now < date <= now + MAX_ACTIVATION_DAYS * _DAY_S:
            raise CryptoperiodUnfitError(
                key_id, f"becomes active at a date within the next {MAX_ACTIVATION_DAYS} days"
            )
        return await self._store.write(partial(_activate_at, key_id=key_id, date=date, now=now))

    def get(self, key_id: str) -> Cryptoperiod:
        """Tell what limits a key. Raises KeyNotFoundError."""
        return _told(self._store, read_key(self._store, key_id))

    def list_ending(self, *, limit: int) -> list[str]:
        """Return up to ``limit`` ids of keys that will protect nothing more soon, of which nobody was warned."""
        found = self._store.list_keys_to_warn_of(self._clock.now(), limit=limit)
        return [record.key_id for record in found]

    async def warned(self, key_id: str) -> Cryptoperiod:
        """Note that people were warned, and return of what."""
        return await self._store.write(partial(_warned, key_id=key_id, now=self._clock.now()))

    async def _take_more(self, record: KeyRecord, lease: UseLease, n_uses: int) -> bool:
        """Take a block from the database and make ``n_uses`` of it; False when so many are not left."""
        async with lease.lock:  # one block for all who wait
            if lease.take(n_uses):
                return True
            work = partial(_take, record=record, n_uses=n_uses - lease.left, now=self._clock.now())
            lease.left += await self._store.note(work)  # nobody has counts in memory
            return lease.take(n_uses)

    async def _rotate(self, key_id: str, n_uses: int) -> object:
        return await self.rotate(key_id, n_uses)


def period_from(record: KeyRecord, begins_at: float) -> KeyRecord:
    """Return a key whose current version begins to protect at a date: its cryptoperiod begins with it."""
    ends_at = begins_at + record.period_days * _DAY_S if record.period_days else None
    return record._replace(period_ends_at=ends_at, warned_at=None)


def why_to_rotate(reader: Reader, record: KeyRecord, now: float, n_uses: int = 0) -> str:
    """Return why a key gets a new version by itself now: ``schedule``, ``period`` or ``uses``; empty when it does not.

    So that nobody has to wait for it that is done when nine tenths of the uses are taken, or fewer than ``n_uses`` are left.
    """
    if at_time(record, now).state is not KeyState.ACTIVE:
        return ""
    if record.rotate_at is not None and record.rotate_at <= now:
        return "schedule"
    if not record.is_made_anew:
        return ""
    if record.period_ends_at is not None and record.period_ends_at <= now:
        return "period"
    if record.max_uses:
        n_taken = reader.get_taken_uses(record.key_id, record.current_version)
        if n_taken * 10 >= record.max_uses * 9 or record.max_uses - n_taken < n_uses:
            return "uses"
    return ""


def _take(tx: Transaction, *, record: KeyRecord, n_uses: int, now: float) -> int:
    """Take ``n_uses`` of a version at least, and return how many were taken; 0 when fewer are left, or the key has changed."""
    found = tx.get_key(record.key_id)
    if found is None or found.current_version != record.current_version:
        return 0
    if at_time(found, now).state is not KeyState.ACTIVE or found.max_uses != record.max_uses:
        return 0
    n_taken = tx.get_taken_uses(record.key_id, record.current_version)
    n_left = found.max_uses - n_taken
    if n_left < n_uses:
        return 0
    block = max(n_uses, min(n_left // 10, _MOST_TAKEN))
    tx.set_taken_uses(record.key_id, record.current_version, n_taken + block)
    return block


def _give_back(tx: Transaction, *, place: tuple[str, int], n_uses: int) -> None:
    if tx.get_key(place[0]) is not None:
        tx.set_taken_uses(*place, max(tx.get_taken_uses(*place) - n_uses, 0))


def _limit(tx: Transaction, *, key_id: str, days: int, max_uses: int, now: float) -> Cryptoperiod:
    found = _limitable(tx, key_id, now)
    version = tx.get_key_version(key_id, found.current_version)
    begins_at = max(_birth_of(found, version), found.activate_at or 0.0)
    changed = period_from(found._replace(period_days=days, max_uses=max_uses), begins_at)
    if not found.is_made_anew and changed.period_ends_at is not None and changed.period_ends_at <= now:
        raise CryptoperiodUnfitError(key_id, f"has protected for longer than {days} days already")
    if max_uses:
        noted = {use.material_id: use.n_protected for use in tx.list_key_uses(key_id)}
        n_taken = max(tx.get_taken_uses(key_id, found.current_version), noted.get(found.material_id, 0))
        if not found.is_made_anew and n_taken >= max_uses:
            raise CryptoperiodUnfitError(key_id, f"has protected something {n_taken} times already")
        tx.set_taken_uses(key_id, found.current_version, n_taken)
    tx.change_key(changed)
    return _told(tx, changed)


def _activate_at(tx: Transaction, *, key_id: str, date: float | None, now: float) -> Cryptoperiod:
    found = _limitable(tx, key_id, now)
    is_waiting = found.activate_at is not None and found.activate_at > now
    if not is_waiting and tx.list_key_uses(key_id):
        raise KeyUsedError(key_id)
    begins_at = now if date is None else date
    changed = period_from(found._replace(activate_at=begins_at), begins_at)
    tx.change_key(changed)
    return _told(tx, changed)


def _warned(tx: Transaction, *, key_id: str, now: float) -> Cryptoperiod:
    found = read_key(tx, key_id)
    tx.change_key(found._replace(warned_at=now))
    return _told(tx, found)


def _limitable(tx: Transaction, key_id: str, now: float) -> KeyRecord:
    found = read_changeable_key(tx, key_id)
    of_now = at_time(found, now)
    require_uncompromised(of_now)
    require_material(of_now)
    return found


def _birth_of(record: KeyRecord, version: KeyVersionRecord | None) -> float:
    """Return when the current version became that."""
    if version is None:
        return record.created_at
    return version.created_at if version.rotated_at is None else version.rotated_at


def _told(reader: Reader, record: KeyRecord) -> Cryptoperiod:
    return Cryptoperiod(
        record.key_id,
        record.period_days,
        record.period_ends_at,
        record.max_uses,
        reader.get_taken_uses(record.key_id, record.current_version) if record.max_uses else 0,
        record.activate_at,
        record.is_made_anew,
    )
