"""RSA public keys as numbers (PKCS#11) and as SubjectPublicKeyInfo in DER (RFC 5280, section 4.1.2.7)."""

from typing import NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from strongroom.core import HsmError, HsmRequestError

_MAX_SPKI_BYTES = 2048
_MIN_MODULUS_BITS, _MAX_MODULUS_BITS = 2048, 8192


class RsaPublicNumbers(NamedTuple):
    """Modulus and exponent as PKCS#11 wants them: big endian, without leading zeros."""

    modulus: bytes
    exponent: bytes


def spki_from_numbers(modulus: bytes, exponent: bytes) -> bytes:
    """Encode what a token said of a key that it made. Raises HsmError when that is no RSA key."""
    numbers = rsa.RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big"))
    try:
        return numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except ValueError as error:
        raise HsmError("the token made an RSA key whose public half is not one") from error


def numbers_from_spki(spki_der: bytes) -> RsaPublicNumbers:
    """Decode an RSA key of 2,048 to 8,192 bits with the exponent 65,537. Raises HsmRequestError.

    The encoding must be the canonical one, so that a fingerprint over it names the key.
    """
    if len(spki_der) > _MAX_SPKI_BYTES:
        raise HsmRequestError(f"a public key has {len(spki_der)} bytes; {_MAX_SPKI_BYTES} are the most")
    try:
        key = load_der_public_key(spki_der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise HsmRequestError("the public key is not a SubjectPublicKeyInfo in DER") from error
    if not isinstance(key, rsa.RSAPublicKey):
        raise HsmRequestError("the public key is not an RSA key")
    if not _MIN_MODULUS_BITS <= key.key_size <= _MAX_MODULUS_BITS:
        raise HsmRequestError(f"the RSA key has {key.key_size} bits; 2,048 to 8,192 are taken")
    numbers = key.public_numbers()
    if numbers.e != 65537:
        raise HsmRequestError("the RSA key has another public exponent than 65,537")
    if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != spki_der:
        raise HsmRequestError("the public key is not encoded canonically")
    return RsaPublicNumbers(_minimal(numbers.n), _minimal(numbers.e))


def _minimal(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
