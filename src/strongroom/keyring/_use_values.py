"""What the further use verbs take and give: signatures, MACs, shared secrets, pairs of data keys."""

from enum import StrEnum
from typing import NamedTuple

from strongroom.core import KeyOrigin, KeyUsage, ManagedKeySpec, Secret


class MessageType(StrEnum):
    """What the message of a Sign or Verify request is."""

    RAW = "RAW"
    """The message itself."""
    DIGEST = "DIGEST"
    """Its digest, by the hash of the algorithm."""
    EXTERNAL_MU = "EXTERNAL_MU"
    """The message representative of ML-DSA (FIPS 204, section 6.2), 64 bytes."""


class Signed(NamedTuple):
    """A signature by a key."""

    key_id: str
    material_id: str
    signature: bytes


class Maced(NamedTuple):
    """A MAC by a key."""

    key_id: str
    material_id: str
    mac: bytes


class Verified(NamedTuple):
    """The key whose signature or MAC it was; a wrong one raises."""

    key_id: str
    material_id: str


class PublicHalf(NamedTuple):
    """The public half of a key, and what it is for."""

    key_id: str
    material_id: str
    public_key: bytes
    """SubjectPublicKeyInfo in DER."""
    spec: ManagedKeySpec
    usage: KeyUsage


class Derived(NamedTuple):
    """The secret that a key agreed on with somebody else's public key."""

    key_id: str
    material_id: str
    shared_secret: Secret
    """The x coordinate, as long as the curve's field."""
    origin: KeyOrigin


class DataKeyPair(NamedTuple):
    """A fresh pair: public half, private half in clear, and private half encrypted under its key."""

    key_id: str
    material_id: str
    public_key: bytes
    """SubjectPublicKeyInfo in DER."""
    private_key: Secret
    """PrivateKeyInfo in DER (PKCS#8); zeroized where nobody asked for it."""
    ciphertext: bytes
