"""Key material in clear: made, taken over from its owner, and put to work. What is sealed is decided here and nowhere else.

    ========================  ====================================================================
    Spec                      What is sealed
    ========================  ====================================================================
    SYMMETRIC_DEFAULT         the key, 32 bytes
    RSA_*, ECC_*              PrivateKeyInfo in DER without attributes (PKCS#8, RFC 5958)
    HMAC_*                    the key: as long as its hash when we made it
    ML_DSA_*                  the seed of FIPS 204, algorithm 6 (xi), 32 bytes
    ========================  ====================================================================

RSA keys take up to seconds to make or check, so nothing here belongs on an event loop.
"""

from typing import Final, NamedTuple, TypeAlias, cast

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from strongroom.core import ManagedKeySpec, Secret, random_bytes
from strongroom.hsm.public_keys import curve_of
from strongroom.keyring._errors import UnfitMaterialError
from strongroom.keyring._rsa_numbers import is_sound_rsa

MlDsaKey: TypeAlias = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey
PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | MlDsaKey

MAX_MATERIAL_BYTES: Final = 6_075
"""What fits into a blob; PKCS#8 of RSA_4096, the longest there is, has 2,376."""
_RSA_EXPONENT: Final = 65_537
_AES_BYTES: Final = 32
_ML_DSA: Final[dict[ManagedKeySpec, type[MlDsaKey]]] = {
    ManagedKeySpec.ML_DSA_44: mldsa.MLDSA44PrivateKey,
    ManagedKeySpec.ML_DSA_65: mldsa.MLDSA65PrivateKey,
    ManagedKeySpec.ML_DSA_87: mldsa.MLDSA87PrivateKey,
}
_HMAC_LENGTHS: Final = {
    ManagedKeySpec.HMAC_224: range(28, 65),
    ManagedKeySpec.HMAC_256: range(32, 65),
    ManagedKeySpec.HMAC_384: range(48, 129),
    ManagedKeySpec.HMAC_512: range(64, 129),
}
"""From the length of the hash to that of its block, as AWS KMS takes them. RFC 2104, section 3, hashes what is longer."""


class Material(NamedTuple):
    """One version of a key, in clear, ready to be sealed."""

    secret: Secret
    """In the form that the table of this module says."""
    public_key: bytes
    """SubjectPublicKeyInfo in DER; empty for a key that has no public half."""


def generate_material(spec: ManagedKeySpec) -> Material:
    """Make a new key. RSA takes up to seconds."""
    if spec.is_symmetric:
        return Material(Secret(random_bytes(_AES_BYTES)), b"")
    if spec.mac_algorithm is not None:
        return Material(Secret(random_bytes(spec.mac_algorithm.bits // 8)), b"")
    return _material_of(_generated(spec))


def material_of_import(spec: ManagedKeySpec, key_bytes: Secret) -> Material:
    """Take over what a key's owner brings: PrivateKeyInfo in DER for a pair, the bare key for all others.

    The result is what ``generate_material`` would have made: encoded anew, without anything that came with it. Checked
    are kind and size, for RSA the primes and what is derived from them, for a curve that both halves belong together.
    An RSA key takes up to a second, but never holds the interpreter for long. Raises UnfitMaterialError, which
    says nothing of what was in the bytes.
    """
    if spec.is_symmetric or spec.mac_algorithm is not None:
        lengths = (_AES_BYTES,) if spec.is_symmetric else _HMAC_LENGTHS[spec]
        if len(key_bytes) not in lengths:
            raise UnfitMaterialError(spec, f"has {len(key_bytes)} bytes, not {lengths[0]} to {lengths[-1]}")
        return Material(Secret(key_bytes.reveal()), b"")
    if not 1 <= len(key_bytes) <= MAX_MATERIAL_BYTES:
        raise UnfitMaterialError(spec, f"has {len(key_bytes)} bytes, not 1 to {MAX_MATERIAL_BYTES:,}")
    try:
        # Validation by OpenSSL would hold the interpreter lock for half a second; ours lets go of it between its steps.
        key = load_der_private_key(key_bytes.reveal(), None, unsafe_skip_rsa_key_validation=True)
    # InternalError: the library meets some malformed keys (a length of another curve) with what it calls its own fault.
    except (ValueError, TypeError, UnsupportedAlgorithm, InternalError):
        raise UnfitMaterialError(spec, "is no valid private key in DER (PKCS#8)") from None
    if not _is_of(spec, key):
        raise UnfitMaterialError(spec, "is a key of another kind or size")
    if isinstance(key, rsa.RSAPrivateKey) and not is_sound_rsa(key.private_numbers()):
        raise UnfitMaterialError(spec, "is an RSA key whose numbers do not belong together")
    return _material_of(cast("PrivateKey", key))


def open_pair(spec: ManagedKeySpec, secret: bytes) -> PrivateKey:
    """Read the private half that was sealed by us: authenticated, so known to be well-formed and of this spec.

    Takes microseconds also for RSA, since what was checked when it was sealed is not checked again.
    """
    kind = _ML_DSA.get(spec)
    if kind is not None:
        return kind.from_seed_bytes(secret)
    key = load_der_private_key(secret, None, unsafe_skip_rsa_key_validation=True)
    if not _is_of(spec, key):
        raise UnfitMaterialError(spec, "is a key of another kind or size")
    return cast("PrivateKey", key)


def public_half(key: PrivateKey) -> bytes:
    """Return the public half, SubjectPublicKeyInfo in DER."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _generated(spec: ManagedKeySpec) -> PrivateKey:
    kind = _ML_DSA.get(spec)
    if kind is not None:
        return kind.generate()
    if spec is ManagedKeySpec.ECC_NIST_EDWARDS25519:
        return ed25519.Ed25519PrivateKey.generate()
    if spec.direct is None:
        raise UnfitMaterialError(spec, "cannot be made in software")
    if spec.is_rsa:
        return rsa.generate_private_key(_RSA_EXPONENT, spec.direct.bits)
    return ec.generate_private_key(curve_of(spec.direct).implementation)


def _material_of(key: PrivateKey) -> Material:
    if isinstance(key, MlDsaKey):
        return Material(Secret(key.private_bytes_raw()), public_half(key))
    return Material(Secret(_pkcs8(key)), public_half(key))


def _pkcs8(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _is_of(spec: ManagedKeySpec, key: object) -> bool:
    if isinstance(key, rsa.RSAPrivateKey):
        direct = spec.direct
        is_size = direct is not None and direct.is_rsa and key.key_size == direct.bits
        return is_size and key.public_key().public_numbers().e == _RSA_EXPONENT
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return spec is ManagedKeySpec.ECC_NIST_EDWARDS25519
    if isinstance(key, ec.EllipticCurvePrivateKey):
        is_other = spec.direct is None or not spec.direct.is_curve
        if is_other or spec is ManagedKeySpec.ECC_NIST_EDWARDS25519:
            return False
        return spec.direct is not None and key.curve.name == curve_of(spec.direct).implementation.name
    kind = _ML_DSA.get(spec)
    return kind is not None and isinstance(key, kind)
