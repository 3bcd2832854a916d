"""Backup sets, their transport keys, and the backups made under them: reads and writes.

Nothing here is believed by whoever opens a backup: its manifest and the document of its set are verified by themselves.
"""

from typing import Final

from sqlalchemy import bindparam, delete, select, update

from strongroom.core import StorageError, TransportKind
from strongroom.storage._backup_records import (
    BackupRecord,
    BackupSetRecord,
    BackupSetState,
    BackupState,
    BackupTransportRecord,
    CustodianRecord,
)
from strongroom.storage._changes import Changes
from strongroom.storage._queries import AnyRow, Queries
from strongroom.storage._schema_backups import backup_sets, backup_transport_keys, backups, custodians

_SET: Final = select(backup_sets).where(backup_sets.c.set_id == bindparam("set_id"))
_SETS: Final = select(backup_sets).order_by(backup_sets.c.created_at.desc(), backup_sets.c.set_id)
_ACTIVE: Final = (
    select(backup_sets)
    .where(backup_sets.c.state == BackupSetState.ACTIVE.value)
    .order_by(backup_sets.c.activated_at.desc(), backup_sets.c.created_at.desc(), backup_sets.c.set_id)
    .limit(1)
)
_TRANSPORTS: Final = select(backup_transport_keys).order_by(
    backup_transport_keys.c.set_id, backup_transport_keys.c.member, backup_transport_keys.c.kind
)
_TRANSPORTS_OF: Final = _TRANSPORTS.where(backup_transport_keys.c.set_id == bindparam("set_id"))
_BACKUP: Final = select(backups).where(backups.c.backup_id == bindparam("backup_id"))
_BACKUPS: Final = (
    select(backups).order_by(backups.c.created_at.desc(), backups.c.backup_id).limit(bindparam("limit"))
)
_BACKUPS_WITH: Final = _BACKUPS.where(backups.c.sha256 == bindparam("sha256"))
_ACTIVATE: Final = (
    update(backup_sets)
    .where(
        backup_sets.c.set_id == bindparam("of_set"),
        backup_sets.c.state == BackupSetState.MAKING.value,
    )
    .values(
        state=BackupSetState.ACTIVE.value,
        document=bindparam("new_document"),
        activated_at=bindparam("new_activated_at"),
    )
)
_END: Final = (
    update(backup_sets)
    .where(backup_sets.c.set_id == bindparam("of_set"), backup_sets.c.state == bindparam("was"))
    .values(state=bindparam("new_state"), ended_at=bindparam("new_ended_at"))
)
_FORGET_TRANSPORTS: Final = delete(backup_transport_keys).where(
    backup_transport_keys.c.set_id == bindparam("of_set")
)
_VERIFIED: Final = (
    update(backups)
    .where(backups.c.backup_id == bindparam("of_backup"))
    .values(verified_at=bindparam("new_verified_at"))
)
_CONDEMN: Final = (
    update(backups)
    .where(backups.c.set_id == bindparam("of_set"), backups.c.state == BackupState.PRESENT.value)
    .values(state=BackupState.TO_DESTROY.value)
)
_DESTROYED: Final = (
    update(backups)
    .where(backups.c.backup_id == bindparam("of_backup"), backups.c.state != BackupState.DESTROYED.value)
    .values(state=BackupState.DESTROYED.value, ended_at=bindparam("new_ended_at"))
)


class BackupReads(Queries):
    """See ``Reader``, which has them."""

    def get_backup_set(self, set_id: bytes) -> BackupSetRecord | None:
        """Return a backup set by its id."""
        row = self._first(_SET, {"set_id": set_id})
        return None if row is None else _set(row)

    def get_active_backup_set(self) -> BackupSetRecord | None:
        """Return the set that takes new backups: of those that are active the one activated last."""
        row = self._first(_ACTIVE, {})
        return None if row is None else _set(row)

    def list_backup_sets(self) -> list[BackupSetRecord]:
        """Return every backup set there ever was, the newest first."""
        return [_set(row) for row in self._all(_SETS, {})]

    def list_backup_transport_keys(self, set_id: bytes | None = None) -> list[BackupTransportRecord]:
        """Return the transport keys of one set, or of all sets whose keys are not known to be gone."""
        if set_id is None:
            rows = self._all(_TRANSPORTS, {})
        else:
            rows = self._all(_TRANSPORTS_OF, {"set_id": set_id})
        return [BackupTransportRecord(*row)._replace(kind=TransportKind(row.kind)) for row in rows]

    def get_backup(self, backup_id: str) -> BackupRecord | None:
        """Return a backup by its id."""
        row = self._first(_BACKUP, {"backup_id": backup_id})
        return None if row is None else _backup(row)

    def find_backup(self, sha256: str) -> BackupRecord | None:
        """Return the backup whose file has this SHA-256 (64 lower-case hexadecimal digits)."""
        row = self._first(_BACKUPS_WITH, {"sha256": sha256, "limit": 1})
        return None if row is None else _backup(row)

    def list_backups(
        self, *, set_id: bytes | None = None, state: BackupState | None = None, limit: int
    ) -> list[BackupRecord]:
        """Return up to ``limit`` backups, of one set or of all, in one state or in any, the newest first."""
        statement, values = _BACKUPS, dict[str, object](limit=limit)
        if set_id is not None:
            statement = statement.where(backups.c.set_id == bindparam("set_id"))
            values["set_id"] = set_id
        if state is not None:
            statement = statement.where(backups.c.state == bindparam("state"))
            values["state"] = state.value
        return [_backup(row) for row in self._all(statement, values)]


class BackupWrites(BackupReads, Changes):
    """See ``Transaction``, which has them."""

    def insert_backup_set(self, record: BackupSetRecord) -> None:
        """Add a backup set, as one that is being made. Raises DuplicateError when it is there already."""
        self._add(backup_sets, record._replace(state=record.state.value))  # type: ignore[arg-type]  # text in SQL

    def insert_backup_transport_key(self, record: BackupTransportRecord) -> None:
        """Note a transport key before a member is asked to make it: what a crash leaves is then known by its id."""
        self._add(backup_transport_keys, record._replace(kind=record.kind.value))  # type: ignore[arg-type]

    def forget_backup_transport_keys(self, set_id: bytes) -> None:
        """Forget the transport keys of a set: they are destroyed on every member."""
        self._changed(_FORGET_TRANSPORTS, {"of_set": set_id})

    def activate_backup_set(
        self, set_id: bytes, document: bytes, *, at: float, holders: tuple[str, ...]
    ) -> None:
        """Make a set active, with its document and its custodians, who have all proved their shares by now.

        Raises StorageError when no such set is being made.
        """
        values = {"of_set": set_id, "new_document": document, "new_activated_at": at}
        if self._changed(_ACTIVATE, values) != 1:
            raise StorageError(f"no backup set {set_id.hex()} is being made")
        for custodian in holders:
            record = CustodianRecord(set_id, custodian, proved_at=at)
            self._add(custodians, record._replace(state=record.state.value))  # type: ignore[arg-type]

    def abandon_backup_set(self, set_id: bytes, *, at: float) -> bool:
        """Give up a set that was being made. False when it is not."""
        return self._ended(set_id, BackupSetState.MAKING, BackupSetState.ABANDONED, at)

    def retire_backup_set(self, set_id: bytes, *, at: float) -> bool:
        """Retire an active set, and have every backup made under it destroyed. False when it is not active."""
        if not self._ended(set_id, BackupSetState.ACTIVE, BackupSetState.RETIRED, at):
            return False
        self._changed(_CONDEMN, {"of_set": set_id})
        return True

    def insert_backup(self, record: BackupRecord) -> None:
        """Note a backup; its set must exist. Raises DuplicateError when it is noted already."""
        self._add(backups, record._replace(state=record.state.value))  # type: ignore[arg-type]

    def note_backup_verified(self, backup_id: str, *, at: float) -> bool:
        """Note that shares opened a backup. False when there is none of this id."""
        return self._changed(_VERIFIED, {"of_backup": backup_id, "new_verified_at": at}) == 1

    def note_backup_destroyed(self, backup_id: str, *, at: float) -> bool:
        """Note that somebody destroyed every copy of a backup. False when there is none, or it was noted before."""
        return self._changed(_DESTROYED, {"of_backup": backup_id, "new_ended_at": at}) == 1

    def _ended(self, set_id: bytes, was: BackupSetState, state: BackupSetState, at: float) -> bool:
        values = {"of_set": set_id, "was": was.value, "new_state": state.value, "new_ended_at": at}
        return self._changed(_END, values) == 1


def _set(row: AnyRow) -> BackupSetRecord:
    record = BackupSetRecord(*row)
    if not isinstance(record.document, bytes):
        raise StorageError("the document of a backup set in the database is not what was stored")
    return record._replace(state=BackupSetState(record.state))


def _backup(row: AnyRow) -> BackupRecord:
    record = BackupRecord(*row)
    return record._replace(state=BackupState(record.state))
