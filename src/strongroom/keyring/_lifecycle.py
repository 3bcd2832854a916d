"""``KeyLifecycle``: states of a key, its description, and its end.

Destruction has three steps, each by another call and often another process: it is *scheduled* (the key is suspended
and gets a date), it may be *cancelled* until that date, and after it the key is *destroyed*: wrapped material and
aliases are deleted in one transaction, the record stays. There is no way back from that.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, NamedTuple

from strongroom.core import Clock, KeyOrigin, KeyState
from strongroom.keyring._errors import DestructionNotScheduledError
from strongroom.keyring._key_state import (
    at_time,
    key_info,
    read_changeable_key,
    read_key,
    require_material,
    require_uncompromised,
)
from strongroom.keyring._values import KeyInfo
from strongroom.keyring._versions import all_versions, lacks_material, settled
from strongroom.storage import KeyRecord, Store, Transaction

MIN_DAYS_TO_DESTRUCTION: Final = 7
MAX_DAYS_TO_DESTRUCTION: Final = 30
_DAY_S: Final = 86_400.0


class Destroyed(NamedTuple):
    """What went with a key."""

    key_id: str
    n_versions: int
    n_aliases: int
    left_on: tuple[str, ...] = ()
    """Members that may still hold a Direct key of it: it is destroyed there before they serve again."""


class KeyLifecycle:
    """Changes what may change of a key. Each call is durable, and in force in every process, when it returns.

    What a call requires of a key is checked in the transaction that changes it, so of two calls at the same time
    the second sees what the first did. All raise KeyNotFoundError and StorageError.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        destroy_direct: Callable[[str, str], Awaitable[Destroyed | None]] | None = None,
    ) -> None:
        """``destroy_direct`` ends a key that is inside HSMs, under an approval; without it such keys stay as they are."""
        self._store = store
        self._clock = clock
        self._destroy_direct = destroy_direct

    async def set_state(self, key_id: str, state: KeyState) -> None:
        """Make a key active or suspended. Raises DestructionScheduledError, PendingImportError, ValueError for another state."""
        if state not in {KeyState.ACTIVE, KeyState.SUSPENDED}:
            raise ValueError(f"a key is not made {state} like this; keys are destroyed by destroy_due")
        now = self._clock.now()
        if at_time(read_changeable_key(self._store, key_id), now).state is not state:
            await self._store.write(partial(_set_state, key_id=key_id, state=state, now=now))

    async def mark_compromised(self, key_id: str) -> KeyInfo:
        """Say that others may know the material of a key, in whatever state it is. There is no way back from that.

        From now on it protects nothing in any process; symmetric keys still open what they protect already. It is not
        rotated any more. A date of destruction stays, and may be set.
        """
        return key_info(await self._store.write(partial(_mark_compromised, key_id=key_id)))

    async def set_description(self, key_id: str, description: str) -> None:
        """Describe a key anew, in up to 8,192 characters. Raises DestructionScheduledError."""
        await self._store.write(partial(_change, key_id=key_id, description=description))

    async def schedule_destruction(self, key_id: str, *, days: int) -> KeyInfo:
        """Suspend a key and set the date of its destruction, 7 to 30 days from now. Raises DestructionScheduledError."""
        if not MIN_DAYS_TO_DESTRUCTION <= days <= MAX_DAYS_TO_DESTRUCTION:
            raise ValueError(
                f"{days} days is not within {MIN_DAYS_TO_DESTRUCTION} to {MAX_DAYS_TO_DESTRUCTION}"
            )
        date = self._clock.now() + days * _DAY_S
        return key_info(
            await self._store.write(
                partial(_change, key_id=key_id, state=KeyState.SUSPENDED, destroy_at=date)
            )
        )

    async def cancel_destruction(self, key_id: str) -> None:
        """Take the date away; the key stays suspended. Raises DestructionNotScheduledError."""
        await self._store.write(partial(_cancel, key_id=key_id))

    def list_due(self, *, limit: int) -> list[str]:
        """Return up to ``limit`` ids of keys whose date of destruction has come, the oldest date first."""
        return [record.key_id for record in self._store.list_keys_due(self._clock.now(), limit=limit)]

    def direct_keys_of(self, key_id: str, version: int | None = None) -> list[str]:
        """Return the ids, in hex and sorted, of the Direct keys that a key (or one version) is; none for an Envelope key."""
        found = self._store.get_key(key_id)
        if found is None or found.origin is not KeyOrigin.AWS_CLOUDHSM:
            return []
        versions = all_versions(self._store, key_id)
        chosen = (one for one in versions if one.hsm_key_id and version in {None, one.version})
        return sorted(one.hsm_key_id.hex() for one in chosen)

    async def destroy_due(self, key_id: str, *, approval: str = "") -> Destroyed | None:
        """Destroy a key if its date has come; None when it is not so, or no longer: nothing happens then.

        ``approval``: the id of the request by which officers approved it, for a key inside HSMs.
        A suspended key's KEK is in no memory any more: nobody could fetch it since it was scheduled, a week ago
        or more, and caches keep KEKs for a day at most.
        """
        found = self._store.get_key(key_id)
        if found is not None and found.origin is KeyOrigin.AWS_CLOUDHSM and self._destroy_direct is not None:
            return await self._destroy_direct(key_id, approval)
        return await self._store.write(partial(_destroy, key_id=key_id, now=self._clock.now()))


def _change(
    tx: Transaction,
    *,
    key_id: str,
    state: KeyState | None = None,
    description: str | None = None,
    destroy_at: float | None = None,
) -> KeyRecord:
    found = read_changeable_key(tx, key_id)
    if found.state is KeyState.COMPROMISED:  # which a date of destruction does not hide
        state = None
    changed = found._replace(
        state=state or found.state,
        description=found.description if description is None else description,
        destroy_at=destroy_at,
    )
    tx.change_key(changed)
    return changed


def _mark_compromised(tx: Transaction, *, key_id: str) -> KeyRecord:
    found = read_key(tx, key_id)
    marked = found._replace(state=KeyState.COMPROMISED, rotation_days=0, rotate_at=None)
    changed = settled(marked, all_versions(tx, key_id))  # its imported material may have gone before
    tx.change_key(changed)
    return changed


def _set_state(tx: Transaction, *, key_id: str, state: KeyState, now: float) -> None:
    found = at_time(read_changeable_key(tx, key_id), now)
    require_uncompromised(found)
    require_material(found)
    _change(tx, key_id=key_id, state=state)


def _cancel(tx: Transaction, *, key_id: str) -> None:
    found = read_key(tx, key_id)
    if found.destroy_at is None:
        raise DestructionNotScheduledError(key_id)
    is_waiting = found.state is KeyState.SUSPENDED and lacks_material(found, all_versions(tx, key_id))
    tx.change_key(
        found._replace(destroy_at=None, state=KeyState.PENDING_IMPORT if is_waiting else found.state)
    )


def _destroy(tx: Transaction, *, key_id: str, now: float) -> Destroyed | None:
    found = tx.get_key(key_id)
    if found is None or found.state not in {KeyState.SUSPENDED, KeyState.COMPROMISED}:
        return None
    if found.origin is KeyOrigin.AWS_CLOUDHSM:  # main ends it, with the Direct keys that it is
        return None
    if found.destroy_at is None or found.destroy_at > now:
        return None
    tx.change_key(found._replace(state=KeyState.DESTROYED))
    tx.uncount_key_in_domain(found.domain_id)
    tx.delete_access_to(key_id)
    return Destroyed(key_id, tx.delete_material(key_id), tx.delete_aliases_of(key_id))
