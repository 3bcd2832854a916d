"""From rows to records: what the database keeps as text becomes the enumerations that it stands for."""

import contextlib
from collections.abc import Iterable

from strongroom.core import (
    HsmKeyId,
    KeyOrigin,
    KeySpec,
    KeyState,
    KeyUsage,
    ManagedKeySpec,
    StorageError,
    VersionMadeBy,
)
from strongroom.storage._queries import AnyRow
from strongroom.storage._records import HsmKeyRecord, HsmKeyState, KeyRecord, KeyVersionRecord


def key_of(row: AnyRow) -> KeyRecord:
    """Return the record of a row of ``keys``. Raises StorageError when the row says nothing that can be."""
    record = KeyRecord(*row)
    try:
        return record._replace(
            state=KeyState(record.state),
            spec=ManagedKeySpec(record.spec),
            usage=KeyUsage(record.usage),
            origin=KeyOrigin(record.origin),
        )
    except ValueError as error:
        raise StorageError(
            f"the record of key {record.key_id} cannot be read",
            next_step="restore the database from a backup",
        ) from error


def readable_keys_of(rows: Iterable[AnyRow]) -> list[KeyRecord]:
    """Return the records of those rows of ``keys`` that can be read: one that cannot holds up no work on the others."""
    records = []
    for row in rows:
        with contextlib.suppress(StorageError):
            records.append(key_of(row))
    return records


def key_version_of(row: AnyRow) -> KeyVersionRecord:
    """Return the record of a row of ``key_versions``."""
    record = KeyVersionRecord(*row)
    return record._replace(made_by=VersionMadeBy(record.made_by))


def hsm_key_of(row: AnyRow) -> HsmKeyRecord:
    """Return the record of a row of ``hsm_keys``. Raises StorageError when the row says nothing that can be."""
    key_id, spec_name, usage_name, label, may_leave, state, *rest = row
    try:
        spec, usage = KeySpec(spec_name), KeyUsage(usage_name)
        record = HsmKeyRecord(HsmKeyId(key_id), spec, usage, label, may_leave, HsmKeyState(state), *rest)
    except ValueError as error:
        raise _unreadable(key_id) from error
    if usage not in spec.usages:
        raise _unreadable(key_id)
    return record


def readable_hsm_keys_of(rows: Iterable[AnyRow]) -> list[HsmKeyRecord]:
    """Return the records of those rows that can be read (``Reader.list_unreadable_hsm_keys`` tells the others)."""
    records = []
    for row in rows:
        with contextlib.suppress(StorageError):
            records.append(hsm_key_of(row))
    return records


def _unreadable(key_id: bytes) -> StorageError:
    return StorageError(
        f"the record of Direct key {key_id.hex()} cannot be read",
        next_step="see docs/direct-keys.md: keys in quarantine",
    )
