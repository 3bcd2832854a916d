"""The manifest of a bundle: what is in it, what is not, and how what is taken from it is recognised. Nothing in it is secret."""

import hashlib
from typing import Annotated, Final, Literal

import msgspec

from strongroom.backup._documents import (
    MAX_MANIFEST_BYTES,
    CustodyDocument,
    Document,
    Hex16,
    Hex32,
    Hex32OrNone,
    HexOrNone,
    MemberName,
    Name,
    Number,
    Seconds,
    SpkiOrNone,
    Words,
    WrappedKey,
    read_as,
    write_as,
)
from strongroom.backup._errors import AlteredBundleError, BackupError, MissingKeyError
from strongroom.backup._set import Origin
from strongroom.core import HsmKey, HsmKeyId, KeySpec, KeyUsage
from strongroom.custody import document_hash

_BESIDE_THE_DATABASE: Final = "strongroom.db-"
"""How files are called that SQLite would play into ``strongroom.db`` when it is opened (-wal, -journal): its hash would say nothing."""
_SIGNED_AS: Final = b"strongroom-backup-manifest-v1\0"
"""In front of what is hashed to be signed, so that no other signature of the key is one of a manifest."""


class BackedMember(Document, frozen=True, kw_only=True):
    """A member of the cluster as it was."""

    name: MemberName
    profile: Name
    token_serial: Words
    token_label: Words


class BackedRoot(Document, frozen=True, kw_only=True):
    """A root, wrapped under the source's backup transport key of the kind ``aes``."""

    root_id: Hex16
    is_current: bool
    wrap_algorithm: Annotated[int, msgspec.Meta(ge=0, le=255)]
    """``core.WrapAlgorithm``."""
    check_kind: Name
    check_value: Name
    """The key check value: it spots mix-ups, and proves nothing."""
    canary: Annotated[bytes, msgspec.Meta(min_length=1, max_length=6144)]
    """Blob of random bytes under the root: who opens it holds the root."""
    canary_digest: Hex32
    """SHA-256 of those bytes."""
    wrapped: WrappedKey


class BackedKey(Document, frozen=True, kw_only=True):
    """A Direct key, wrapped under the source's backup transport key of its kind (``core.transport_kind``)."""

    key_id: Hex16
    label: Name
    spec: KeySpec
    usage: KeyUsage
    public_key: SpkiOrNone
    """Of a pair; else empty."""
    canary: Annotated[bytes, msgspec.Meta(max_length=256)]
    """The known answer of a key without a public half (``storage.HsmKeyRecord.canary``); else empty."""
    made_for: Words
    """The version of a key of the service, ``KEY-ID/VERSION``; empty where it belongs to none."""
    wrapped: WrappedKey

    @property
    def key(self) -> HsmKey:
        """The key as its users name it."""
        return HsmKey(HsmKeyId(bytes.fromhex(self.key_id)), self.spec, self.usage)


class LeftOutKey(Document, frozen=True, kw_only=True):
    """A Direct key that is not in the bundle. What needs it cannot be done any more once the members are lost."""

    key_id: Hex16
    label: Name
    spec: Words
    """As ``core.KeySpec`` names it, and usage as ``core.KeyUsage`` does; both empty where the record cannot be read."""
    usage: Words
    made_for: Words
    why: Literal["may-not-leave", "in-quarantine", "unreadable-record", "destroyed-meanwhile"]
    """It was made to stay in its member; no member shows that it is the key of its record; its record says what cannot be; it was
    destroyed after the database was copied."""


class SnapshotPart(Document, frozen=True, kw_only=True):
    """A file in the snapshot."""

    name: Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9._-]{0,63}\Z")]
    size: Number
    sha256: Hex32


class Snapshot(Document, frozen=True, kw_only=True):
    """What stands encrypted at the end of the bundle: files one behind the other, as one chunked message (``envelope``)."""

    size: Number
    """Of the encrypted form, in bytes."""
    sha256: Hex32
    """Of the encrypted form."""
    parts: Annotated[tuple[SnapshotPart, ...], msgspec.Meta(min_length=1, max_length=32)]
    """In their order."""
    revision: Name
    """Revision of the database."""
    counts: Annotated[dict[Name, Number], msgspec.Meta(max_length=100)]
    """Rows by table of the database."""


class Manifest(Document, frozen=True, kw_only=True):
    """What a bundle says of itself, and what is signed of it."""

    type: Literal["strongroom-backup-manifest"] = "strongroom-backup-manifest"
    version: Literal[1] = 1
    backup_id: Hex16
    set_id: Hex16
    set_sha256: Hex32
    """Of the document of the set (``set_hash``)."""
    cluster_id: HexOrNone
    made_at: Seconds
    software: Name
    """Version of the software that made it."""
    origin: Origin
    genesis_sha256: Hex32OrNone
    """By which genesis the officers of the cluster began; empty in a home without officers."""
    custody_head: Hex32OrNone
    """Hash of the newest record of custody."""
    custody: Annotated[tuple[CustodyDocument, ...], msgspec.Meta(max_length=10_001)] = ()
    """The genesis and every record behind it, in their very bytes: by them a restore is judged before the database can be read."""
    approval: Hex32OrNone
    """The request by which officers approved the backup."""
    source: MemberName
    """Whose backup transport keys wrap everything in it."""
    members: Annotated[tuple[BackedMember, ...], msgspec.Meta(min_length=1, max_length=64)]
    roots: Annotated[tuple[BackedRoot, ...], msgspec.Meta(min_length=1, max_length=1000)]
    keys: Annotated[tuple[BackedKey, ...], msgspec.Meta(max_length=20_000)]
    left_out: Annotated[tuple[LeftOutKey, ...], msgspec.Meta(max_length=20_000)]
    snapshot_key_root: Hex16
    """The root under which the snapshot's key is wrapped: one of ``roots``."""
    snapshot: Snapshot

    def root(self, root_id: str) -> BackedRoot:
        """Return a root by its id in hex. Raises MissingKeyError."""
        for root in self.roots:
            if root.root_id == root_id:
                return root
        raise MissingKeyError(f"the bundle does not hold root {root_id}")

    @property
    def current_root(self) -> BackedRoot:
        """The root that was the current one. Raises MissingKeyError."""
        for root in self.roots:
            if root.is_current:
                return root
        raise MissingKeyError("the bundle holds no current root")

    def part(self, name: str) -> SnapshotPart:
        """Return a file of the snapshot by its name. Raises MissingKeyError."""
        for part in self.snapshot.parts:
            if part.name == name:
                return part
        raise MissingKeyError(f"the snapshot of the bundle holds no {name}")


def write_manifest(manifest: Manifest) -> bytes:
    """Return the bytes of a manifest. Raises BackupError when they would be refused."""
    data = write_as(manifest)
    try:
        read_manifest(data)
    except AlteredBundleError as error:
        raise BackupError(f"this cluster has what no manifest can say: {error.message}") from error
    return data


def read_manifest(data: bytes) -> Manifest:
    """Return the manifest that the bytes are; nobody has verified it. Raises AlteredBundleError."""
    manifest = read_as(data, Manifest, max_bytes=MAX_MANIFEST_BYTES, malformed=_malformed)
    _check(manifest)
    return manifest


def manifest_digest(data: bytes) -> bytes:
    """Return what the backup signing key signs of a manifest (ECDSA_SHA_256): SHA-256 of a label and its bytes."""
    return hashlib.sha256(_SIGNED_AS + data).digest()


def _malformed(message: str) -> BackupError:
    return AlteredBundleError("manifest", message)


def _check(manifest: Manifest) -> None:
    if len({root.root_id for root in manifest.roots}) != len(manifest.roots):
        raise _malformed("a root stands in it twice")
    if sum(root.is_current for root in manifest.roots) != 1:
        raise _malformed("it does not have one current root")
    if manifest.snapshot_key_root not in {root.root_id for root in manifest.roots}:
        raise _malformed("the root that opens the snapshot is not in it")
    keys = [key.key_id for key in manifest.keys] + [key.key_id for key in manifest.left_out]
    if len(set(keys)) != len(keys):
        raise _malformed("a key stands in it twice")
    if manifest.custody and document_hash(manifest.custody[0]) != manifest.genesis_sha256:
        raise _malformed("the genesis in it is not the one that it names")
    names = [part.name for part in manifest.snapshot.parts]
    if len(set(names)) != len(names):
        raise _malformed("a file of the snapshot stands in it twice")
    if any(name.startswith(_BESIDE_THE_DATABASE) for name in names):
        raise _malformed(
            "a file of the snapshot would be taken for changes that its database has not seen yet"
        )
