"""Frozen values that more than one room speaks of."""

from enum import IntEnum, StrEnum
from typing import Final, NamedTuple, NewType

RootId = NewType("RootId", bytes)
"""16 random bytes that name a root KEK; they are its CKA_ID on every member."""


class WrapAlgorithm(IntEnum):
    """How bytes were encrypted. The numbers are stored in blobs and never change meaning."""

    HSM_AES_GCM = 1
    """AES-256-GCM inside the HSM: IV of 12 bytes, or of 16 where an HSM makes its own of that length; 16-byte tag."""
    XAES_256_GCM = 2
    """C2SP XAES-256-GCM in software: 24-byte nonce, 16-byte tag."""
    HSM_AES_CBC_HMAC = 3
    """AES-256-CBC with PKCS#7 padding, then HMAC-SHA-256, each under a key of its own inside the HSM: 16-byte IV, 32-byte
    tag. For HSMs without AES-GCM; a root is two objects then."""
    HSM_RSA_OAEP = 4
    """RSAES-OAEP (RFC 8017) under a root that is an RSA pair of 3,072 bits or more inside the HSM. For HSMs with neither
    of the others. It says what the bytes belong to, but not who made them: whoever knows the public half can."""


MAC_KEY_SUFFIX: Final = b"mac"
"""What follows the root id in the CKA_ID of the second object of a root of HSM_AES_CBC_HMAC."""


def root_object_ids(root_id: RootId, algorithm: WrapAlgorithm) -> tuple[bytes, ...]:
    """Return the CKA_ID of every object that a root is made of, the root id itself first.

    HSM_AES_GCM: one AES key. HSM_AES_CBC_HMAC: the AES key, and the MAC key under the root id followed by ``mac`` in
    ASCII (19 bytes). HSM_RSA_OAEP: both halves of the pair under one id, as is usual in PKCS#11.
    """
    if algorithm is WrapAlgorithm.HSM_AES_CBC_HMAC:
        return bytes(root_id), bytes(root_id) + MAC_KEY_SUFFIX
    return (bytes(root_id),)


class WrappedBytes(NamedTuple):
    """What an HSM made of key bytes: everything that is needed to unwrap them again, but the key and the AAD."""

    algorithm: WrapAlgorithm
    iv: bytes
    """The IV as the HSM used it (some make their own). For HSM_RSA_OAEP one byte, the number of the hash."""
    ciphertext: bytes
    """HSM_AES_GCM: as long as what was wrapped; HSM_AES_CBC_HMAC: 1 to 16 bytes longer; HSM_RSA_OAEP: the modulus."""
    tag: bytes
    """Empty for HSM_RSA_OAEP."""


class KeyState(StrEnum):
    """Lifecycle of a key, in the words of NIST SP 800-57 Part 1 Rev. 5, section 7."""

    PRE_ACTIVE = "pre-active"
    """Has a date before which it does nothing. No record has this state: it follows from the date."""
    ACTIVE = "active"
    """Protects and processes."""
    SUSPENDED = "suspended"
    """Does neither until it is active again (AWS KMS says Disabled, or PendingDeletion when it has a date of destruction)."""
    PENDING_IMPORT = "pending-import"
    """Its owner has not imported its material, or removed it: it does nothing (NIST: pre-activation)."""
    DEACTIVATED = "deactivated"
    """Its cryptoperiod is over: it processes, and protects nothing more. No record has this state: it follows from the date."""
    COMPROMISED = "compromised"
    """Others may know its material: it protects nothing any more, and does not become active again."""
    DESTROYED = "destroyed"
    """Its material is gone for good; what is known about it is kept (AWS KMS says that there is no such key)."""
