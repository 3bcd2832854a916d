"""What is left of earlier backup sets: backups to destroy, when a set may be retired, and what its shares still open."""

from collections.abc import Collection
from typing import Final

import msgspec

from strongroom.core import StrongroomError
from strongroom.storage import (
    BackupRecord,
    BackupSetState,
    BackupState,
    HsmKeyRecord,
    HsmKeyState,
    Reader,
    RootRecord,
    RootState,
)
from strongroom.wiring.custodian_sets import HeldSet, held_set

MOST_BACKUPS: Final = 10_000
"""Of one set that are looked at."""
_IN_USE: Final = (RootState.CURRENT, RootState.OLD)


class SetNotRetirableError(StrongroomError):
    """The set cannot be retired yet: what it protects is not backed up under another one."""


class OldBackup(msgspec.Struct, frozen=True):
    """A backup that shares of an earlier set open, so far as nobody has said that every copy is destroyed."""

    backup_id: str
    created_at: float
    location: str
    sha256: str
    state: str
    roots_in_use: tuple[str, ...]
    """Roots in it that are still in use."""
    direct_keys_in_use: int
    """Direct keys in it that are still in use."""


class OldSet(msgspec.Struct, frozen=True):
    """A set that another one has taken the place of."""

    set_id: str
    state: str
    activated_at: float
    ended_at: float | None
    threshold: int
    count: int
    custodians: tuple[str, ...]
    """Ids of those who were given its shares."""
    backups: tuple[OldBackup, ...]
    """Those that are not known to be destroyed, the newest first."""
    n_destroyed: int
    hinders: str
    """Why it cannot be retired yet; empty where it can, or is."""
    words: tuple[str, ...]
    """What its shares still open, in sentences."""


def read_old_sets(store: Reader) -> list[OldSet]:
    """Tell of every set that was active and is not the one that takes new backups, the newest first.

    Raises StorageError and what ``read_set`` raises.
    """
    active = store.get_active_backup_set()
    earlier = [
        held_set(record)
        for record in store.list_backup_sets()
        if record.activated_at is not None and (active is None or record.set_id != active.set_id)
    ]
    signing = frozenset(found.document.signing_key.cka_id for found in earlier)
    return [_old_set(store, found, signing) for found in earlier]


def require_retirable(store: Reader, set_id: bytes) -> None:
    """Raise SetNotRetirableError, unless another set is active under which a backup was made since."""
    hinders = _hinders(store, set_id)
    if hinders:
        raise SetNotRetirableError(
            hinders, next_step="make a backup under the new set first: strongroom backup create"
        )


def _hinders(store: Reader, set_id: bytes) -> str:
    record, active = store.get_backup_set(set_id), store.get_active_backup_set()
    if record is None or record.state is not BackupSetState.ACTIVE:
        return "" if record is not None and record.state is BackupSetState.RETIRED else "it never was active"
    if active is None or active.set_id == set_id:
        return "no other set is active: nothing would be backed up any more"
    if not store.list_backups(set_id=active.set_id, state=BackupState.PRESENT, limit=1):
        return "no backup has been made under the new set"
    return ""


def _old_set(store: Reader, found: HeldSet, signing: Collection[str]) -> OldSet:
    """``signing``: CKA_IDs of keys that signed backups of earlier sets, and are for nothing else."""
    record = found.record
    all_backups = store.list_backups(set_id=record.set_id, limit=MOST_BACKUPS)
    left = [backup for backup in all_backups if backup.state is not BackupState.DESTROYED]
    roots = store.list_all_roots()
    keys = [key for key in store.list_hsm_keys(HsmKeyState.ACTIVE) if key.key_id.hex() not in signing]
    backups = tuple(_old_backup(backup, roots, keys) for backup in left)
    return OldSet(
        set_id=record.set_id.hex(),
        state=record.state.value,
        activated_at=record.activated_at or record.created_at,
        ended_at=record.ended_at,
        threshold=found.document.threshold,
        count=found.document.count,
        custodians=tuple(holder.id for holder in found.holders),
        backups=backups,
        n_destroyed=len(all_backups) - len(left),
        hinders=_hinders(store, record.set_id),
        words=tuple(still_opened(found.document.threshold, found.document.count, backups)),
    )


def _old_backup(backup: BackupRecord, roots: list[RootRecord], keys: list[HsmKeyRecord]) -> OldBackup:
    return OldBackup(
        backup.backup_id,
        backup.created_at,
        backup.location,
        backup.sha256,
        backup.state.value,
        tuple(
            root.root_id.hex()
            for root in roots
            if root.state in _IN_USE and root.created_at <= backup.created_at
        ),
        sum(key.may_leave and key.created_at <= backup.created_at for key in keys),
    )


def still_opened(threshold: int, count: int, backups: tuple[OldBackup, ...]) -> list[str]:
    """Say plainly what shares of an earlier set open together with a backup made under it. Pure."""
    if not backups:
        return [_NOTHING_LEFT]
    roots = sorted({root for backup in backups for root in backup.roots_in_use})
    n_direct = max(backup.direct_keys_in_use for backup in backups)
    said = [_ALL_OF_IT.format(threshold=threshold, count=count, backups=len(backups))]
    said.append(_ROOTS.format(roots=", ".join(root[:16] for root in roots)) if roots else _NO_ROOT)
    if n_direct:
        said.append(_DIRECT_KEYS.format(number=n_direct))
    return [*said, _AFTERWARDS]


_NOTHING_LEFT: Final = (
    "Every backup that was made under this set is said to be destroyed: its shares open nothing that we know of. A copy that somebody"
    " kept they open all the same, so have the shares destroyed too, in front of a witness."
)
_ALL_OF_IT: Final = (
    "Any {threshold} of the {count} old shares, with any copy of one of these backups ({backups}), open all that it holds: roots, Direct"
    " keys, and every key of its snapshot. The new set takes nothing of that away."
)
_ROOTS: Final = (
    "Roots that are still in use are among it ({roots}): with a later copy of the database they open the keys that were made since as well."
    " That ends when these roots are replaced and destroyed: strongroom root rotate, then strongroom root retire."
)
_NO_ROOT: Final = (
    "No root in them is in use any more: a copy of the database of today does not open with them."
)
_DIRECT_KEYS: Final = "Direct keys that are still in use are among it ({number}). Another root does not change those: rotate or replace them."
_AFTERWARDS: Final = (
    "What was encrypted under the keys of a snapshot stays readable to whoever has both, also after the root was rotated, until it is"
    " encrypted anew under later versions (strongroom rewrap). So destroy every copy of these backups, say so (strongroom custodians"
    " destroyed), and have the old shares destroyed in front of a witness."
)
