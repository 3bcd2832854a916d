"""``VersionRetirement``: the end of single versions of a key that lives on, and the evidence that nobody needs them.

A version is *in recent use* when it was used, or was the current one, or nobody noted uses yet, within a window of days. Whoever
destroys its material then may destroy what somebody needs, so that takes an approval; unless an inventory *closes* the version:
somebody looked at the ciphertexts of a store after the last one could be made under it, found that none is left, and nobody
used it since.
"""

import uuid
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Final, NamedTuple

import msgspec

from strongroom.core import Clock, Inventory, KeyOrigin, random_bytes
from strongroom.keyring._key_state import read_changeable_key, read_key
from strongroom.keyring._last_uses import KeyVersionUses
from strongroom.keyring._version_errors import (
    InventoryLimitError,
    InventoryUnfitError,
    VersionNotFoundError,
    VersionStateError,
)
from strongroom.keyring._versions import NO_MATERIAL, all_versions, settled
from strongroom.storage import (
    DuplicateError,
    InventoryRecord,
    KeyRecord,
    KeyUseRecord,
    KeyVersionRecord,
    Reader,
    Store,
    Transaction,
)

MAX_INVENTORIES: Final = 1_000
"""Of one key."""
_LOOKED_AT: Final = 100
"""The last ones are those that count."""
USES_KNOWN_AFTER_S: Final = 120.0
"""After so long every process has written which versions it used."""
_CLOCKS_APART_S: Final = 300.0
_AHEAD: Final = "is of a time that has not come: see the clock of who made it"


class Standing(NamedTuple):
    """Whether a version that is not the current one any more may go."""

    version: int
    material_id: str
    used_at: float
    """When it was last in use, as far as is known: used, or the current one, or not watched."""
    closed_by: str = ""
    """Digest of the inventory that closes it; empty when none does."""
    retired_at: float | None = None

    def is_in_use(self, now: float, window_s: float) -> bool:
        """Whether it was in use within the window, and no inventory closes it."""
        return not self.closed_by and now - self.used_at < window_s


class Retired(NamedTuple):
    """A version whose material is gone."""

    key_id: str
    material_id: str
    version: int
    closed_by: str
    """Digest of the inventory that closed it; empty where it was not needed."""


class VersionRetirement:
    """Retires versions, and keeps inventories. Each call is durable, and in force in every process, when it returns."""

    def __init__(self, store: Store, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def standings(self, key_id: str) -> dict[int, Standing]:
        """Tell how the former versions of a key stand, by number. Raises KeyNotFoundError."""
        return _standings(self._store, read_key(self._store, key_id), self._clock.now())

    def with_standings(self, uses: KeyVersionUses, window_s: float) -> KeyVersionUses:
        """Add to what is told about the uses of a key's versions how the former ones stand. Raises KeyNotFoundError."""
        now = self._clock.now()
        standings = self.standings(uses.key_id)
        versions = []
        for version in uses.versions:
            standing = standings.get(version.version)
            if standing is not None:
                is_in_use = standing.retired_at is None and standing.is_in_use(now, window_s)
                version = version._replace(  # noqa: PLW2901  # the same version, of which more is known
                    is_in_use=is_in_use, retired_at=standing.retired_at, closed_by=standing.closed_by
                )
            versions.append(version)
        return uses._replace(versions=tuple(versions))

    def is_key_in_use(self, key_id: str, window_s: float) -> bool:
        """Whether any version of a key was used within the window, or uses were not noted yet. Raises KeyNotFoundError."""
        record = read_key(self._store, key_id)
        since = self._store.get_use_tracking_start()
        dates = [use.used_at for use in self._store.list_key_uses(key_id)]
        last = max([*dates, since if since > record.created_at else 0.0])
        return self._clock.now() - last < window_s

    def require_retirable(
        self, key_id: str, version: int, *, window_s: float, allow: Callable[[Standing], None]
    ) -> None:
        """Return if ``retire`` would do it, as far as can be told without a transaction. Raises as that."""
        _require_former(self._store, key_id, version, self._clock.now(), window_s=window_s, allow=allow)

    async def retire(
        self, key_id: str, version: int, *, window_s: float, allow: Callable[[Standing], None]
    ) -> Retired:
        """Destroy the material of a former version for good; the key lives on.

        ``allow`` is asked, and may raise, when the version is in use, in the transaction. Its ciphertexts are
        refused from then on with VersionRetiredError. Raises VersionNotFoundError, VersionStateError for one that is not a former one.
        """
        now = self._clock.now()
        work = partial(_retire, key_id=key_id, version=version, now=now, window_s=window_s, allow=allow)
        return await self._store.write(work)

    async def keep(self, key_id: str, inventory: Inventory, *, received_from: str) -> InventoryRecord:
        """Keep an inventory about a key; the same one again changes nothing. Raises InventoryUnfitError, InventoryLimitError."""
        now = self._clock.now()
        if inventory.key_id != key_id:
            raise InventoryUnfitError(key_id, "is about another key")
        if inventory.finished_at > now + _CLOCKS_APART_S:
            raise InventoryUnfitError(key_id, _AHEAD)
        record = InventoryRecord(
            str(uuid.UUID(bytes=random_bytes(16), version=4)),
            key_id,
            inventory.digest,
            inventory.canonical(),
            now,
            received_from[:256],
        )
        return await self._store.write(partial(_keep, record=record))


def _standings(reader: Reader, record: KeyRecord, now: float) -> dict[int, Standing]:
    versions = [
        version for version in all_versions(reader, record.key_id) if version.material_id != NO_MATERIAL
    ]
    uses = {use.material_id: use for use in reader.list_key_uses(record.key_id)}
    inventories = [
        (stored, msgspec.json.decode(stored.record, type=Inventory))
        for stored in reader.list_inventories(record.key_id, limit=_LOOKED_AT)
    ]
    since = reader.get_use_tracking_start()
    standings = {}
    for version, following in pairwise(versions):
        if version.version >= record.current_version:
            break
        superseded_at = following.created_at if following.rotated_at is None else following.rotated_at
        use = uses.get(version.material_id)
        used_at = max(superseded_at, since, 0.0 if use is None else use.used_at)
        closing = (
            stored.digest
            for stored, inventory in inventories
            if _closes(inventory, stored, version, superseded_at=superseded_at, use=use, now=now)
        )
        standings[version.version] = Standing(
            version.version, version.material_id, used_at, next(closing, ""), version.retired_at
        )
    return standings


def _closes(
    inventory: Inventory,
    stored: InventoryRecord,
    version: KeyVersionRecord,
    *,
    superseded_at: float,
    use: KeyUseRecord | None,
    now: float,
) -> bool:
    """Whether an inventory shows that nothing is left of a version, and nobody used it since.

    What was made under it after the look began may stand where had been looked already: a version is dated before it is
    durable, so for a moment the one before it is still in use.
    """
    if not inventory.complete or inventory.unreadable or inventory.left_of(version.version):
        return False
    if inventory.began_at < superseded_at or now - stored.received_at < USES_KNOWN_AFTER_S:
        return False
    if use is None:
        return True
    return (use.protected_at or 0.0) < inventory.began_at and use.used_at <= inventory.finished_at


def _require_former(
    reader: Reader,
    key_id: str,
    version: int,
    now: float,
    *,
    window_s: float,
    allow: Callable[[Standing], None],
) -> tuple[KeyRecord, KeyVersionRecord, Standing]:
    record = read_changeable_key(reader, key_id)
    found = reader.get_key_version(key_id, version)
    if found is None:
        raise VersionNotFoundError(key_id, version)
    if found.retired_at is not None:
        raise VersionStateError(key_id, version, "was retired already")
    standing = _standings(reader, record, now).get(version)
    if standing is None:
        raise VersionStateError(key_id, version, "is the current one, or waits to be: rotate the key first")
    if standing.is_in_use(now, window_s):
        allow(standing)
    return record, found, standing


def _retire(
    tx: Transaction,
    *,
    key_id: str,
    version: int,
    now: float,
    window_s: float,
    allow: Callable[[Standing], None],
) -> Retired:
    record, found, standing = _require_former(tx, key_id, version, now, window_s=window_s, allow=allow)
    # A Direct key that no version has is destroyed by main, which looks for such keys.
    tx.change_key_version(found._replace(wrapped=b"", hsm_key_id=b"", expires_at=None, retired_at=now))
    if record.origin is KeyOrigin.EXTERNAL:
        tx.change_key(settled(record, all_versions(tx, key_id)))
    return Retired(key_id, found.material_id, version, standing.closed_by)


def _keep(tx: Transaction, *, record: InventoryRecord) -> InventoryRecord:
    read_key(tx, record.key_id)
    if tx.count_inventories(record.key_id) >= MAX_INVENTORIES:
        raise InventoryLimitError(record.key_id, MAX_INVENTORIES)
    try:
        tx.insert_inventory(record)
    except DuplicateError:
        known = tx.list_inventories(record.key_id, limit=MAX_INVENTORIES)
        return next(one for one in known if one.digest == record.digest)
    return record
