"""Transactions of imports: material in its place, a version that waits, material that goes."""

from enum import StrEnum
from typing import NamedTuple

from strongroom.core import KeyOrigin, KeyState
from strongroom.keyring._ciphers import is_under_domain_of
from strongroom.keyring._errors import (
    ImportStateError,
    ImportUnsupportedError,
    IncorrectKeyMaterialError,
    UnknownMaterialError,
)
from strongroom.keyring._key_state import read_changeable_key, read_key
from strongroom.keyring._versions import NO_MATERIAL, all_versions, settled
from strongroom.storage import KeyRecord, KeyVersionRecord, Transaction


class ImportType(StrEnum):
    """Whether material is new to its key."""

    NEW = "NEW_KEY_MATERIAL"
    EXISTING = "EXISTING_KEY_MATERIAL"


class ImportParameters(NamedTuple):
    """What the owner of key material needs to bring it."""

    key_id: str
    token: bytes
    public_key: bytes
    """SubjectPublicKeyInfo in DER."""
    valid_to: float


class BroughtMaterial(NamedTuple):
    """Key material as it is brought, with what its owner says of it."""

    token: bytes
    wrapped: bytes
    expires_at: float | None
    """Seconds since the Unix epoch; None: it stays until it is deleted."""
    kind: ImportType | None = None
    """None: new for a key that never had any, else such as it had."""
    material_id: str | None = None
    """Which material its owner takes it for."""
    description: str | None = None
    """None: as it was."""


class ImportedMaterial(NamedTuple):
    """Which material came in, or went."""

    key_id: str
    material_id: str


def require_external(record: KeyRecord) -> KeyRecord:
    """Return a key whose material is imported. Raises ImportUnsupportedError, ImportStateError."""
    if record.origin is not KeyOrigin.EXTERNAL:
        raise ImportUnsupportedError(record.key_id)
    if record.state is KeyState.COMPROMISED:
        raise ImportStateError(record.key_id, "is compromised")
    return record


def keep_first_digest_key(tx: Transaction, *, key_id: str, fresh: bytes) -> None:
    """Keep a sealed digest key, unless there is one or the key was moved to another domain since it was sealed."""
    key = read_changeable_key(tx, key_id)
    if tx.get_import_digest_key(key_id) is None and is_under_domain_of(tx, key, fresh):
        tx.insert_import_digest_key(key_id, fresh)


def store_material(tx: Transaction, *, version: KeyVersionRecord, brought: BroughtMaterial) -> bool:
    """Put material in its place, if that is still what it was when the material was sealed for it.

    False, and nothing happened, when the key was moved to another domain meanwhile.
    """
    record = require_external(read_changeable_key(tx, version.key_id))
    if not is_under_domain_of(tx, record, version.wrapped):
        return False
    versions = all_versions(tx, record.key_id)
    is_first = versions[0].material_id == NO_MATERIAL
    kind = brought.kind or (ImportType.NEW if is_first else ImportType.EXISTING)
    found = next((old for old in versions if old.material_id == version.material_id), None)
    if brought.material_id not in {None, version.material_id}:
        raise IncorrectKeyMaterialError(record.key_id, "is not the material that was named")
    if found is not None and found.retired_at is not None:
        raise IncorrectKeyMaterialError(record.key_id, "was retired for good")
    if found is not None:
        _require_kind(kind, ImportType.EXISTING, record, "was imported already")
        _require_place(found.version, version)
        description = found.description if brought.description is None else brought.description
        tx.change_key_version(
            version._replace(
                created_at=found.created_at, rotated_at=found.rotated_at, description=description
            )
        )
    else:
        _require_kind(kind, ImportType.NEW, record, "is not what was imported before")
        version = version._replace(description=brought.description or "")
        if is_first:
            _require_place(1, version)
            tx.change_key_version(version)
            record = record._replace(material_id=version.material_id)
        else:
            _add_waiting(tx, record, versions, version)
    tx.change_key(settled(record, all_versions(tx, record.key_id)))
    return True


def _require_kind(kind: ImportType, needed: ImportType, record: KeyRecord, finding: str) -> None:
    if kind is not needed:
        raise IncorrectKeyMaterialError(record.key_id, finding)


def _require_place(number: int, version: KeyVersionRecord) -> None:
    if number != version.version:  # another import was faster; it was sealed for a place that is taken
        raise ImportStateError(version.key_id, "was changed by another import meanwhile")


def _add_waiting(
    tx: Transaction, record: KeyRecord, versions: list[KeyVersionRecord], version: KeyVersionRecord
) -> None:
    if not record.spec.is_symmetric:
        raise IncorrectKeyMaterialError(record.key_id, "is not what was imported before")
    if versions[-1].version > record.current_version:
        raise ImportStateError(record.key_id, "has key material that is pending rotation already")
    _require_place(record.current_version + 1, version)
    tx.insert_key_version(version)


def delete_material(tx: Transaction, *, key_id: str, material_id: str | None) -> ImportedMaterial:
    """Let go of material, the current one for None. Raises UnknownMaterialError, ImportUnsupportedError."""
    record = read_key(tx, key_id)
    if record.origin is not KeyOrigin.EXTERNAL:
        raise ImportUnsupportedError(key_id)
    wanted = record.material_id if material_id is None else material_id
    versions = all_versions(tx, key_id)
    found = next((version for version in versions if version.material_id == wanted), None)
    if found is None or found.retired_at is not None:
        raise UnknownMaterialError(key_id)
    _let_go(tx, record, [found])
    return ImportedMaterial(key_id, "" if wanted == NO_MATERIAL else wanted)


def expire_material(tx: Transaction, *, key_id: str, now: float) -> tuple[str, ...]:
    """Let go of what has expired, and return the ids of that material."""
    record = tx.get_key(key_id)
    if record is None:
        return ()
    due = [
        version
        for version in all_versions(tx, key_id)
        if version.expires_at is not None and version.expires_at <= now
    ]
    _let_go(tx, record, due)
    return tuple(version.material_id for version in due)


def _let_go(tx: Transaction, record: KeyRecord, versions: list[KeyVersionRecord]) -> None:
    for version in versions:
        if version.version > record.current_version:  # nothing was ever encrypted under it
            tx.delete_key_version(record.key_id, version.version)
        else:
            tx.change_key_version(version._replace(wrapped=b"", expires_at=None))
    if versions:
        tx.change_key(settled(record, all_versions(tx, record.key_id)))
