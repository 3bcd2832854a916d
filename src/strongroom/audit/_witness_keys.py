"""The keys by which a witness cosigns: Ed25519, and ML-DSA-44 against quantum computers (C2SP tlog-cosignature)."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from strongroom.audit._checkpoint import Checkpoint, ed25519_cosigned, mldsa_cosigned
from strongroom.audit._checkpoint_keys import TIME_BYTES, KeyKind, LogKey
from strongroom.audit._errors import MalformedNoteError
from strongroom.audit._note import Signature

SEED_BYTES = 64
"""What a witness keeps secret: 32 bytes for each key."""


class WitnessSigner:
    """Cosigns under one name. For any thread."""

    def __init__(self, name: str, seed: bytes) -> None:
        """``seed``: 64 random bytes. Raises MalformedNoteError where they, or the name, are no such thing."""
        if len(seed) != SEED_BYTES:
            raise MalformedNoteError(f"the key of a witness has {SEED_BYTES} bytes")
        self.name = name
        self._ed25519 = Ed25519PrivateKey.from_private_bytes(seed[:32])
        self._mldsa = MLDSA44PrivateKey.from_seed_bytes(seed[32:])
        self.keys = (
            LogKey(name, KeyKind.ED25519_COSIGNER, self._ed25519.public_key().public_bytes_raw()),
            LogKey(name, KeyKind.MLDSA44_COSIGNER, self._mldsa.public_key().public_bytes_raw()),
        )
        """Public keys: the first for all who speak the protocol, the second for those who know it."""

    def cosign(self, checkpoint: Checkpoint, timestamp: int) -> tuple[Signature, ...]:
        """Return cosignatures of a checkpoint. ``timestamp``: seconds since the Unix epoch.

        One with extension lines gets no ML-DSA-44 cosignature, which would not cover them.
        """
        at = timestamp.to_bytes(TIME_BYTES, "big")
        first, second = self.keys
        data = self._ed25519.sign(ed25519_cosigned(checkpoint.text(), timestamp))
        signatures = [Signature(self.name, first.key_id, at + data)]
        if not checkpoint.extensions:
            data = self._mldsa.sign(mldsa_cosigned(self.name, checkpoint, timestamp))
            signatures.append(Signature(self.name, second.key_id, at + data))
        return tuple(signatures)
