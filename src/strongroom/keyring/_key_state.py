"""What a key's record says that may be done with it, and what callers see of it.

A key that is scheduled for destruction is suspended and has a date (NIST SP 800-57 Part 1 Rev. 5, section 7, knows
no state for it): so whatever asks for an active key refuses it, and what manages keys asks for the date.
"""

import math
from typing import Final

from strongroom.core import KeyState, KeyUsage, ManagedKeySpec
from strongroom.keyring._errors import (
    AlgorithmError,
    CryptoperiodOverError,
    DestructionScheduledError,
    KeyCompromisedError,
    KeyDestroyedError,
    KeyNotFoundError,
    KeyPreActiveError,
    KeyStateError,
    KeyUsageError,
    PendingImportError,
)
from strongroom.keyring._values import KeyInfo
from strongroom.storage import KeyRecord, Reader

NEVER: Final = math.inf
GONE: Final = 0.0
"""Date of expiry of a compromised key whose imported material is not there: its state cannot say so."""


def key_info(record: KeyRecord) -> KeyInfo:
    """Return what callers may see of a key."""
    return KeyInfo(
        record.key_id,
        record.state,
        record.description,
        record.created_at,
        record.material_id,
        record.destroy_at,
        record.spec,
        record.usage,
        record.origin,
        record.store_id,
        expires_at=record.expires_at,
    )


def changes_at(record: KeyRecord, now: float) -> float:
    """Return when a key's state changes by itself next, in seconds since the Unix epoch; NEVER if it does not."""
    dates = (record.expires_at, record.activate_at, record.period_ends_at)
    return min((date for date in dates if date is not None and date > now), default=NEVER)


def at_time(record: KeyRecord, now: float) -> KeyRecord:
    """Return a key with the state that it has now: a date that came counts before anybody writes that it came."""
    has_expired = record.expires_at is not None and record.expires_at <= now and record.destroy_at is None
    if has_expired and record.state in {KeyState.ACTIVE, KeyState.SUSPENDED}:
        return record._replace(state=KeyState.PENDING_IMPORT)
    if has_expired and record.state is KeyState.COMPROMISED:
        return record._replace(expires_at=GONE)
    if record.state is KeyState.ACTIVE:
        if record.activate_at is not None and record.activate_at > now:
            return record._replace(state=KeyState.PRE_ACTIVE)
        if record.period_ends_at is not None and record.period_ends_at <= now and not record.is_made_anew:
            return record._replace(state=KeyState.DEACTIVATED)
    return record


def require_active(record: KeyRecord, material_id: str) -> None:
    """Raise KeyStateError unless the key may be used; ``material_id`` is the version that was asked for."""
    if record.state is not KeyState.ACTIVE:
        require_unscheduled(record)
        require_material(record)
        require_uncompromised(record)
        if record.state is KeyState.PRE_ACTIVE and record.activate_at is not None:
            raise KeyPreActiveError(record.key_id, record.activate_at)
        if record.state is KeyState.DEACTIVATED:
            raise CryptoperiodOverError(record.key_id, material_id=material_id)
        raise KeyStateError(record.key_id, record.state, material_id=material_id)


def require_symmetric(record: KeyRecord, material_id: str) -> None:
    """Raise KeyUsageError for a pair or an HMAC key, AlgorithmError for one that encrypts, but not like this."""
    if record.spec.is_symmetric:
        return
    if record.usage is KeyUsage.ENCRYPT_DECRYPT:
        algorithm = ManagedKeySpec.SYMMETRIC_DEFAULT
        raise AlgorithmError(record.key_id, record.usage, record.spec, algorithm, material_id=material_id)
    raise KeyUsageError(record.key_id, record.usage, material_id=material_id)


def require_unscheduled(record: KeyRecord) -> None:
    """Raise DestructionScheduledError for a key that has a date of destruction."""
    if record.destroy_at is not None:
        raise DestructionScheduledError(record.key_id)


def require_processing(record: KeyRecord, material_id: str) -> None:
    """As ``require_active``, but a compromised or deactivated key may still open what was protected under it.

    NIST SP 800-57 Part 1 Rev. 5, section 7.5: such a key protects nothing any more; what it protects already may be processed
    under care. Who needs the data has to get at it to move it, and who holds the material needs us not.
    """
    if record.state is KeyState.DEACTIVATED:
        return
    if record.state is not KeyState.COMPROMISED or record.destroy_at is not None:
        require_active(record, material_id)
    elif record.expires_at == GONE:
        raise PendingImportError(record.key_id)


def require_verifying(record: KeyRecord, material_id: str) -> None:
    """As ``require_active``, but a deactivated key still verifies and decrypts; not a compromised one, by which nothing is proved."""
    if record.state is not KeyState.DEACTIVATED:
        require_active(record, material_id)


def require_uncompromised(record: KeyRecord) -> None:
    """Raise KeyCompromisedError for a key whose material others may know."""
    if record.state is KeyState.COMPROMISED:
        raise KeyCompromisedError(record.key_id)


def require_material(record: KeyRecord) -> None:
    """Raise PendingImportError for a key that waits for its import."""
    if record.state is KeyState.PENDING_IMPORT:
        raise PendingImportError(record.key_id)


def read_key(reader: Reader, key_id: str) -> KeyRecord:
    """Return a key that is there. Raises KeyNotFoundError, and KeyDestroyedError, which is one."""
    record = reader.get_key(key_id)
    if record is None:
        raise KeyNotFoundError(key_id)
    if record.state is KeyState.DESTROYED:
        raise KeyDestroyedError(key_id)
    return record


def read_changeable_key(reader: Reader, key_id: str) -> KeyRecord:
    """Return a key that may be changed. Raises as ``read_key``, and DestructionScheduledError.

    Asked within the transaction that changes it: what was true before may not be true there.
    """
    record = read_key(reader, key_id)
    require_unscheduled(record)
    return record
