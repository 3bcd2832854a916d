"""Signatures: their encodings, and verifying them in software."""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)

from strongroom.core import HsmError, HsmRequestError, KeySpec, SigningAlgorithm, VerificationFailedError
from strongroom.hsm.public_keys._curves import curve_of
from strongroom.hsm.public_keys._keys import PublicKey, load_public_key

MAX_MESSAGE_BYTES: Final = 4096
"""Of what is signed by Ed25519, given to HMAC, or encrypted; what is longer is hashed or enveloped outside."""

_MAX_SIGNATURE_BYTES: Final = 1024
_HASHES: Final = {32: hashes.SHA256(), 48: hashes.SHA384(), 64: hashes.SHA512()}
_DIGEST_INFO: Final = {
    32: bytes.fromhex("3031300d060960864801650304020105000420"),
    48: bytes.fromhex("3041300d060960864801650304020205000430"),
    64: bytes.fromhex("3051300d060960864801650304020305000440"),
}
"""The DER before a digest of SHA-256, SHA-384 and SHA-512 (RFC 8017, section 9.2, note 1)."""


def check_signed(spec: KeySpec, algorithm: SigningAlgorithm, signed: bytes) -> None:
    """Raise HsmRequestError unless a key of this spec can sign this by this algorithm."""
    if algorithm not in spec.signing_algorithms:
        raise HsmRequestError(f"a key of {spec} does not sign by {algorithm}")
    digest_len = algorithm.digest_len_bytes
    if digest_len is not None and len(signed) != digest_len:
        raise HsmRequestError(f"{algorithm} signs a digest of {digest_len} bytes, not of {len(signed)}")
    if digest_len is None and not 1 <= len(signed) <= MAX_MESSAGE_BYTES:
        raise HsmRequestError(f"a message to sign has 1 to {MAX_MESSAGE_BYTES:,} bytes, not {len(signed)}")


def digest_info(digest: bytes) -> bytes:
    """Encode a SHA-2 digest of 32, 48 or 64 bytes as DigestInfo, which CKM_RSA_PKCS pads and signs. Raises HsmRequestError."""
    if len(digest) not in _DIGEST_INFO:
        raise HsmRequestError(f"no digest that is signed here has {len(digest)} bytes")
    return _DIGEST_INFO[len(digest)] + digest


def der_from_raw(spec: KeySpec, raw: bytes) -> bytes:
    """Encode r and s, each of the curve's length (PKCS#11), as ECDSA-Sig-Value (RFC 3279, section 2.2.3).

    Raises HsmError when this cannot be a signature: a token made it.
    """
    curve = curve_of(spec)
    half = curve.field_len_bytes
    if len(raw) != 2 * half:
        raise HsmError(f"the token made an ECDSA signature of {len(raw)} bytes, where {spec} has {2 * half}")
    r, s = int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")
    if not (0 < r < curve.order and 0 < s < curve.order):
        raise HsmError("the token made an ECDSA signature whose numbers are out of range")
    return encode_dss_signature(r, s)


def raw_from_der(spec: KeySpec, der: bytes) -> bytes:
    """Decode an ECDSA-Sig-Value as r and s, each of the curve's length. Raises VerificationFailedError unless it is DER."""
    curve = curve_of(spec)
    if len(der) > _MAX_SIGNATURE_BYTES:
        raise VerificationFailedError("the signature is too long")
    try:
        r, s = decode_dss_signature(der)
    except ValueError as error:
        raise VerificationFailedError("the signature is no ECDSA-Sig-Value in DER") from error
    if not (0 < r < curve.order and 0 < s < curve.order) or encode_dss_signature(r, s) != der:
        raise VerificationFailedError("the signature is no ECDSA-Sig-Value in DER")
    return r.to_bytes(curve.field_len_bytes, "big") + s.to_bytes(curve.field_len_bytes, "big")


def verify_signature(
    spec: KeySpec, spki_der: bytes, algorithm: SigningAlgorithm, signed: bytes, signature: bytes
) -> None:
    """Verify what ``HsmDirectUse.sign`` made of ``signed``: a digest, or for Ed25519 the message.

    Raises VerificationFailedError when it does not verify, and HsmRequestError when the question is wrong: another
    key than of this spec, an algorithm that is not its own, a digest of the wrong length.
    """
    check_signed(spec, algorithm, signed)
    key = load_public_key(spec, spki_der)
    if len(signature) > _MAX_SIGNATURE_BYTES:
        raise VerificationFailedError("the signature is too long")
    if isinstance(key, ec.EllipticCurvePublicKey):
        raw_from_der(spec, signature)
    try:
        _verify(key, algorithm, signed, signature)
    except InvalidSignature:
        raise VerificationFailedError("the signature does not verify") from None


def _verify(key: PublicKey, algorithm: SigningAlgorithm, signed: bytes, signature: bytes) -> None:
    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, signed)
        return
    hashing = _HASHES[len(signed)]
    if isinstance(key, rsa.RSAPublicKey):
        scheme = padding.PSS(padding.MGF1(hashing), len(signed)) if "PSS" in algorithm else padding.PKCS1v15()
        key.verify(signature, signed, scheme, Prehashed(hashing))
    else:
        key.verify(signature, signed, ec.ECDSA(Prehashed(hashing)))
