"""From a message to what is signed of it, and verifying: the checks of Sign and Verify, wherever the key is."""

import hashlib
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import mldsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from strongroom.core import HsmIntegrityError, ManagedKeySpec, SigningAlgorithm, VerificationFailedError
from strongroom.hsm.public_keys import MAX_MESSAGE_BYTES, verify_signature
from strongroom.keyring._errors import UnfitRequestError
from strongroom.keyring._use_values import MessageType

MU_BYTES: Final = 64
MAX_SIGNATURE_BYTES: Final = 6_144
"""What AWS KMS lets a signature have; ML-DSA-87, the longest there is, has 4,627."""
_HASHES: Final = {32: hashlib.sha256, 48: hashlib.sha384, 64: hashlib.sha512}
_FAST_TO_VERIFY: Final = frozenset(
    (
        *(ManagedKeySpec.RSA_2048, ManagedKeySpec.RSA_3072, ManagedKeySpec.RSA_4096),
        ManagedKeySpec.ECC_NIST_P256,
    )
)
_MlDsaPublicKey = mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey


class ToSign(NamedTuple):
    """What ``KeyWork.sign`` takes."""

    signed: bytes
    is_mu: bool


def to_sign(algorithm: SigningAlgorithm, message: bytes, kind: MessageType) -> ToSign:
    """Return what is signed of a message of 1 to 4,096 bytes.

    A digest where the algorithm names a hash (but for Ed25519, which is of the message itself), else the message, or
    for ML-DSA its representative. Raises UnfitRequestError, in words for the caller, when type or length does not fit.
    """
    if not 1 <= len(message) <= MAX_MESSAGE_BYTES:
        raise UnfitRequestError(f"A message has 1 to {MAX_MESSAGE_BYTES} bytes.")
    digest_len = algorithm.digest_len_bytes
    if digest_len is not None:
        if kind is MessageType.RAW:
            return ToSign(_HASHES[digest_len](message).digest(), is_mu=False)
        if kind is MessageType.DIGEST:
            if len(message) != digest_len:
                raise UnfitRequestError(f"Digest is invalid length for algorithm {algorithm}.")
            return ToSign(message, is_mu=False)
    elif kind is MessageType.RAW:
        return ToSign(message, is_mu=False)
    elif kind is MessageType.EXTERNAL_MU and algorithm is SigningAlgorithm.ML_DSA_SHAKE_256:
        if len(message) != MU_BYTES:
            raise UnfitRequestError(f"Message is invalid length for message type {kind}.")
        return ToSign(message, is_mu=True)
    raise UnfitRequestError(f"Message type {kind} is not valid for algorithm {algorithm}.")


def is_slow_to_verify(spec: ManagedKeySpec) -> bool:
    """Whether verifying takes over 100 us: on every curve but P-256, and with ML-DSA."""
    return spec not in _FAST_TO_VERIFY


def verify(
    spec: ManagedKeySpec, public_key: bytes, algorithm: SigningAlgorithm, what: ToSign, signature: bytes
) -> None:
    """Verify a signature by a public half that is known to be one of this spec. Raises VerificationFailedError."""
    if spec.direct is not None:
        verify_signature(spec.direct, public_key, algorithm, what.signed, signature)
        return
    try:
        key = load_der_public_key(public_key)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise HsmIntegrityError("a stored public half is none") from error
    if not isinstance(key, _MlDsaPublicKey):
        raise HsmIntegrityError("a stored public half is one of another kind of key")
    try:
        if what.is_mu:
            key.verify_mu(signature, what.signed)
        else:
            key.verify(signature, what.signed)
    except InvalidSignature:
        raise VerificationFailedError("the signature does not verify") from None
