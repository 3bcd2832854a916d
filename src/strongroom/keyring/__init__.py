"""Keys, versions, states, aliases, the KEK cache; envelope encryption with them.

    keyring = Keyring(store, cluster, clock=clock, limits=CacheLimits(300, 10_000, 1_000, 0), request_s=10)
    made = await keyring.encrypt(KeyByAlias("alias/payroll"), Secret(b"..."), {"tenant": "7"})

Root KEK (in the HSM) wraps domain KEKs, those wrap KEKs, KEKs encrypt data keys and small data. Only the
first step needs an HSM, and what it unwrapped serves for a few minutes. Threading: a Keyring belongs to one
event loop. It does not authorise and does not audit: ``service`` does.
"""

from strongroom.keyring._aliases import MAX_ALIASES_OF_KEY, Aliases
from strongroom.keyring._ciphers import CacheLimits, KekCiphers
from strongroom.keyring._credentials import CREDENTIALS, make_access_key, open_secret
from strongroom.keyring._errors import (
    AliasExistsError,
    AliasLimitError,
    AliasNotFoundError,
    DestructionNotScheduledError,
    DestructionScheduledError,
    IncorrectKeyError,
    InvalidCiphertextError,
    KeyDestroyedError,
    KeyNotFoundError,
    KeyringError,
    KeyStateError,
    MissingRecordError,
    PendingImportError,
    RotationLimitError,
    RotationUnsupportedError,
    TagLimitError,
)
from strongroom.keyring._key_end import EndedKey, end_due_key
from strongroom.keyring._keyring import MAX_KEYS_IN_DOMAIN, Keyring
from strongroom.keyring._lifecycle import (
    MAX_DAYS_TO_DESTRUCTION,
    MIN_DAYS_TO_DESTRUCTION,
    Destroyed,
    KeyLifecycle,
)
from strongroom.keyring._random import MAX_RANDOM_BYTES
from strongroom.keyring._rotation import (
    DEFAULT_ROTATION_DAYS,
    MAX_ROTATION_DAYS,
    MAX_ROTATIONS_ON_DEMAND,
    MIN_ROTATION_DAYS,
    KeyRotations,
    KeyVersion,
    Rotated,
    RotationStatus,
    VersionPage,
)
from strongroom.keyring._tags import MAX_TAGS_OF_KEY, Tags
from strongroom.keyring._values import (
    AliasInfo,
    AliasPage,
    DataKey,
    Decrypted,
    Encrypted,
    KeyByAlias,
    KeyById,
    KeyInfo,
    KeyPage,
    KeyRef,
    ReEncrypted,
    Tag,
    TagPage,
)

__all__ = [
    "CREDENTIALS",
    "DEFAULT_ROTATION_DAYS",
    "MAX_ALIASES_OF_KEY",
    "MAX_DAYS_TO_DESTRUCTION",
    "MAX_KEYS_IN_DOMAIN",
    "MAX_RANDOM_BYTES",
    "MAX_ROTATIONS_ON_DEMAND",
    "MAX_ROTATION_DAYS",
    "MAX_TAGS_OF_KEY",
    "MIN_DAYS_TO_DESTRUCTION",
    "MIN_ROTATION_DAYS",
    "AliasExistsError",
    "AliasInfo",
    "AliasLimitError",
    "AliasNotFoundError",
    "AliasPage",
    "Aliases",
    "CacheLimits",
    "DataKey",
    "Decrypted",
    "Destroyed",
    "DestructionNotScheduledError",
    "DestructionScheduledError",
    "Encrypted",
    "EndedKey",
    "IncorrectKeyError",
    "InvalidCiphertextError",
    "KekCiphers",
    "KeyByAlias",
    "KeyById",
    "KeyDestroyedError",
    "KeyInfo",
    "KeyLifecycle",
    "KeyNotFoundError",
    "KeyPage",
    "KeyRef",
    "KeyRotations",
    "KeyStateError",
    "KeyVersion",
    "Keyring",
    "KeyringError",
    "MissingRecordError",
    "PendingImportError",
    "ReEncrypted",
    "Rotated",
    "RotationLimitError",
    "RotationStatus",
    "RotationUnsupportedError",
    "Tag",
    "TagLimitError",
    "TagPage",
    "Tags",
    "VersionPage",
    "end_due_key",
    "make_access_key",
    "open_secret",
]
