"""Public keys of logs and witnesses, and how each kind signs a checkpoint (C2SP signed-note, tlog-cosignature). Pure.

A key is written as ``name+key id in hex+base64(kind || key)``, which names and recognises it wherever one is asked for.

    kind  what                                   signature after the key id
    0x01  Ed25519 of the text                    64 bytes
    0x02  ECDSA, P-256, SHA-256 of the text      ECDSA-Sig-Value, DER; the key is SPKI DER, its id SHA-256(SPKI)[:4]
    0x04  Ed25519 cosignature                    8 bytes of time, 64 bytes
    0x06  ML-DSA-44 cosignature                  8 bytes of time, 2,420 bytes
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from strongroom.audit._checkpoint import ed25519_cosigned, mldsa_cosigned, read_checkpoint
from strongroom.audit._errors import MalformedNoteError
from strongroom.audit._note import (
    KEY_ID_BYTES,
    Note,
    Signature,
    decode_base64,
    require_key_name,
    verify_note,
)
from strongroom.core import HsmRequestError, KeySpec, SigningAlgorithm, VerificationFailedError
from strongroom.hsm.public_keys import load_public_key, verify_signature

MAX_KEY_TEXT_BYTES = 4096
TIME_BYTES = 8
_MAX_TIME = 2**63 - 1


class KeyKind(IntEnum):
    """How a key signs, by the byte that C2SP signed-note assigns."""

    ED25519 = 1
    ECDSA_P256 = 2
    ED25519_COSIGNER = 4
    MLDSA44_COSIGNER = 6

    @property
    def is_cosigner(self) -> bool:
        """Whether its signatures tell when they were made."""
        return self in {KeyKind.ED25519_COSIGNER, KeyKind.MLDSA44_COSIGNER}


@dataclass(frozen=True)
class LogKey:
    """A public key under its name. Raises MalformedNoteError when it is made of anything else."""

    name: str
    kind: KeyKind
    public_key: bytes
    """Raw; of ECDSA keys SubjectPublicKeyInfo, DER."""

    def __post_init__(self) -> None:
        require_key_name(self.name)
        try:
            match self.kind:
                case KeyKind.ECDSA_P256:
                    load_public_key(KeySpec.ECC_NIST_P256, self.public_key)
                case KeyKind.MLDSA44_COSIGNER:
                    MLDSA44PublicKey.from_public_bytes(self.public_key)
                case _:
                    Ed25519PublicKey.from_public_bytes(self.public_key)
        except (ValueError, UnsupportedAlgorithm, HsmRequestError) as error:
            raise MalformedNoteError(f"this is no public key of the kind {self.kind.name}") from error

    @cached_property
    def key_id(self) -> bytes:
        """The 4 bytes that recognise the key in a signature; not a fingerprint."""
        if self.kind is KeyKind.ECDSA_P256:
            return hashlib.sha256(self.public_key).digest()[:KEY_ID_BYTES]
        hashed = self.name.encode() + b"\n" + bytes([self.kind]) + self.public_key
        return hashlib.sha256(hashed).digest()[:KEY_ID_BYTES]

    def text(self) -> str:
        """Return the key as one line."""
        encoded = base64.b64encode(bytes([self.kind]) + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    def verify(self, text: str, data: bytes) -> None:
        """Raise VerificationFailedError unless ``data`` is a signature of this key over the text of a checkpoint."""
        try:
            self._verify(text, data)
        except (InvalidSignature, VerificationFailedError, MalformedNoteError, ValueError) as error:
            raise VerificationFailedError(
                f"the signature of {self.name} ({self.kind.name}) does not verify"
            ) from error

    def _verify(self, text: str, data: bytes) -> None:
        match self.kind:
            case KeyKind.ED25519:
                Ed25519PublicKey.from_public_bytes(self.public_key).verify(data, text.encode())
            case KeyKind.ECDSA_P256:
                digest = hashlib.sha256(text.encode()).digest()
                algorithm = SigningAlgorithm.ECDSA_SHA_256
                verify_signature(KeySpec.ECC_NIST_P256, self.public_key, algorithm, digest, data)
            case KeyKind.ED25519_COSIGNER:
                read_checkpoint(text)
                signed = ed25519_cosigned(text, cosigned_at(data))
                Ed25519PublicKey.from_public_bytes(self.public_key).verify(data[TIME_BYTES:], signed)
            case KeyKind.MLDSA44_COSIGNER:
                signed = mldsa_cosigned(self.name, read_checkpoint(text), cosigned_at(data))
                MLDSA44PublicKey.from_public_bytes(self.public_key).verify(data[TIME_BYTES:], signed)


def verify_checkpoint(note: Note, keys: Sequence[LogKey]) -> tuple[Signature, ...]:
    """Return the signatures of ``keys``, as ``verify_note`` does, of a checkpoint that its log signed.

    A log's cosigner is a key in a file of its host. Where another key of the log is known, that one must have signed:
    a checkpoint that only the cosigner signed is one that the HSMs never saw. Raises VerificationFailedError and MalformedNoteError.
    """
    origin = read_checkpoint(note.text).origin
    good = verify_note(note, keys)
    own = {key.key_id: key for key in keys if key.name == origin}
    signed = [own[one.key_id] for one in good if one.name == origin]
    if not signed:
        raise VerificationFailedError("none of the log's keys that are trusted signed this checkpoint")
    if all(key.kind.is_cosigner for key in signed) and not all(key.kind.is_cosigner for key in own.values()):
        raise VerificationFailedError("only the cosigner signed it, and not the key of the log")
    return good


def cosigned_at(data: bytes) -> int:
    """Return when a cosignature was made, in seconds since the Unix epoch. Raises MalformedNoteError."""
    timestamp = int.from_bytes(data[:TIME_BYTES], "big")
    if len(data) <= TIME_BYTES or timestamp > _MAX_TIME:
        raise MalformedNoteError("this is no cosignature")
    return timestamp


def read_log_key(text: str) -> LogKey:
    """Read a key as it is written. Raises MalformedNoteError."""
    if len(text) > MAX_KEY_TEXT_BYTES:
        raise MalformedNoteError("a public key of a log is shorter")
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    data = decode_base64(encoded)
    try:
        kind = KeyKind(data[0])
    except (IndexError, ValueError) as error:
        raise MalformedNoteError("this program knows no such kind of key") from error
    key = LogKey(name, kind, data[1:])
    if key_id != key.key_id.hex():
        raise MalformedNoteError("the key does not fit the id that stands before it")
    return key
