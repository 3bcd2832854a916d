"""Public keys as numbers and points (PKCS#11) and as SubjectPublicKeyInfo in DER (RFC 5280, section 4.1.2.7)."""

from typing import Final, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from strongroom.core import HsmError, HsmRequestError, KeySpec
from strongroom.hsm.public_keys._curves import curve_of

MAX_SPKI_BYTES: Final = 1024
"""An RSA key of 4,096 bits, the largest there is here, has 550."""

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

_EXPONENT: Final = 65537
_ED25519_BYTES: Final = 32
_OCTET_STRING: Final = 4


class RsaNumbers(NamedTuple):
    """Modulus and exponent as PKCS#11 wants them: big endian, without leading zeros."""

    modulus: bytes
    exponent: bytes


def load_public_key(spec: KeySpec, spki_der: bytes) -> PublicKey:
    """Decode a public key of exactly this spec; a point is checked to be on its curve.

    Raises HsmRequestError for another kind or size of key, an RSA exponent other than 65,537, and any encoding
    but the canonical one (points uncompressed, curves named), so that a fingerprint over it names the key.
    """
    if len(spki_der) > MAX_SPKI_BYTES:
        raise HsmRequestError(f"a public key has {len(spki_der)} bytes; {MAX_SPKI_BYTES:,} are the most")
    try:
        key = load_der_public_key(spki_der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise HsmRequestError("the public key is not a SubjectPublicKeyInfo in DER") from error
    if not isinstance(key, PublicKey) or not _fits(key, spec):
        raise HsmRequestError(f"the public key is not one of {spec}")
    if _encoded(key) != spki_der:
        raise HsmRequestError("the public key is not encoded canonically")
    return key


def rsa_numbers(spec: KeySpec, spki_der: bytes) -> RsaNumbers:
    """Decode an RSA key of this spec. Raises HsmRequestError as ``load_public_key``."""
    key = load_public_key(spec, spki_der)
    if not isinstance(key, rsa.RSAPublicKey):
        raise HsmRequestError(f"{spec} is no RSA key")
    numbers = key.public_numbers()
    return RsaNumbers(_minimal(numbers.n), _minimal(numbers.e))


def spki_from_rsa_numbers(spec: KeySpec, modulus: bytes, exponent: bytes) -> bytes:
    """Encode what a token said of an RSA key that it holds. Raises HsmError when that is no key of this spec."""
    if len(modulus) > MAX_SPKI_BYTES or int.from_bytes(exponent, "big") != _EXPONENT:
        raise HsmError("the token holds an RSA key of another size or exponent than was asked for")
    numbers = rsa.RSAPublicNumbers(_EXPONENT, int.from_bytes(modulus, "big"))
    try:
        key = numbers.public_key()
    except ValueError as error:
        raise HsmError("the token holds an RSA key whose public half is not one") from error
    if not _fits(key, spec):
        raise HsmError("the token holds an RSA key of another size or exponent than was asked for")
    return _encoded(key)


def spki_from_point(spec: KeySpec, ec_point: bytes) -> bytes:
    """Encode the CKA_EC_POINT of a key: the point in an OCTET STRING (as the specification says), or plain.

    Raises HsmError when it is neither, or not a point of the curve.
    """
    is_edwards = spec is KeySpec.ECC_NIST_EDWARDS25519
    point_len = _ED25519_BYTES if is_edwards else 1 + 2 * curve_of(spec).field_len_bytes
    point = _without_octet_string(ec_point, point_len)
    key: PublicKey
    try:
        if is_edwards:
            key = ed25519.Ed25519PublicKey.from_public_bytes(point)
        else:
            key = ec.EllipticCurvePublicKey.from_encoded_point(curve_of(spec).implementation, point)
    except ValueError as error:
        raise HsmError(f"the token holds a key whose public half is no point of {spec}") from error
    return _encoded(key)


def point_of_peer(spec: KeySpec, peer_spki_der: bytes) -> bytes:
    """Return the uncompressed point (04 X Y) of the other side of a key agreement.

    The point is on this curve and not at infinity, and as the cofactor of all these curves is 1, that is all
    there is to check (NIST SP 800-56A Rev. 3, section 5.6.2.3.3). Raises HsmRequestError.
    """
    curve_of(spec)
    key = load_public_key(spec, peer_spki_der)
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise HsmRequestError(f"{spec} is no key for ECDH")
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _fits(key: PublicKey, spec: KeySpec) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        return spec.is_rsa and key.key_size == spec.bits and key.public_numbers().e == _EXPONENT
    if isinstance(key, ed25519.Ed25519PublicKey):
        return spec is KeySpec.ECC_NIST_EDWARDS25519
    is_weierstrass = spec.is_curve and spec is not KeySpec.ECC_NIST_EDWARDS25519
    return is_weierstrass and key.curve.name == curve_of(spec).implementation.name


def _encoded(key: PublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _without_octet_string(ec_point: bytes, point_len: int) -> bytes:
    """Tell the two forms apart by their length: both begin with a 4."""
    header = bytes((_OCTET_STRING, point_len) if point_len < 0x80 else (_OCTET_STRING, 0x81, point_len))
    if len(ec_point) == point_len:
        return ec_point
    if len(ec_point) == len(header) + point_len and ec_point.startswith(header):
        return ec_point[len(header) :]
    raise HsmError(f"the token tells a CKA_EC_POINT of {len(ec_point)} bytes, which is no form of it")


def _minimal(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
