"""How old the backups of a home are, from the database and the home alone: it is told though no service runs."""

import msgspec

from strongroom.config import BackupsConfig, Home
from strongroom.core import HomeError
from strongroom.storage import BackupSetState, BackupState, Reader, ReadOnlyStore
from strongroom.wiring.backup_vendor import read_vendor_backups

DAY_S = 86_400.0


class BackupStatus(msgspec.Struct, frozen=True):
    """How backups stand. Times are seconds since the Unix epoch."""

    set_id: str = ""
    """The set in use; empty: there is none, and nothing is expected of bundles."""
    set_since: float | None = None
    newest_at: float | None = None
    """When the newest bundle of any set was made."""
    verified_at: float | None = None
    """When shares last opened a bundle of the set in use."""
    vendor_at: float | None = None
    """When the newest vendor's backup that was noted was made."""
    is_old: bool = False
    is_unverified: bool = False
    is_vendor_old: bool = False
    trouble: str = ""
    """Why something of it is not known."""

    @property
    def is_due(self) -> bool:
        """Whether a person has to do something."""
        return self.is_old or self.is_unverified or self.is_vendor_old or bool(self.trouble)


def read_backup_status(home: Home, limits: BackupsConfig, *, now: float) -> BackupStatus:
    """Read how things stand. Raises StorageError."""
    with ReadOnlyStore.open(home.database) as store:
        return backup_status_of(store, home, limits, now=now)


def backup_status_of(store: Reader, home: Home, limits: BackupsConfig, *, now: float) -> BackupStatus:
    """Read how things stand from a database that is open. Raises StorageError."""
    active = store.get_active_backup_set()
    newest = store.list_backups(state=BackupState.PRESENT, limit=1)
    newest_at = newest[0].created_at if newest else None
    since = verified_at = None
    if active is not None and active.state is BackupSetState.ACTIVE:
        since = active.activated_at or active.created_at
        of_set = store.list_backups(set_id=active.set_id, limit=10_000)
        verified_at = max((one.verified_at for one in of_set if one.verified_at is not None), default=None)
    try:
        trouble, noted = "", read_vendor_backups(home)
    except HomeError as error:
        trouble, noted = error.message, []
    vendor_at = max((one.at for one in noted), default=None)
    return BackupStatus(
        set_id="" if active is None else active.set_id.hex(),
        set_since=since,
        newest_at=newest_at,
        verified_at=verified_at,
        vendor_at=vendor_at,
        is_old=since is not None and _is_over(newest_at or since, limits.max_age_days, now),
        is_unverified=since is not None and _is_over(verified_at or since, limits.max_unverified_days, now),
        is_vendor_old=bool(limits.vendor_max_age_days)
        and (vendor_at is None or _is_over(vendor_at, limits.vendor_max_age_days, now)),
        trouble=trouble,
    )


def backup_warnings(status: BackupStatus, *, now: float) -> list[str]:
    """Say, in sentences, what a person has to look after."""
    said = []
    if status.is_old:
        age = (
            "none was made yet" if status.newest_at is None else f"it is {_days(now - status.newest_at)} old"
        )
        said.append(f"the newest backup is too old ({age}): strongroom backup create")
    if status.is_unverified:
        when = "never" if status.verified_at is None else f"{_days(now - status.verified_at)} ago"
        said.append(
            f"a backup of the set in use was last opened by its shares {when}: strongroom backup verify"
        )
    if status.is_vendor_old:
        age = "none is noted" if status.vendor_at is None else f"it is {_days(now - status.vendor_at)} old"
        said.append(f"the newest vendor's backup is too old ({age}): strongroom backup record-vendor")
    if status.trouble:
        said.append(status.trouble)
    return said


def _is_over(since: float, days: int, now: float) -> bool:
    return bool(days) and now - since > days * DAY_S


def _days(seconds: float) -> str:
    days = int(seconds // DAY_S)
    return "1 day" if days == 1 else f"{days} days"
