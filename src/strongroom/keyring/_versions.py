"""The versions of a key whose material its owner brings, and what they make of the key."""

from typing import Final

from strongroom.core import KeyOrigin, KeyState, VersionMadeBy
from strongroom.keyring._key_state import GONE
from strongroom.storage import KeyRecord, KeyVersionRecord, Reader

NO_MATERIAL: Final = "0" * 64
"""Material id of a key that never had any; no HMAC-SHA-256 is known to come out like this."""
_MOST: Final = 20_000
"""More than a key can have (``MAX_VERSIONS``)."""


def all_versions(reader: Reader, key_id: str) -> list[KeyVersionRecord]:
    """Return every version of a key, oldest first."""
    return reader.list_key_versions(key_id, after=0, limit=_MOST)


def lacks_material(record: KeyRecord, versions: list[KeyVersionRecord]) -> bool:
    """Whether a key waits for the material of one of its versions in use."""
    return record.origin is KeyOrigin.EXTERNAL and any(
        not version.wrapped and version.retired_at is None
        for version in versions
        if version.version <= record.current_version
    )


def settled(record: KeyRecord, versions: list[KeyVersionRecord]) -> KeyRecord:
    """Return the record with the state and the date of expiry that follow from its versions.

    A key that has all its material again is active. One that has a date of destruction, or is compromised, stays so.
    """
    in_use = [version for version in versions if version.version <= record.current_version]
    dates = [version.expires_at for version in in_use if version.expires_at is not None]
    state = record.state
    if state in {KeyState.ACTIVE, KeyState.SUSPENDED} and record.destroy_at is None:
        state = KeyState.PENDING_IMPORT if lacks_material(record, versions) else state
    elif state is KeyState.PENDING_IMPORT and not lacks_material(record, versions):
        state = KeyState.ACTIVE
    if state is KeyState.COMPROMISED and lacks_material(record, versions):
        dates = [GONE]
    return record._replace(state=state, expires_at=min(dates, default=None))


def awaiting_import(record: KeyRecord, version: KeyVersionRecord) -> tuple[KeyRecord, KeyVersionRecord]:
    """Return a new key and its first version as they are before anybody brought the material."""
    record = record._replace(state=KeyState.PENDING_IMPORT, material_id=NO_MATERIAL)
    return record, version._replace(material_id=NO_MATERIAL, wrapped=b"", made_by=VersionMadeBy.IMPORT)
