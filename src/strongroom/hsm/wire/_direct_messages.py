"""The verbs of Direct keys: uses of their secret half for the use socket, making and destroying for the admin socket.

Specs, usages and algorithms are checked by the decoder, lengths and what fits what by the token (``hsm.token``).
"""

import msgspec

from strongroom.core import HsmKey, OaepAlgorithm, SigningAlgorithm, WrappedBytes


class _Message(msgspec.Struct, frozen=True, array_like=True):
    """As in ``_messages``."""


class DirectSign(_Message, frozen=True, array_like=True, tag="direct-sign"):
    """Sign a digest, or for Ed25519 a message. Answered by bytes."""

    key: HsmKey
    algorithm: SigningAlgorithm
    signed: bytes


class DirectMac(_Message, frozen=True, array_like=True, tag="direct-mac"):
    """Make a MAC. Answered by bytes."""

    key: HsmKey
    message: bytes


class DirectEncrypt(_Message, frozen=True, array_like=True, tag="direct-encrypt"):
    """Encrypt under an AES key. Answered by ``core.WrappedBytes``."""

    key: HsmKey
    plaintext: bytes
    aad: bytes


class DirectDecrypt(_Message, frozen=True, array_like=True, tag="direct-decrypt"):
    """Decrypt under an AES key. Answered by bytes."""

    key: HsmKey
    sealed: WrappedBytes
    aad: bytes


class DirectDecryptOaep(_Message, frozen=True, array_like=True, tag="direct-decrypt-oaep"):
    """Decrypt under an RSA key. Answered by bytes."""

    key: HsmKey
    algorithm: OaepAlgorithm
    ciphertext: bytes


class DirectDerive(_Message, frozen=True, array_like=True, tag="direct-derive"):
    """Agree on a secret by ECDH. Answered by bytes."""

    key: HsmKey
    peer_spki_der: bytes


class DirectPublicKey(_Message, frozen=True, array_like=True, tag="direct-public-key"):
    """The public half of a pair. Answered by bytes, SPKI DER."""

    key: HsmKey


class GenerateDirect(_Message, frozen=True, array_like=True, tag="generate-direct"):
    """Make a Direct key. Answered by its public half, SPKI DER, or no bytes if it has none."""

    key: HsmKey
    label: str
    may_leave: bool
    """Whether it can be wrapped out, under keys that the security officer trusts only."""


class DestroyDirect(_Message, frozen=True, array_like=True, tag="destroy-direct"):
    """Destroy all objects of a Direct key. Answered by None once they are gone."""

    key: HsmKey


class HoldsDirect(_Message, frozen=True, array_like=True, tag="holds-direct"):
    """Whether the token holds the secret half. Answered by bool."""

    key: HsmKey


class InspectDirect(_Message, frozen=True, array_like=True, tag="inspect-direct"):
    """Which attributes of the secret half are not as they were when it was made. Answered by their names, CKA_…."""

    key: HsmKey
    may_leave: bool


DirectUseCall = (
    DirectSign
    | DirectMac
    | DirectEncrypt
    | DirectDecrypt
    | DirectDecryptOaep
    | DirectDerive
    | DirectPublicKey
)
DirectAdminCall = GenerateDirect | DestroyDirect | HoldsDirect | InspectDirect
