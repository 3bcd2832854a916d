"""Keys, versions, states, aliases, the KEK cache; envelope encryption with them.

    keyring = Keyring(store, cluster, clock=clock, limits=CacheLimits(300, 10_000, 1_000, 0), request_s=10)
    made = await keyring.encrypt(KeyByAlias("alias/payroll"), Secret(b"..."), {"tenant": "7"})

Root KEK (in the HSM) wraps domain KEKs, those wrap KEKs, KEKs encrypt data keys and small data. Only the
first step needs an HSM, and what it unwrapped serves for a few minutes. Threading: a Keyring belongs to one
event loop. It does not authorise and does not audit: ``service`` does.
"""

from strongroom.keyring._aliases import MAX_ALIASES_OF_KEY, Aliases
from strongroom.keyring._batch_values import (
    MAX_ITEMS,
    BatchDataKey,
    BatchOfBytes,
    BatchOfDataKeys,
    BatchOfPlaintexts,
    PlainItem,
    SealedItem,
)
from strongroom.keyring._ciphers import CacheLimits, KekCiphers
from strongroom.keyring._creation import MAX_KEYS_IN_DOMAIN, KeyKind
from strongroom.keyring._credentials import CREDENTIALS, make_access_key, open_secret
from strongroom.keyring._data_key_pairs import DATA_KEY_PAIR_SPECS
from strongroom.keyring._envelope_works import EnvelopeWorks, MaterialPlace
from strongroom.keyring._errors import (
    AlgorithmError,
    AliasExistsError,
    AliasLimitError,
    AliasNotFoundError,
    DestructionNotScheduledError,
    DestructionScheduledError,
    DryRunError,
    IncorrectKeyError,
    InvalidCiphertextError,
    InvalidMacError,
    InvalidSignatureError,
    KeyDestroyedError,
    KeyNotFoundError,
    KeyringError,
    KeyStateError,
    KeyUsageError,
    MissingRecordError,
    NoPublicKeyError,
    PendingImportError,
    RotationLimitError,
    RotationUnsupportedError,
    TagLimitError,
    TooBusyError,
    UnfitMaterialError,
    UnfitRequestError,
)
from strongroom.keyring._key_end import EndedKey, end_due_key
from strongroom.keyring._key_state import read_key, require_active
from strongroom.keyring._key_work import KeyWork, KeyWorks
from strongroom.keyring._keyring import Keyring
from strongroom.keyring._lifecycle import (
    MAX_DAYS_TO_DESTRUCTION,
    MIN_DAYS_TO_DESTRUCTION,
    Destroyed,
    KeyLifecycle,
)
from strongroom.keyring._material import Material, generate_material, material_of_import
from strongroom.keyring._random import MAX_RANDOM_BYTES
from strongroom.keyring._records import HeldKey, KeyRecords
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
from strongroom.keyring._signing import MAX_SIGNATURE_BYTES
from strongroom.keyring._tags import MAX_TAGS_OF_KEY, Tags
from strongroom.keyring._use_values import (
    DataKeyPair,
    Derived,
    Maced,
    MessageType,
    PublicHalf,
    Signed,
    Verified,
)
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
    "DATA_KEY_PAIR_SPECS",
    "DEFAULT_ROTATION_DAYS",
    "MAX_ALIASES_OF_KEY",
    "MAX_DAYS_TO_DESTRUCTION",
    "MAX_ITEMS",
    "MAX_KEYS_IN_DOMAIN",
    "MAX_RANDOM_BYTES",
    "MAX_ROTATIONS_ON_DEMAND",
    "MAX_ROTATION_DAYS",
    "MAX_SIGNATURE_BYTES",
    "MAX_TAGS_OF_KEY",
    "MIN_DAYS_TO_DESTRUCTION",
    "MIN_ROTATION_DAYS",
    "AlgorithmError",
    "AliasExistsError",
    "AliasInfo",
    "AliasLimitError",
    "AliasNotFoundError",
    "AliasPage",
    "Aliases",
    "BatchDataKey",
    "BatchOfBytes",
    "BatchOfDataKeys",
    "BatchOfPlaintexts",
    "CacheLimits",
    "DataKey",
    "DataKeyPair",
    "Decrypted",
    "Derived",
    "Destroyed",
    "DestructionNotScheduledError",
    "DestructionScheduledError",
    "DryRunError",
    "Encrypted",
    "EndedKey",
    "EnvelopeWorks",
    "HeldKey",
    "IncorrectKeyError",
    "InvalidCiphertextError",
    "InvalidMacError",
    "InvalidSignatureError",
    "KekCiphers",
    "KeyByAlias",
    "KeyById",
    "KeyDestroyedError",
    "KeyInfo",
    "KeyKind",
    "KeyLifecycle",
    "KeyNotFoundError",
    "KeyPage",
    "KeyRecords",
    "KeyRef",
    "KeyRotations",
    "KeyStateError",
    "KeyUsageError",
    "KeyVersion",
    "KeyWork",
    "KeyWorks",
    "Keyring",
    "KeyringError",
    "Maced",
    "Material",
    "MaterialPlace",
    "MessageType",
    "MissingRecordError",
    "NoPublicKeyError",
    "PendingImportError",
    "PlainItem",
    "PublicHalf",
    "ReEncrypted",
    "Rotated",
    "RotationLimitError",
    "RotationStatus",
    "RotationUnsupportedError",
    "SealedItem",
    "Signed",
    "Tag",
    "TagLimitError",
    "TagPage",
    "Tags",
    "TooBusyError",
    "UnfitMaterialError",
    "UnfitRequestError",
    "Verified",
    "VersionPage",
    "end_due_key",
    "generate_material",
    "make_access_key",
    "material_of_import",
    "open_secret",
    "read_key",
    "require_active",
]
