"""Backups that open with m of n custodians: the backup set, the bundle, and what proves both.

    >>> from strongroom.backup import share_key_check
    >>> from strongroom.core import Secret
    >>> share_key_check(Secret(bytes(32)))  # what a set's document says of the key that its shares give
    '3d7673d9150b372b'

A **set** (``BackupSet``) is made in a ceremony; its document holds no secret. A **bundle** is one file that is made under a
set at any later time: a manifest with the wrapped keys, its signature, and an encrypted snapshot of the database.

Pure: files that callers opened, no clock, no HSM; who wraps, signs and opens is in ``wiring``. Everything is frozen and safe
to use from any thread, except that a file is for one of them at a time.
"""

from strongroom.backup._bundle import (
    MAGIC,
    Bundle,
    UnverifiedBundle,
    read_bundle,
    verify_bundle,
    write_bundle,
)
from strongroom.backup._documents import MAX_MANIFEST_BYTES, MAX_SET_BYTES
from strongroom.backup._errors import (
    AlteredBundleError,
    BackupError,
    BundlePart,
    MalformedSetError,
    MissingKeyError,
    NewerBundleError,
    NotABundleError,
    TruncatedBundleError,
    UnusableBackupError,
    WrongSetError,
)
from strongroom.backup._manifest import (
    BackedKey,
    BackedMember,
    BackedRoot,
    LeftOutKey,
    Manifest,
    Snapshot,
    SnapshotPart,
    manifest_digest,
    read_manifest,
    write_manifest,
)
from strongroom.backup._set import (
    SHARE_KEY_BYTES,
    BackupSet,
    Origin,
    SetCustodian,
    SetTransport,
    SigningKey,
    WrappedTransport,
    check_share_key,
    read_set,
    sealed_set,
    set_hash,
    set_seal_key,
    share_key_check,
    write_set,
)
from strongroom.backup._shares_of_set import AlteredShareError, custodian_of_share
from strongroom.backup._snapshot import (
    CONFIGURATION_PART,
    DATABASE_PART,
    SnapshotFile,
    decrypt_snapshot,
    encrypt_snapshot,
    new_snapshot_key,
    snapshot_key_blob,
)

__all__ = [
    "CONFIGURATION_PART",
    "DATABASE_PART",
    "MAGIC",
    "MAX_MANIFEST_BYTES",
    "MAX_SET_BYTES",
    "SHARE_KEY_BYTES",
    "AlteredBundleError",
    "AlteredShareError",
    "BackedKey",
    "BackedMember",
    "BackedRoot",
    "BackupError",
    "BackupSet",
    "Bundle",
    "BundlePart",
    "LeftOutKey",
    "MalformedSetError",
    "Manifest",
    "MissingKeyError",
    "NewerBundleError",
    "NotABundleError",
    "Origin",
    "SetCustodian",
    "SetTransport",
    "SigningKey",
    "Snapshot",
    "SnapshotFile",
    "SnapshotPart",
    "TruncatedBundleError",
    "UnusableBackupError",
    "UnverifiedBundle",
    "WrappedTransport",
    "WrongSetError",
    "check_share_key",
    "custodian_of_share",
    "decrypt_snapshot",
    "encrypt_snapshot",
    "manifest_digest",
    "new_snapshot_key",
    "read_bundle",
    "read_manifest",
    "read_set",
    "sealed_set",
    "set_hash",
    "set_seal_key",
    "share_key_check",
    "snapshot_key_blob",
    "verify_bundle",
    "write_bundle",
    "write_manifest",
    "write_set",
]
