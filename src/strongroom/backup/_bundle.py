r"""The bundle: one file that says by itself what it is.

| Length | Field (numbers are big endian) |
|---|---|
| 21 | magic line: ``strongroom-backup-v1`` and a line feed |
| 4 | length *m* of the manifest, 1 to 67,108,864 |
| m | manifest: canonical JSON (``Manifest``) |
| 32 | digest of the manifest (``manifest_digest``) |
| 2 | length *s* of the signature, 1 to 256 |
| s | signature of that digest by the backup signing key: ECDSA with SHA-256 on P-256, DER |
| rest | snapshot: a chunked message with its header (``envelope``), as long as the manifest says |

The digest stands in the file so that it can be told whether the manifest was altered or the signature. No share and no key
in clear ever stands in a bundle.
"""

import hashlib
import re
import struct
from collections.abc import Iterable
from typing import BinaryIO, Final, NamedTuple

from strongroom.backup._documents import MAX_MANIFEST_BYTES
from strongroom.backup._errors import (
    AlteredBundleError,
    NewerBundleError,
    NotABundleError,
    TruncatedBundleError,
    WrongSetError,
)
from strongroom.backup._manifest import Manifest, manifest_digest, read_manifest
from strongroom.backup._set import BackupSet, set_hash
from strongroom.core import HsmRequestError, KeySpec, SigningAlgorithm, VerificationFailedError
from strongroom.hsm.public_keys import verify_signature

MAGIC: Final = b"strongroom-backup-v1\n"
_ANY_VERSION: Final = b"strongroom-backup-v"
_MANIFEST_LENGTH: Final = struct.Struct(">I")
_SIGNATURE_LENGTH: Final = struct.Struct(">H")
_DIGEST_BYTES: Final = 32
_MAX_SIGNATURE_BYTES: Final = 256
_READ_BYTES: Final = 1 << 20
_SET_MEMBER: Final = b',"set_id":"'
_SET_ID: Final = re.compile(re.escape(_SET_MEMBER) + rb'([0-9a-f]{32})"')


class Bundle(NamedTuple):
    """What a bundle that was verified says."""

    manifest: Manifest
    snapshot_at: int
    """Where in the file the snapshot begins."""


class UnverifiedBundle(NamedTuple):
    """What stands in a bundle before its snapshot: bytes that anybody may have made, and that nobody has parsed."""

    manifest_bytes: bytes
    digest: bytes
    """Of the manifest, as the file says it."""
    signature: bytes
    snapshot_at: int
    """Where in the file the snapshot begins."""

    @property
    def named_set(self) -> str:
        """Id of the set that the manifest names: by it the document of the set is looked up, and no more may be concluded from it.

        Raises AlteredBundleError where none is named.
        """
        # Of the members of the manifest itself these two stand behind all that repeats (its members are sorted).
        at = self.manifest_bytes.rfind(_SET_MEMBER)
        found = _SET_ID.match(self.manifest_bytes, at) if at >= 0 else None
        if found is None:
            raise AlteredBundleError("manifest", "it names no set")
        return found[1].decode()


def write_bundle(out: BinaryIO, manifest_bytes: bytes, signature: bytes, snapshot: Iterable[bytes]) -> str:
    """Write a bundle, and return its SHA-256 in hex.

    ``manifest_bytes`` by ``write_manifest``, ``signature`` of their ``manifest_digest``, ``snapshot`` as ``encrypt_snapshot``
    wrote it, in pieces. Raises OSError, and ValueError for lengths that would be refused.
    """
    if not 1 <= len(manifest_bytes) <= MAX_MANIFEST_BYTES or not 1 <= len(signature) <= _MAX_SIGNATURE_BYTES:
        raise ValueError("no bundle has a manifest or a signature of this length")
    whole = hashlib.sha256()
    front = (
        *(MAGIC, _MANIFEST_LENGTH.pack(len(manifest_bytes)), manifest_bytes),
        *(manifest_digest(manifest_bytes), _SIGNATURE_LENGTH.pack(len(signature)), signature),
    )
    for parts in (front, snapshot):
        for part in parts:
            out.write(part)
            whole.update(part)
    return whole.hexdigest()


def read_bundle(file: BinaryIO) -> UnverifiedBundle:
    """Read a bundle up to its snapshot. Raises NotABundleError, NewerBundleError, TruncatedBundleError and AlteredBundleError."""
    _read_magic(file)
    (manifest_len,) = _MANIFEST_LENGTH.unpack(_exactly(file, _MANIFEST_LENGTH.size, "manifest"))
    if not 1 <= manifest_len <= MAX_MANIFEST_BYTES:
        raise AlteredBundleError("manifest", "it has an impossible length")
    manifest_bytes = _exactly(file, manifest_len, "manifest")
    digest = _exactly(file, _DIGEST_BYTES, "signature")
    (signature_len,) = _SIGNATURE_LENGTH.unpack(_exactly(file, _SIGNATURE_LENGTH.size, "signature"))
    if not 1 <= signature_len <= _MAX_SIGNATURE_BYTES:
        raise AlteredBundleError("signature", "it has an impossible length")
    signature = _exactly(file, signature_len, "signature")
    snapshot_at = len(MAGIC) + _MANIFEST_LENGTH.size + manifest_len
    snapshot_at += _DIGEST_BYTES + _SIGNATURE_LENGTH.size + signature_len
    return UnverifiedBundle(manifest_bytes, digest, signature, snapshot_at)


def verify_bundle(file: BinaryIO, backup_set: BackupSet) -> Bundle:
    """Read a bundle and verify all that can be verified without shares: set, signature, and the hash of its snapshot.

    The file is read once, to its end. Raises WrongSetError and as ``read_bundle``.
    """
    file.seek(0)
    unverified = read_bundle(file)
    bundle = Bundle(_verified_manifest(unverified, backup_set), unverified.snapshot_at)
    _check_snapshot(file, bundle)
    return bundle


def _verified_manifest(unverified: UnverifiedBundle, backup_set: BackupSet) -> Manifest:
    """Return the manifest of a bundle: it is of this set, and what the set's key signed.

    It is parsed only once the signature over its bytes is verified: parsing 64 MiB of somebody's choice takes a minute.
    Raises WrongSetError and AlteredBundleError.
    """
    _verify_signature(unverified, backup_set)
    manifest = read_manifest(unverified.manifest_bytes)
    if (manifest.set_sha256, manifest.origin) != (set_hash(backup_set), backup_set.origin):
        raise WrongSetError(
            f"the document of the set {backup_set.set_id} is not the one that the bundle was made with",
            next_step="bring the document in the bytes that the ceremony wrote",
        )
    # Any process that can have keys used can have the manifest of its choice signed; who the officers are is not for it to say.
    if backup_set.genesis_sha256 not in {"", manifest.genesis_sha256}:
        raise WrongSetError(
            f"the bundle names other officers than the document of its set: their genesis is {manifest.genesis_sha256 or 'none'},"
            f" and that of the set {backup_set.genesis_sha256}",
            next_step="use another bundle; keep this one for whoever looks into who had it signed",
        )
    return manifest


def _check_snapshot(file: BinaryIO, bundle: Bundle) -> None:
    """Hash the snapshot, and compare with the manifest. Raises TruncatedBundleError and AlteredBundleError."""
    snapshot = bundle.manifest.snapshot
    file.seek(bundle.snapshot_at)
    digest, size = hashlib.sha256(), 0
    while piece := file.read(_READ_BYTES):
        digest.update(piece)
        size += len(piece)
    if size < snapshot.size:
        raise TruncatedBundleError("snapshot")
    if size > snapshot.size:
        raise AlteredBundleError("snapshot", "more follows behind its end")
    if digest.hexdigest() != snapshot.sha256:
        raise AlteredBundleError("snapshot", "its hash is not the one that the manifest names")


def _verify_signature(unverified: UnverifiedBundle, backup_set: BackupSet) -> None:
    actual = manifest_digest(unverified.manifest_bytes)
    if _is_signed(actual, unverified.signature, backup_set):
        if actual != unverified.digest:
            raise AlteredBundleError("signature", "the digest beside it is not that of the manifest")
        return
    named = unverified.named_set
    if named != backup_set.set_id:
        raise WrongSetError(
            f"the bundle was made for the backup set {named}, and this is {backup_set.set_id}",
            next_step="bring the document and the shares of that set",
        )
    if actual != unverified.digest:
        raise AlteredBundleError("manifest", "its digest is not the one that was signed")
    raise AlteredBundleError("signature", "it is not by the backup signing key of the set")


def _is_signed(digest: bytes, signature: bytes, backup_set: BackupSet) -> bool:
    """Whether the set's key signed a digest: for telling what was altered, both answers being acted upon."""
    spki = backup_set.signing_key.spki
    try:
        verify_signature(KeySpec.ECC_NIST_P256, spki, SigningAlgorithm.ECDSA_SHA_256, digest, signature)
    except VerificationFailedError:
        return False
    except HsmRequestError as error:
        raise WrongSetError(f"the signing key of the set is none: {error.message}") from error
    return True


def _read_magic(file: BinaryIO) -> None:
    found = file.read(len(MAGIC))
    if found == MAGIC:
        return
    if MAGIC.startswith(found) and found:
        raise TruncatedBundleError("first line")
    version = found[len(_ANY_VERSION) :].split(b"\n")[0]
    if found.startswith(_ANY_VERSION) and version.isdigit():
        raise NewerBundleError("backup bundle", version.decode())
    raise NotABundleError


def _exactly(file: BinaryIO, n_bytes: int, within: str) -> bytes:
    parts, missing = [], n_bytes
    while missing:
        part = file.read(min(missing, _READ_BYTES))
        if not part:
            raise TruncatedBundleError(within)
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
