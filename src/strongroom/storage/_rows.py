"""From rows to records: what the database keeps as text becomes the enumerations that it stands for."""

from strongroom.core import HsmKeyId, KeyOrigin, KeySpec, KeyState, KeyUsage, ManagedKeySpec, VersionMadeBy
from strongroom.storage._queries import AnyRow
from strongroom.storage._records import HsmKeyRecord, HsmKeyState, KeyRecord, KeyVersionRecord


def key_of(row: AnyRow) -> KeyRecord:
    """Return the record of a row of ``keys``."""
    record = KeyRecord(*row)
    return record._replace(
        state=KeyState(record.state),
        spec=ManagedKeySpec(record.spec),
        usage=KeyUsage(record.usage),
        origin=KeyOrigin(record.origin),
    )


def key_version_of(row: AnyRow) -> KeyVersionRecord:
    """Return the record of a row of ``key_versions``."""
    record = KeyVersionRecord(*row)
    return record._replace(made_by=VersionMadeBy(record.made_by))


def hsm_key_of(row: AnyRow) -> HsmKeyRecord:
    """Return the record of a row of ``hsm_keys``."""
    key_id, spec, usage, label, may_leave, state, *rest = row
    return HsmKeyRecord(
        HsmKeyId(key_id), KeySpec(spec), KeyUsage(usage), label, may_leave, HsmKeyState(state), *rest
    )
