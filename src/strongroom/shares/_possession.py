"""Showing that one holds a share, without the share: a signature by a key that is derived from it.

The key is Ed25519 (RFC 8032); its seed is HKDF-SHA256 (RFC 5869) of the share's value, with the set as salt and the number of the
share in the label. So there is one key for each share of each set, and its public half, which the set keeps, tells nothing
of the share. What is signed holds its purpose, the set, the key and the challenge.
"""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from strongroom.core import encode_fields
from strongroom.shares._errors import PossessionError
from strongroom.shares._share import Share

SET_ID_BYTES: Final = 16
MIN_CHALLENGE_BYTES: Final = 16
MAX_CHALLENGE_BYTES: Final = 1_024
PROOF_BYTES: Final = 64
_KEY_LABEL: Final = "strongroom share possession key v1"
_PROOF_LABEL: Final = "strongroom share possession proof v1"


def possession_public_key(share: Share, set_id: bytes) -> bytes:
    """Return the public key (32 bytes) by which proofs of this share in this set are checked. ``set_id`` has 16 bytes."""
    return _private_key(share, set_id).public_key().public_bytes_raw()


def prove_possession(share: Share, set_id: bytes, challenge: bytes) -> bytes:
    """Return a proof (64 bytes) that whoever made it had the share. The challenge, 16 to 1,024 bytes, is random each time.

    Raises PossessionError when set or challenge have another length.
    """
    key = _private_key(share, set_id)
    return key.sign(_statement(key.public_key().public_bytes_raw(), set_id, challenge))


def check_possession(public_key: bytes, set_id: bytes, challenge: bytes, proof: bytes) -> None:
    """Check a proof against the key of the share. Raises PossessionError."""
    try:
        key = Ed25519PublicKey.from_public_bytes(public_key)
        key.verify(proof, _statement(public_key, set_id, challenge))
    except ValueError as error:
        raise PossessionError("the key that proofs are checked by is none") from error
    except InvalidSignature:
        raise PossessionError(
            "this proves nothing: it is of another share, set or challenge, or was altered",
            next_step="let the custodian prove the same challenge again, with the share of this set",
        ) from None


def _private_key(share: Share, set_id: bytes) -> Ed25519PrivateKey:
    _check_set(set_id)
    numbers = (share.set_identifier, share.group_index, share.index, share.threshold)
    info = encode_fields(_KEY_LABEL, [number.to_bytes(2, "big") for number in numbers])
    return Ed25519PrivateKey.from_private_bytes(HKDF(SHA256(), 32, set_id, info).derive(share.value.reveal()))


def _statement(public_key: bytes, set_id: bytes, challenge: bytes) -> bytes:
    _check_set(set_id)
    if not MIN_CHALLENGE_BYTES <= len(challenge) <= MAX_CHALLENGE_BYTES:
        raise PossessionError(f"a challenge has {MIN_CHALLENGE_BYTES} to {MAX_CHALLENGE_BYTES:,} bytes")
    return encode_fields(_PROOF_LABEL, [set_id, public_key, challenge])


def _check_set(set_id: bytes) -> None:
    if len(set_id) != SET_ID_BYTES:
        raise PossessionError(f"a set is named by {SET_ID_BYTES} bytes, not {len(set_id)}")
