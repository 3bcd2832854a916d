"""The records: one frozen tuple per row, as storage takes and gives them.

Times are seconds since the Unix epoch. Ids in text form are lower-case UUIDs of 36 characters. ``wrapped``
and ``canary`` are encoded envelope blobs, at most 6,144 bytes.
"""

from enum import StrEnum
from typing import NamedTuple

from strongroom.core import (
    HsmKey,
    HsmKeyId,
    KeyOrigin,
    KeySpec,
    KeyState,
    KeyUsage,
    ManagedKeySpec,
    TransportKind,
    VersionMadeBy,
)


class RootState(StrEnum):
    """Where a root is in its life."""

    PENDING = "pending"
    """It is being made; nothing is under it. One that is found so at a start is undone."""
    CURRENT = "current"
    """New domain KEKs are wrapped by it. There is one."""
    OLD = "old"
    """It was replaced, and still opens what hangs under it."""
    DESTROYED = "destroyed"
    """A tombstone: wherever the root is still found, it is destroyed."""


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
    state: RootState = RootState.CURRENT
    """Only of one that is pending or destroyed may check value and canary be empty."""
    destroyed_at: float | None = None


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
    """``shard`` (filled automatically), ``credentials`` (access keys) or ``dedicated``: for the keys that are put there by its
    name, or one key's own where it has none."""
    wrapped: bytes
    key_count: int
    """Keys in it that are not destroyed, with those on their way from the domain that it replaces."""
    created_at: float
    name: str | None = None
    """1 to 64 characters; None for all but those that people chose a name for."""
    replaced_by: str | None = None
    """The domain that takes its place, while keys are moved there; None for one that is in use."""
    replaced_at: float | None = None
    """When that began."""
    n_to_move: int = 0
    """How many keys were in it then."""


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
    spec: ManagedKeySpec = ManagedKeySpec.SYMMETRIC_DEFAULT
    usage: KeyUsage = KeyUsage.ENCRYPT_DECRYPT
    origin: KeyOrigin = KeyOrigin.AWS_KMS
    store_id: str = ""
    """The custom key store of a Direct key; empty for all others."""
    rotation_days: int = 0
    """Days from one automatic rotation to the next, up to 2,560; 0: it is not rotated by itself."""
    rotate_at: float | None = None
    """When it is to be rotated next; None when that is not planned."""
    expires_at: float | None = None
    """When the first of its imported material expires, and the key with it; None: never by itself."""
    activate_at: float | None = None
    """Before this it does nothing; None: it never waited for a date."""
    period_days: int = 0
    """Days that one version protects, the originator-usage period of NIST SP 800-57 Part 1; 0: without end."""
    period_ends_at: float | None = None
    """When that of the current version is over."""
    max_uses: int = 0
    """How often one version may protect something, up to 2**53; 0: any number."""
    warned_at: float | None = None
    """When it was told that the period of the current version ends soon."""

    @property
    def is_limited(self) -> bool:
        """Whether a version protects for a time only, or a number of uses."""
        return self.max_uses > 0 or self.period_ends_at is not None

    @property
    def is_made_anew(self) -> bool:
        """Whether the service can make the next version by itself."""
        return self.spec.is_symmetric and self.origin is not KeyOrigin.EXTERNAL


class KeyVersionRecord(NamedTuple):
    """One piece of key material, wrapped by the key's domain KEK."""

    key_id: str
    version: int
    """From 1."""
    material_id: str
    wrapped: bytes
    """Empty where there is none: of a Direct key, and of a key that waits for its import."""
    created_at: float
    public_key: bytes = b""
    """SubjectPublicKeyInfo (DER) of a pair, at most 4,096 bytes; else empty."""
    hsm_key_id: bytes = b""
    """16 bytes, the Direct key that this version is; empty for an Envelope key."""
    made_by: VersionMadeBy = VersionMadeBy.CREATE
    expires_at: float | None = None
    """When imported material is to be deleted; None: never by itself."""
    description: str = ""
    """Of imported material, in the words of its owner."""
    rotated_at: float | None = None
    """When imported material became the current one by a rotation; None for the first one, and for one that waits for it."""
    retired_at: float | None = None
    """When its material was destroyed for good, while the key lives on; None for every other version."""


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


class HsmKeyState(StrEnum):
    """Where a key that lives inside the HSMs is in its life."""

    PENDING = "pending"
    """It is being made; nobody was told of it yet. One that is found so at a start is undone."""
    ACTIVE = "active"
    """It is on as many members as it must be, and each copy is proved."""
    DESTROYED = "destroyed"
    """A tombstone: wherever the key is still found, it is destroyed."""


class HsmKeyRecord(NamedTuple):
    """A Direct key, which lives in the HSMs; here is only what recognises it."""

    key_id: HsmKeyId
    """16 bytes, the CKA_ID of its objects on every member."""
    spec: KeySpec
    usage: KeyUsage
    label: str
    """For people; 1 to 120 characters."""
    may_leave: bool
    """Whether it can be copied to other members."""
    state: HsmKeyState
    public_key: bytes
    """SubjectPublicKeyInfo (DER) of a pair, once it is active; else empty."""
    created_at: float
    destroyed_at: float | None = None
    canary: bytes | None = None
    """A known answer (``hsm.cluster._key_canary``), 32 to 256 bytes: it tells a key that has no public half from every
    other one. None for a pair, a key that is not active yet, and one of before until it is next proved."""
    made_for: str = ""
    """The version of a key of the service that it was made for, ``KEY-ID/VERSION``; empty when it was for nothing such."""

    @property
    def key(self) -> HsmKey:
        """Return the key as its users name it."""
        return HsmKey(self.key_id, self.spec, self.usage)


class UnreadableHsmKey(NamedTuple):
    """A row of a Direct key that says something that cannot be, such as a spec that there is not."""

    key_id: HsmKeyId
    label: str


class CopyState(StrEnum):
    """Whether a member holds a key."""

    HELD = "held"
    """It does, and its copy was proved."""
    GONE = "gone"
    """It held it; that it is destroyed was confirmed by looking again."""


class HsmKeyCopyRecord(NamedTuple):
    """What is known of one member and one Direct key."""

    key_id: HsmKeyId
    member: str
    state: CopyState


class TransportKeyRecord(NamedTuple):
    """A key under which keys leave one member, and arrive at all others."""

    transport_id: bytes
    """16 bytes, its CKA_ID on every member."""
    member: str
    """Where it wraps; everywhere else it unwraps."""
    kind: TransportKind
    mechanism: int
    """CKM_ number of the wrapping."""
    created_at: float
