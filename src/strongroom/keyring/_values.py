"""What the keyring tells about keys and aliases."""

from typing import NamedTuple

from msgspec import Struct

from strongroom.core import KeyOrigin, KeyState, KeyUsage, ManagedKeySpec, Secret


# Not NamedTuples: as tuples of the same text the two would be equal, and one could stand for the other in a dict.
class KeyById(Struct, frozen=True, gc=False):
    """Names a key by its id, a UUID in lower-case text form."""

    key_id: str


class KeyByAlias(Struct, frozen=True, gc=False):
    """Names the key that an alias points to; the name starts with ``alias/``."""

    alias_name: str


KeyRef = KeyById | KeyByAlias


class KeyInfo(NamedTuple):
    """A key as callers may see it; never its bytes."""

    key_id: str
    state: KeyState
    description: str
    created_at: float
    """Seconds since the Unix epoch."""
    material_id: str
    """64 hex digits naming the current key version."""
    destroy_at: float | None = None
    """When the key is to be destroyed, in seconds since the Unix epoch; None when that is not planned."""
    spec: ManagedKeySpec = ManagedKeySpec.SYMMETRIC_DEFAULT
    usage: KeyUsage = KeyUsage.ENCRYPT_DECRYPT
    origin: KeyOrigin = KeyOrigin.AWS_KMS
    store_id: str = ""
    """The custom key store of a key inside HSMs; empty for all others."""
    cluster_id: str = ""
    """The cluster of that store."""
    is_available: bool = True
    """Whether that store is connected: else the key cannot be used."""
    expires_at: float | None = None
    """When the first of its imported material expires, in seconds since the Unix epoch; None: never by itself."""


class AliasInfo(NamedTuple):
    """An alias and the key it points to."""

    alias_name: str
    target_key_id: str
    created_at: float
    updated_at: float


class KeyPage(NamedTuple):
    """Keys in the order of their ids; ``next_after`` is the id to go on after, None at the end."""

    keys: tuple[KeyInfo, ...]
    next_after: str | None


class AliasPage(NamedTuple):
    """Aliases in the order of their names; ``next_after`` is the name to go on after, None at the end."""

    aliases: tuple[AliasInfo, ...]
    next_after: str | None


class Tag(NamedTuple):
    """A label that a user put on a key; not secret."""

    name: str
    value: str


class TagPage(NamedTuple):
    """Tags in the order of their names; ``next_after`` is the name to go on after, None at the end."""

    tags: tuple[Tag, ...]
    next_after: str | None


class DataKey(NamedTuple):
    """A fresh data key, in clear and encrypted under its key."""

    key_id: str
    material_id: str
    plaintext: Secret
    ciphertext: bytes


class Encrypted(NamedTuple):
    """What encrypting gave."""

    key_id: str
    material_id: str
    ciphertext: bytes


class Decrypted(NamedTuple):
    """What decrypting gave."""

    key_id: str
    material_id: str
    plaintext: Secret


class ReEncrypted(NamedTuple):
    """What decrypting under one key and encrypting under another gave."""

    source_key_id: str
    source_material_id: str
    key_id: str
    material_id: str
    ciphertext: bytes
