"""Backup sets, manifests and bundles that tests make, signed by a key of software."""

import hashlib
import io
import struct
from typing import NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from strongroom.backup import (
    MAGIC,
    BackedKey,
    BackedMember,
    BackedRoot,
    BackupSet,
    LeftOutKey,
    Manifest,
    SetCustodian,
    SetTransport,
    SigningKey,
    Snapshot,
    SnapshotFile,
    WrappedTransport,
    encrypt_snapshot,
    manifest_digest,
    sealed_set,
    set_hash,
    set_seal_key,
    share_key_check,
    write_bundle,
    write_manifest,
)
from strongroom.core import KeySpec, KeyUsage, Secret, TransportKind, WrapAlgorithm, WrappedBytes
from strongroom.envelope import Blob, Purpose

SHARE_KEY = bytes(range(32))
SNAPSHOT_KEY = bytes(range(32, 64))
BACKUP_ID, SET_ID, ROOT_ID = "0b" * 16, "5e" * 16, "70" * 16
FILES = {"strongroom.db": b"SQLite format 3\0" + bytes(5000), "strongroom.toml": b"[service]\n"}


class SoftwareSigner:
    """The backup signing key, where no HSM is needed."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.spki = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, digest: bytes) -> bytes:
        """Sign a digest, in DER."""
        return self._key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))


class MadeBundle(NamedTuple):
    """A bundle, its set, and where in its bytes the parts begin."""

    backup_set: BackupSet
    manifest: Manifest
    data: bytes
    manifest_at: int
    signature_at: int
    snapshot_at: int


def a_set(spki: bytes, **changes: object) -> BackupSet:
    """Return a set of 3 of 5 with one member."""
    custodians = tuple(
        SetCustodian(
            id=f"custodian-{index}",
            name=f"Custodian {index}",
            location="Bern",
            share_index=index,
            delivery="paper",
            possession_key=bytes((index,)) * 32,
        )
        for index in range(1, 6)
    )
    keys = tuple(
        WrappedTransport(cka_id=f"424b5550{number:024x}", kind=kind, wrapped=b"wrapped " + bytes((number,)))
        for number, kind in enumerate(TransportKind)
    )
    values: dict[str, object] = {
        "set_id": SET_ID,
        "cluster_id": "",
        "genesis_sha256": "",
        "made_at": 1_800_000_000,
        "threshold": 3,
        "count": 5,
        "slip39_identifier": 7,
        "origin": "softhsm",
        "share_key_check": share_key_check(Secret(SHARE_KEY)),
        "spki": b"public half",
        "wrapped_private": b"wrapped private half",
        "wrap_mechanism": 0x210B,
        "transports": (SetTransport(member="one", mechanism=0x210B, oaep_hash="sha1", keys=keys),),
        "signing_key": SigningKey(cka_id="51" * 16, spki=spki),
        "custodians": custodians,
    }
    made = BackupSet(**(values | changes))  # type: ignore[arg-type]
    return sealed_set(made, set_seal_key(Secret(SHARE_KEY)))


def a_manifest(backup_set: BackupSet, snapshot: Snapshot, **changes: object) -> Manifest:
    """Return a manifest with a root, a key, and a key that is left out."""
    values: dict[str, object] = {
        "backup_id": BACKUP_ID,
        "set_id": backup_set.set_id,
        "set_sha256": set_hash(backup_set),
        "cluster_id": backup_set.cluster_id,
        "made_at": 1_800_000_100,
        "software": "1.0",
        "origin": backup_set.origin,
        "genesis_sha256": "",
        "custody_head": "",
        "approval": "",
        "source": "one",
        "members": (
            BackedMember(name="one", profile="softhsm2", token_serial="1", token_label="strongroom-one"),
        ),
        "roots": (
            BackedRoot(
                root_id=ROOT_ID,
                is_current=True,
                wrap_algorithm=WrapAlgorithm.HSM_AES_GCM,
                check_kind="CKA_CHECK_VALUE",
                check_value="a1b2c3",
                canary=b"canary",
                canary_digest=hashlib.sha256(b"canary").hexdigest(),
                wrapped=b"wrapped root",
            ),
        ),
        "keys": (
            BackedKey(
                key_id="d1" * 16,
                label="direct",
                spec=KeySpec.ECC_NIST_P256,
                usage=KeyUsage.SIGN_VERIFY,
                public_key=b"public",
                canary=b"",
                made_for="",
                wrapped=b"wrapped key",
            ),
        ),
        "left_out": (
            LeftOutKey(
                key_id="d2" * 16,
                label="stays",
                spec=KeySpec.AES_256.value,
                usage=KeyUsage.ENCRYPT_DECRYPT.value,
                made_for="",
                why="may-not-leave",
            ),
        ),
        "snapshot_key_root": ROOT_ID,
        "snapshot": snapshot,
    }
    return Manifest(**(values | changes))  # type: ignore[arg-type]


def wrapped_snapshot_key() -> Blob:
    """Return a blob that has the form of a wrapped snapshot key."""
    wrapped = WrappedBytes(WrapAlgorithm.HSM_AES_GCM, bytes(12), bytes(32), bytes(16))
    return Blob.of_wrapped(Purpose.SNAPSHOT_KEY, bytes.fromhex(ROOT_ID), wrapped)


def a_snapshot(files: dict[str, bytes] = FILES) -> tuple[Snapshot, bytes]:
    """Return the encrypted form of some files, and what the manifest says of it."""
    out = io.BytesIO()
    snapshot = encrypt_snapshot(
        out,
        [SnapshotFile(name, io.BytesIO(content)) for name, content in files.items()],
        backup_id=BACKUP_ID,
        key=Secret(SNAPSHOT_KEY),
        wrapped_key=wrapped_snapshot_key(),
        revision="0014",
        counts={"keys": 3},
    )
    return snapshot, out.getvalue()


def a_bundle(
    signer: SoftwareSigner, *, of_set: dict[str, object] | None = None, **changes: object
) -> MadeBundle:
    """Return a bundle whose manifest the signer signed; ``changes`` are of the manifest, ``of_set`` of its set."""
    backup_set = a_set(signer.spki, **(of_set or {}))
    snapshot, encrypted = a_snapshot()
    manifest = a_manifest(backup_set, snapshot, **changes)
    manifest_bytes = write_manifest(manifest)
    signature = signer.sign(manifest_digest(manifest_bytes))
    out = io.BytesIO()
    write_bundle(out, manifest_bytes, signature, [encrypted])
    manifest_at = len(MAGIC) + struct.calcsize(">I")
    signature_at = manifest_at + len(manifest_bytes)
    return MadeBundle(
        backup_set, manifest, out.getvalue(), manifest_at, signature_at, len(out.getvalue()) - len(encrypted)
    )
