"""``KeyRotations``: new versions of symmetric keys, on demand and by schedule.

A version, once made, is never changed: what it sealed opens for as long as the key lives, for a ciphertext names its
version. The new version and the key's pointer to it are stored in one transaction that looks again at what it builds
on, so of any number of processes one makes the version, and every process encrypts under it from then on (``KeyRecords``).
"""

from functools import partial
from typing import Final, NamedTuple

from strongroom.core import Clock, KeyOrigin, KeyState, StorageError, VersionMadeBy, random_bytes
from strongroom.keyring._ciphers import KekCiphers, is_under_domain_of
from strongroom.keyring._cryptoperiods import period_from, why_to_rotate
from strongroom.keyring._direct import DirectKeys, require_claimable
from strongroom.keyring._errors import ImportStateError, RotationLimitError, RotationUnsupportedError
from strongroom.keyring._key_state import at_time, key_info, read_key, require_active, require_verifying
from strongroom.keyring._values import KeyInfo
from strongroom.keyring._versions import NO_MATERIAL, all_versions, settled
from strongroom.storage import KeyRecord, KeyVersionRecord, Store, Transaction

MIN_ROTATION_DAYS: Final = 90
MAX_ROTATION_DAYS: Final = 2_560
DEFAULT_ROTATION_DAYS: Final = 365
MAX_ROTATIONS_ON_DEMAND: Final = 25
MAX_VERSIONS: Final = 10_000
"""As many versions as a key can have, so that whoever looks at all of them is not lost in them."""
_DAY_S: Final = 86_400.0
_TRIES: Final = 5
_OUR_MAKING: Final = frozenset({KeyOrigin.AWS_KMS, KeyOrigin.AWS_CLOUDHSM})
"""Origins of keys whose material the service makes, and so can make anew without anybody who brings it."""


class RotationStatus(NamedTuple):
    """Whether and when a key is rotated by itself."""

    key_id: str
    days: int
    """Days between two rotations; 0: it is not rotated by itself."""
    next_at: float | None
    """Seconds since the Unix epoch. In the past while the key is not active: it is rotated once it is so again."""


class KeyVersion(NamedTuple):
    """One version of a key, as its owner may see it."""

    version: int
    material_id: str
    created_at: float
    made_by: VersionMadeBy
    is_current: bool
    is_waiting: bool = False
    """Whether it is imported material that waits for a rotation on demand."""
    has_material: bool = True
    """Whether its material is there; what was imported may have expired or been deleted."""
    rotated_at: float | None = None
    """When it became the current one by a rotation; None for the first one, and while it waits."""
    expires_at: float | None = None
    description: str = ""


class VersionPage(NamedTuple):
    """Versions of a key, oldest first; ``next_after`` is the version to go on after, None at the end."""

    key_id: str
    versions: tuple[KeyVersion, ...]
    next_after: int | None


class Rotated(NamedTuple):
    """What a rotation made that nobody asked for at that moment."""

    key_id: str
    material_id: str
    version: int
    because: str = "schedule"
    """Or ``period`` or ``uses``: the cryptoperiod of the version before was over, or nearly so."""


class KeyRotations:
    """Rotates keys and tells about it. Each call is durable, and in force in every process, when it returns.

    All raise KeyNotFoundError and StorageError; those that change a key also KeyStateError unless it is active, and
    RotationUnsupportedError for what is not a symmetric key of our own making.
    """

    def __init__(self, store: Store, ciphers: KekCiphers, direct: DirectKeys, *, clock: Clock) -> None:
        self._direct = direct
        self._store = store
        self._ciphers = ciphers
        self._clock = clock

    async def enable(self, key_id: str, *, days: int) -> None:
        """Rotate a key every ``days`` (90 to 2,560), the first time that many days from now.

        Where it is rotated in this rhythm already its dates stay: whoever repeats the call does not put rotation off.
        """
        if not MIN_ROTATION_DAYS <= days <= MAX_ROTATION_DAYS:
            raise ValueError(f"{days} days is not within {MIN_ROTATION_DAYS} to {MAX_ROTATION_DAYS}")
        at = self._clock.now() + days * _DAY_S
        await self._store.write(partial(_schedule, key_id=key_id, days=days, at=at))

    async def disable(self, key_id: str) -> None:
        """Rotate a key no longer by itself; no effect on one that is not."""
        await self._store.write(partial(_schedule, key_id=key_id, days=0, at=None))

    def status(self, key_id: str) -> RotationStatus:
        """Tell how a key is rotated, which may be suspended meanwhile. Raises DestructionScheduledError."""
        record = read_key(self._store, key_id)
        _require_symmetric(record)
        if record.state is not KeyState.SUSPENDED or record.destroy_at is not None:
            require_active(record, record.material_id)
        return RotationStatus(key_id, record.rotation_days, record.rotate_at)

    def versions(self, key_id: str, *, limit: int, after: int | None, with_first: bool) -> VersionPage:
        """Return a page of a key's versions, in every state of the key.

        Neither the first one nor one that waits is a rotation: both come ``with_first`` only.
        """
        record = read_key(self._store, key_id)
        _require_symmetric(record)
        start = max(after or 0, 0 if with_first else 1)
        found = [
            version
            for version in self._store.list_key_versions(key_id, after=start, limit=limit + 1)
            if version.material_id != NO_MATERIAL
            and (with_first or version.version <= record.current_version)
        ]
        page = found[:limit]
        return VersionPage(
            key_id,
            tuple(_version(record, version) for version in page),
            page[-1].version if len(found) > limit else None,
        )

    async def rotate_on_demand(self, key_id: str, *, approval: str = "") -> KeyInfo:
        """Make a new version now; the dates of rotation by schedule stay. Raises RotationLimitError, HsmError.

        ``approval`` is for a key inside HSMs, as in ``KeyKind``. Of a key whose material is imported the version that waits becomes the current one; ImportStateError without.
        """
        for _ in range(_TRIES):
            found = read_key(self._store, key_id)
            if found.origin is KeyOrigin.EXTERNAL:
                work = partial(_rotate_to_waiting, key_id=key_id, now=self._clock.now())
                return key_info(await self._store.write(work))
            _require_rotatable(found)
            version = await self._next_version(found, VersionMadeBy.ON_DEMAND, approval)
            changed = await self._store.write(partial(_rotate_on_demand, version=version))
            if changed is not None:
                return key_info(changed)
        raise StorageError("other requests kept rotating this key before its new version could be stored")

    def list_due(self, *, limit: int) -> list[str]:
        """Return up to ``limit`` ids of active keys that are to be rotated, those with the oldest date of rotation first.

        Those of a custom key store that is not connected wait for it, and are not among them.
        """
        now = self._clock.now()
        found = self._store.list_keys_to_rotate(now, limit=limit)
        found += self._store.list_keys_whose_period_is_over(now, limit=limit)
        return list(dict.fromkeys(record.key_id for record in found))[:limit]

    async def rotate_due(self, key_id: str, n_uses: int = 0, *, approval: str = "") -> Rotated | None:
        """Rotate a key if its date has come or its cryptoperiod is over; None when it is not so, or no longer.

        With ``n_uses`` also when fewer uses are left. Nothing happens when it is not due.
        Raises HsmError, and KeyStoreStateError for a key inside HSMs whose store is not connected. The next date follows from this one, so what is late once is not late for ever; after a year
        of suspension a key is rotated once, not twelve times.
        """
        found = self._store.get_key(key_id)
        now = self._clock.now()
        because = "" if found is None else why_to_rotate(self._store, found, now, n_uses)
        if found is None or not because:
            return None
        if found.current_version >= MAX_VERSIONS:
            raise RotationLimitError(key_id, MAX_VERSIONS)
        version = await self._next_version(found, VersionMadeBy.AUTOMATIC, approval)
        changed = await self._store.write(partial(_rotate_due, version=version, now=now, n_uses=n_uses))
        if changed is None:
            return None
        return Rotated(key_id, changed.material_id, changed.current_version, because)

    async def _next_version(
        self, record: KeyRecord, made_by: VersionMadeBy, approval: str
    ) -> KeyVersionRecord:
        number, wrapped, hsm_key_id = record.current_version + 1, b"", b""
        if record.origin is KeyOrigin.AWS_CLOUDHSM:
            hsm_key_id, _ = await self._direct.make_version(
                record.store_id, record.key_id, number, record.spec, record.usage, approval=approval
            )
        else:
            wrapped = await self._ciphers.new_kek(record.domain_id, record.key_id, number)
        material_id, now = random_bytes(32).hex(), self._clock.now()
        return KeyVersionRecord(
            record.key_id, number, material_id, wrapped, now, hsm_key_id=hsm_key_id, made_by=made_by
        )


def _require_symmetric(record: KeyRecord) -> None:
    if not record.spec.is_symmetric:
        raise RotationUnsupportedError(record.key_id)


def _require_rotatable(record: KeyRecord) -> None:
    """Require an active symmetric key whose material we make."""
    _require_symmetric(record)
    if record.origin not in _OUR_MAKING:
        raise RotationUnsupportedError(record.key_id)
    require_active(record, record.material_id)


def _schedule(tx: Transaction, *, key_id: str, days: int, at: float | None) -> None:
    found = read_key(tx, key_id)
    _require_rotatable(found)
    if found.rotation_days != days:
        tx.change_key(found._replace(rotation_days=days, rotate_at=at))


def _rotate_on_demand(tx: Transaction, *, version: KeyVersionRecord) -> KeyRecord | None:
    """Store a version and make it the current one; None when it is not the next one any more."""
    found = read_key(tx, version.key_id)
    _require_rotatable(found)
    if found.current_version + 1 != version.version or _is_elsewhere(tx, found, version):
        return None
    if found.store_id:
        require_claimable(tx, found, version)
    if tx.count_key_versions(found.key_id, VersionMadeBy.ON_DEMAND) >= MAX_ROTATIONS_ON_DEMAND:
        raise RotationLimitError(found.key_id, MAX_ROTATIONS_ON_DEMAND)
    return _move_to(tx, found, version)


def _rotate_to_waiting(tx: Transaction, *, key_id: str, now: float) -> KeyRecord:
    """Make the imported version that waits the current one."""
    found = read_key(tx, key_id)
    _require_symmetric(found)
    of_now = at_time(found, now)
    require_verifying(of_now, of_now.material_id)  # a new version is how a deactivated key gets active again
    versions = all_versions(tx, key_id)
    waiting = versions[-1]
    has_expired = waiting.expires_at is not None and waiting.expires_at <= now
    if waiting.version <= found.current_version or has_expired:
        raise ImportStateError(key_id, "has no key material that is pending rotation")
    if sum(version.rotated_at is not None for version in versions) >= MAX_ROTATIONS_ON_DEMAND:
        raise RotationLimitError(key_id, MAX_ROTATIONS_ON_DEMAND)
    tx.change_key_version(waiting._replace(rotated_at=now))
    changed = found._replace(current_version=waiting.version, material_id=waiting.material_id)
    changed = period_from(changed, now)
    changed = settled(changed, all_versions(tx, key_id))
    tx.change_key(changed)
    return changed


def _rotate_due(tx: Transaction, *, version: KeyVersionRecord, now: float, n_uses: int) -> KeyRecord | None:
    """As ``_rotate_on_demand``, if the key is due still, with its next date."""
    found = tx.get_key(version.key_id)
    if found is None or found.current_version + 1 != version.version:
        return None
    because = why_to_rotate(tx, found, now, n_uses)
    if not because:
        return None
    if _is_elsewhere(tx, found, version):
        return None
    if found.store_id:
        require_claimable(tx, found, version)
    if because == "schedule":
        period_s = found.rotation_days * _DAY_S
        following = (found.rotate_at or now) + period_s
        found = found._replace(rotate_at=following if following > now else now + period_s)
    return _move_to(tx, found, version)


def _is_elsewhere(tx: Transaction, record: KeyRecord, version: KeyVersionRecord) -> bool:
    """Whether the key was moved to another domain since the version was sealed."""
    return bool(version.wrapped) and not is_under_domain_of(tx, record, version.wrapped)


def _move_to(tx: Transaction, record: KeyRecord, version: KeyVersionRecord) -> KeyRecord:
    changed = record._replace(current_version=version.version, material_id=version.material_id)
    changed = period_from(changed, version.created_at)
    tx.insert_key_version(version)
    tx.change_key(changed)
    return changed


def _version(record: KeyRecord, version: KeyVersionRecord) -> KeyVersion:
    is_imported = version.made_by is VersionMadeBy.IMPORT
    is_made_by_rotation = version.made_by in {VersionMadeBy.AUTOMATIC, VersionMadeBy.ON_DEMAND}
    return KeyVersion(
        version.version,
        version.material_id,
        version.created_at,
        version.made_by,
        version.version == record.current_version,
        version.version > record.current_version,
        version.retired_at is None and (bool(version.wrapped) or not is_imported),
        version.created_at if is_made_by_rotation else version.rotated_at,
        version.expires_at,
        version.description,
    )
