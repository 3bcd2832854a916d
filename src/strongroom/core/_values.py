"""Frozen values that more than one room speaks of."""

from enum import IntEnum, StrEnum
from typing import NamedTuple, NewType

RootId = NewType("RootId", bytes)
"""16 random bytes that name a root KEK; they are its CKA_ID on every member."""


class WrapAlgorithm(IntEnum):
    """How bytes were encrypted. The numbers are stored in blobs and never change meaning."""

    HSM_AES_GCM = 1
    """CKM_AES_GCM inside the HSM, 256-bit key, 12-byte IV, 16-byte tag."""
    XAES_256_GCM = 2
    """C2SP XAES-256-GCM in software: 24-byte nonce, 16-byte tag."""


class WrappedBytes(NamedTuple):
    """What an HSM made of key bytes: everything that is needed to unwrap them again, but the key and the AAD."""

    algorithm: WrapAlgorithm
    iv: bytes
    """The IV as the HSM used it (some make their own)."""
    ciphertext: bytes
    """Same length as what was wrapped, for the algorithms so far."""
    tag: bytes


class KeyState(StrEnum):
    """Lifecycle of a key, in the words of NIST SP 800-57 Part 1 Rev. 5, section 7."""

    ACTIVE = "active"
    """Protects and processes."""
    SUSPENDED = "suspended"
    """Does neither until it is active again (AWS KMS says Disabled, or PendingDeletion when it has a date of destruction)."""
    DESTROYED = "destroyed"
    """Its material is gone for good; what is known about it is kept (AWS KMS says that there is no such key)."""
