"""Backup sets as those who look after custodians need them: who holds which share where, and by which key they prove it."""

from typing import NamedTuple

from strongroom.backup import BackupSet, read_set
from strongroom.core import StorageError
from strongroom.storage import BackupSetRecord, Reader
from strongroom.wiring.custodian_documents import Duty
from strongroom.wiring.custodian_duty import duty_of


class Holder(NamedTuple):
    """A custodian, as the set document names them."""

    id: str
    name: str
    location: str
    share: int
    """Its number, from 1 on."""
    delivery: str
    possession_key: bytes
    """32 bytes."""


class HeldSet(NamedTuple):
    """A backup set that is or was active."""

    record: BackupSetRecord
    document: BackupSet
    holders: tuple[Holder, ...]
    """In the order of their shares."""

    def holder(self, custodian: str) -> Holder | None:
        """Return a custodian by their id."""
        return next((one for one in self.holders if one.id == custodian), None)


def held_set(record: BackupSetRecord) -> HeldSet:
    """Return a set with its custodians. Raises StorageError when the document in the database is of another set, and what ``read_set`` raises."""
    document = read_set(record.document)
    if document.set_id != record.set_id.hex():
        raise StorageError(
            "the document of a backup set in the database is of another set",
            next_step="restore the database from a backup",
        )
    holders = tuple(
        Holder(one.id, one.name, one.location, one.share_index, one.delivery, one.possession_key)
        for one in document.custodians  # by their shares
    )
    return HeldSet(record, document, holders)


def active_set(store: Reader) -> HeldSet | None:
    """Return the set that takes new backups; None where there is none. Raises as ``held_set``."""
    record = store.get_active_backup_set()
    return None if record is None else held_set(record)


def duty_for(found: HeldSet, holder: Holder) -> Duty:
    """Return what a custodian of a set is to sign."""
    return duty_of(
        set_id=found.record.set_id,
        custodian=holder.id,
        name=holder.name,
        share=holder.share,
        threshold=found.document.threshold,
        count=found.document.count,
    )
