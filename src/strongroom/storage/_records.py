"""The records: one frozen tuple per row, as storage takes and gives them.

Times are seconds since the Unix epoch. Ids in text form are lower-case UUIDs of 36 characters. ``wrapped``
and ``canary`` are encoded envelope blobs, at most 6,144 bytes.
"""

from typing import NamedTuple

from strongroom.core import KeyState


class RootRecord(NamedTuple):
    """A root KEK, which lives in the HSMs; here is only what recognises it."""

    root_id: bytes
    """16 bytes, the CKA_ID on every member."""
    wrap_algorithm: int
    """``core.WrapAlgorithm`` of everything under this root."""
    check_kind: str
    """How ``check_value`` was made, such as ``CKA_CHECK_VALUE``."""
    check_value: str
    """The key check value, in hex: for people, it proves nothing."""
    canary: bytes
    """Blob of random bytes under the root: who decrypts it holds the root."""
    canary_digest: bytes
    """SHA-256 (32 bytes) of the canary's plaintext."""
    created_at: float


class MemberRecord(NamedTuple):
    """An HSM of the cluster, as it was when it joined."""

    name: str
    profile: str
    """Name of the vendor profile."""
    token_serial: str
    token_label: str
    position: int
    """Order of preference, from 0."""


class DomainRecord(NamedTuple):
    """A domain KEK and how many keys are under it."""

    domain_id: str
    root_id: bytes
    kind: str
    """``shard`` (filled automatically), ``credentials`` (access keys) or ``dedicated`` (one key's own)."""
    wrapped: bytes
    key_count: int
    created_at: float


class KeyRecord(NamedTuple):
    """A key and its current version."""

    key_id: str
    state: KeyState
    description: str
    created_at: float
    domain_id: str
    current_version: int
    material_id: str
    """64 hex digits, the material of the current version."""
    destroy_at: float | None = None
    """When the key is to be destroyed, or has been; None when that is not planned. An active key has no such date."""


class KeyVersionRecord(NamedTuple):
    """One piece of key material, wrapped by the key's domain KEK."""

    key_id: str
    version: int
    """From 1."""
    material_id: str
    wrapped: bytes
    created_at: float


class AliasRecord(NamedTuple):
    """Another name of a key."""

    name: str
    key_id: str
    created_at: float
    updated_at: float


class TagRecord(NamedTuple):
    """A label that users put on a key; not secret."""

    key_id: str
    name: str
    """1 to 128 characters."""
    value: str
    """Up to 256 characters."""


class AccessKeyRecord(NamedTuple):
    """A caller's credential; its secret is wrapped by the domain KEK of kind ``credentials``."""

    access_key_id: str
    principal: str
    roles: tuple[str, ...]
    wrapped_secret: bytes
    active: bool
    created_at: float
