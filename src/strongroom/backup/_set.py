"""The document of a backup set: everything about it that is no secret. It opens nothing by itself.

A set is made once, in a ceremony; bundles are then made under it for as long as it is not retired. Whoever opens a bundle
needs the bundle, the document of its set, and the shares of ``threshold`` of its custodians.

Anybody can wrap transport keys of their own under the pair of a set, and name another key that signs. So the document is *sealed*:
HMAC-SHA-256 over all of it, by a key that the share key gives. Whoever opens a bundle has the share key, and sees then that the
document is the one that was made with it (``check_share_key``); before that, its hash is compared with the transcript's.
"""

import hashlib
import hmac
import re
from typing import Annotated, Final, Literal

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from strongroom.backup._documents import (
    MAX_SET_BYTES,
    Document,
    Hex16,
    Hex32,
    Hex32OrNone,
    HexOrNone,
    MemberName,
    Name,
    Seconds,
    Spki,
    Words,
    WrappedKey,
    read_as,
    write_as,
)
from strongroom.backup._errors import MalformedSetError, MissingKeyError, NewerBundleError, WrongSetError
from strongroom.core import Secret, TransportKind

SHARE_KEY_BYTES: Final = 32
"""Of the key that is split among the custodians."""
MOST_CUSTODIANS: Final = 16
Origin = Literal["hsm", "softhsm"]
"""Of what kind the members are whose keys are backed up. What comes from an HSM is not put into SoftHSM unless people say so."""

_TYPE: Final = "strongroom-backup-set"
_VERSION: Final = re.compile(rb'"type":"strongroom-backup-set","version":(\d{1,9})[,}]')
_CHECK_INFO: Final = b"strongroom share key check v1"
_SEAL_INFO: Final = b"strongroom backup set seal v1"
_SEALED_AS: Final = b"strongroom-backup-set-seal-v1\0"
UNSEALED: Final = "0" * 64
"""Stands in the place of the seal while the set is made, and in what is sealed."""


class WrappedTransport(Document, frozen=True, kw_only=True):
    """One transport key of a member, wrapped under the set's RSA pair (RSAES-OAEP, as ``MakeTransportKeys`` does it)."""

    cka_id: Hex16
    """Its CKA_ID on the member."""
    kind: TransportKind
    wrapped: WrappedKey


class SetTransport(Document, frozen=True, kw_only=True):
    """The backup transport keys of one member: one of each kind."""

    member: MemberName
    mechanism: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
    """CKM_ number by which keys are wrapped under them."""
    oaep_hash: Literal["sha1", "sha256", "sha384", "sha512"]
    """Hash, and MGF1 hash, of the RSA-OAEP by which they are wrapped: the HSM that opens a bundle must know it."""
    keys: Annotated[tuple[WrappedTransport, ...], msgspec.Meta(min_length=1, max_length=16)]


class SigningKey(Document, frozen=True, kw_only=True):
    """The Direct key (P-256) of the cluster that signs the manifests of the set's bundles."""

    cka_id: Hex16
    spki: Spki


class SetCustodian(Document, frozen=True, kw_only=True):
    """Who holds a share. Nothing of the share itself stands here."""

    id: Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?\Z")]
    name: Name
    location: Words
    share_index: Annotated[int, msgspec.Meta(ge=1, le=256)]
    """Which share it is, from 1."""
    delivery: Literal["paper", "age", "card"]
    possession_key: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    """Ed25519 public key, raw (RFC 8032): what proves that the custodian has the share (``shares.check_possession``)."""


class BackupSet(Document, frozen=True, kw_only=True):
    """A backup set."""

    type: Literal["strongroom-backup-set"] = "strongroom-backup-set"
    version: Literal[1] = 1
    set_id: Hex16
    cluster_id: HexOrNone
    """Of the genesis; empty in a home without officers."""
    genesis_sha256: Hex32OrNone
    """By which genesis the officers of the cluster began; empty in a home without officers. Bundles of the set are of these officers."""
    made_at: Seconds
    threshold: Annotated[int, msgspec.Meta(ge=2, le=MOST_CUSTODIANS)]
    count: Annotated[int, msgspec.Meta(ge=2, le=MOST_CUSTODIANS)]
    slip39_identifier: Annotated[int, msgspec.Meta(ge=0, lt=2**15)]
    """What the first words of its shares say (SLIP-39): shares of another set are told by it."""
    origin: Origin
    share_key_check: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{16}\Z")]
    """``share_key_check`` of the key that the shares give."""
    spki: Spki
    """Public half of the set's RSA pair."""
    wrapped_private: WrappedKey
    """Its private half (PKCS#8), wrapped under the share key inside an HSM."""
    wrap_mechanism: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
    """CKM_ number of that wrapping."""
    transports: Annotated[tuple[SetTransport, ...], msgspec.Meta(min_length=1, max_length=64)]
    """Of each member at the time; a member that was added later has none."""
    signing_key: SigningKey
    custodians: Annotated[tuple[SetCustodian, ...], msgspec.Meta(max_length=MOST_CUSTODIANS)]
    """Empty only while the set is being made; else one for each share, by ``share_index``."""
    seal: Hex32 = UNSEALED
    """Shows whoever has the share key that nothing in the document was changed (``sealed_set``)."""

    def transport(self, member: str, kind: TransportKind) -> WrappedTransport:
        """Return a member's backup transport key for a kind of keys. Raises MissingKeyError."""
        for transport in self.transports:
            for key in transport.keys:
                if (transport.member, key.kind) == (member, kind):
                    return key
        raise MissingKeyError(
            f"member {member} has no backup transport key for {kind} keys in set {self.set_id}",
            next_step="it was perhaps added after the set was made: make another set, by a ceremony of the type reshare",
        )

    def transports_of(self, member: str) -> SetTransport:
        """Return all backup transport keys of a member. Raises MissingKeyError."""
        for transport in self.transports:
            if transport.member == member:
                return transport
        raise MissingKeyError(f"member {member} has no backup transport keys in set {self.set_id}")


def write_set(backup_set: BackupSet) -> bytes:
    """Return the bytes of the document. Raises MalformedSetError when they would be refused."""
    data = write_as(backup_set)
    read_set(data)
    return data


def read_set(data: bytes) -> BackupSet:
    """Return the set that a document is of. Raises MalformedSetError and NewerBundleError."""
    found = _VERSION.search(data[-200:])
    if found is not None and found[1] != b"1":
        raise NewerBundleError("backup set", found[1].decode())
    backup_set = read_as(data, BackupSet, max_bytes=MAX_SET_BYTES, malformed=_malformed)
    _check(backup_set)
    return backup_set


def set_hash(backup_set: BackupSet) -> str:
    """Return SHA-256 of the document, in hex, as ``sha256sum`` prints it of the file."""
    return hashlib.sha256(write_as(backup_set)).hexdigest()


def share_key_check(share_key: Secret) -> str:
    """Return the check value of a share key: 8 bytes in hex, by HKDF-SHA-256 (RFC 5869), which tell nothing of the key."""
    hkdf = HKDF(algorithm=hashes.SHA256(), length=8, salt=None, info=_CHECK_INFO)
    return hkdf.derive(share_key.reveal()).hex()


def set_seal_key(share_key: Secret) -> Secret:
    """Return the key that seals the document of a set: 32 bytes, by HKDF-SHA-256, which tell nothing of the share key."""
    hkdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=_SEAL_INFO)
    return Secret(hkdf.derive(share_key.reveal()))


def sealed_set(backup_set: BackupSet, seal_key: Secret) -> BackupSet:
    """Return the set with its seal: HMAC-SHA-256 over a label and the document with zeros in the place of the seal."""
    unsealed = msgspec.structs.replace(backup_set, seal=UNSEALED)
    seal = hmac.digest(seal_key.reveal(), _SEALED_AS + write_as(unsealed), "sha256")
    return msgspec.structs.replace(backup_set, seal=seal.hex())


def check_share_key(backup_set: BackupSet, share_key: Secret) -> None:
    """Check that this is the key that the shares of the set give, and that it sealed this very document. Raises WrongSetError."""
    if share_key_check(share_key) != backup_set.share_key_check:
        raise WrongSetError(
            f"these shares give another key than that of set {backup_set.set_id}",
            next_step="bring the shares of this set: each sheet names the set that it is of",
        )
    seal_key = set_seal_key(share_key)
    try:
        sealed = sealed_set(backup_set, seal_key)
    finally:
        seal_key.zeroize()
    if not hmac.compare_digest(sealed.seal, backup_set.seal):
        raise WrongSetError(
            f"the document of set {backup_set.set_id} was changed after the ceremony: its shares did not seal it",
            next_step="bring the document in the bytes that the ceremony wrote (its hash stands in the transcript), and find out who"
            " changed this one: keys of theirs may be in the bundle",
        )


def _malformed(message: str) -> MalformedSetError:
    return MalformedSetError(
        f"this is no document of a backup set: {message}",
        next_step="name the file that the ceremony wrote, in the bytes that it wrote",
    )


def _check(backup_set: BackupSet) -> None:
    if backup_set.threshold > backup_set.count:
        raise _malformed("its threshold is above the number of its shares")
    if len({one.member for one in backup_set.transports}) != len(backup_set.transports):
        raise _malformed("a member stands in it twice")
    keys = [key for one in backup_set.transports for key in one.keys]
    if len({key.cka_id for key in keys}) != len(keys):
        raise _malformed("a transport key stands in it twice")
    if any(len({key.kind for key in one.keys}) != len(one.keys) for one in backup_set.transports):
        raise _malformed("a member has two transport keys of one kind")
    custodians = backup_set.custodians
    if custodians and len(custodians) != backup_set.count:
        raise _malformed("it does not name as many custodians as there are shares")
    indexes = [custodian.share_index for custodian in custodians]
    if indexes != sorted(set(indexes)) or len({custodian.id for custodian in custodians}) != len(custodians):
        raise _malformed("a custodian or a share stands in it twice, or they are not in order")
