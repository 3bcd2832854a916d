"""Asymmetric mechanisms: RSA, ECDSA, EdDSA, ECDH and the generation of key pairs.

Source: PKCS#11 3.2, sections 6.1 (RSA) and 6.3 (elliptic curves).
"""

from dataclasses import dataclass
from typing import Any, Final

from strongroom.hsm.cryptoki._declarations import ffi
from strongroom.hsm.cryptoki._errors import ParameterError
from strongroom.hsm.cryptoki._limits import check_bytes, check_ulong
from strongroom.hsm.cryptoki._mechanism import (
    Built,
    HashAlgorithm,
    Mechanism,
    _Plain,
    check_hash,
    with_struct,
)
from strongroom.hsm.cryptoki._mechanism_types import MechanismType

_CKZ_DATA_SPECIFIED: Final = 1
_CKD_NULL: Final = 1
_MAX_LABEL_BYTES: Final = 4096
_MAX_SALT_BYTES: Final = 1024
_MAX_POINT_BYTES: Final = 1024


def _hashing(prefix: str, hash_algorithm: HashAlgorithm, suffix: str) -> MechanismType:
    return MechanismType[f"{prefix}{hash_algorithm.name}{suffix}"]


@dataclass(frozen=True, slots=True)
class RsaPkcs(Mechanism):
    """RSASSA-PKCS1-v1_5, or RSAES-PKCS1-v1_5 when encrypting or wrapping.

    Without ``hash`` this is CKM_RSA_PKCS, and what is signed is a DigestInfo that the caller made;
    with one, the token hashes (CKM_SHA256_RSA_PKCS and its like).
    """

    hash: HashAlgorithm | None = None

    def __post_init__(self) -> None:
        if self.hash is not None:
            check_hash(self.hash)

    @property
    def number(self) -> int:
        """The CKM_ number."""
        if self.hash is None:
            return MechanismType.RSA_PKCS
        return _hashing("", self.hash, "_RSA_PKCS")


class RsaRaw(_Plain):
    """CKM_RSA_X_509: RSA of a number as long as the modulus. The padding is the caller's: never for data as it is."""

    __slots__ = ()
    _number = MechanismType.RSA_X_509


@dataclass(frozen=True, slots=True)
class RsaPss(Mechanism):
    """RSASSA-PSS with MGF1 of the same hash.

    With ``hashed_by_token`` the token hashes the data (CKM_SHA256_RSA_PKCS_PSS and its like); otherwise the
    caller gives the digest (CKM_RSA_PKCS_PSS). ``salt_len_bytes`` is usually the length of the digest.
    """

    hash: HashAlgorithm
    salt_len_bytes: int
    hashed_by_token: bool

    def __post_init__(self) -> None:
        check_hash(self.hash)
        if check_ulong(self.salt_len_bytes, "salt_len_bytes") > _MAX_SALT_BYTES:
            raise ParameterError(f"salt_len_bytes must be 0 to {_MAX_SALT_BYTES}")

    @property
    def number(self) -> int:
        """The CKM_ number."""
        if self.hashed_by_token:
            return _hashing("", self.hash, "_RSA_PKCS_PSS")
        return MechanismType.RSA_PKCS_PSS

    def build(self) -> Built:
        """Make the C structures."""
        fields = (self.hash.mechanism_type, self.hash.mgf1, self.salt_len_bytes)
        return with_struct(self.number, "CK_RSA_PKCS_PSS_PARAMS", fields)


@dataclass(frozen=True, slots=True)
class RsaOaep(Mechanism):
    """RSAES-OAEP with MGF1 of the same hash, and a label of up to 4,096 bytes.

    SoftHSM 2.6.1 takes SHA-1 without a label only.
    """

    hash: HashAlgorithm
    label: bytes = b""

    def __post_init__(self) -> None:
        check_hash(self.hash)
        check_bytes(self.label, "label", most=_MAX_LABEL_BYTES)

    @property
    def number(self) -> int:
        """The CKM_ number."""
        return MechanismType.RSA_PKCS_OAEP

    def fields(self) -> tuple[Any, ...]:
        """Return the fields of CK_RSA_PKCS_OAEP_PARAMS; the fourth is the label's buffer or NULL."""
        label = ffi.new("CK_BYTE[]", self.label) if self.label else ffi.NULL
        hashing = self.hash
        return (hashing.mechanism_type, hashing.mgf1, _CKZ_DATA_SPECIFIED, label, len(self.label))

    def build(self) -> Built:
        """Make the C structures."""
        fields = self.fields()
        return with_struct(self.number, "CK_RSA_PKCS_OAEP_PARAMS", fields, fields)


@dataclass(frozen=True, slots=True)
class RsaAesKeyWrap(Mechanism):
    """CKM_RSA_AES_KEY_WRAP: a one-time AES key under OAEP, the key under AES-KWP; wraps keys of any length."""

    oaep: RsaOaep
    aes_bits: int = 256

    def __post_init__(self) -> None:
        if not isinstance(self.oaep, RsaOaep):
            raise ParameterError("oaep must be an RsaOaep")
        if self.aes_bits not in (128, 192, 256):
            raise ParameterError("aes_bits must be 128, 192 or 256")

    @property
    def number(self) -> int:
        """The CKM_ number."""
        return MechanismType.RSA_AES_KEY_WRAP

    def build(self) -> Built:
        """Make the C structures."""
        fields = self.oaep.fields()
        oaep = ffi.new("CK_RSA_PKCS_OAEP_PARAMS *", fields)
        return with_struct(self.number, "CK_RSA_AES_KEY_WRAP_PARAMS", (self.aes_bits, oaep), oaep, fields)


@dataclass(frozen=True, slots=True)
class Ecdsa(Mechanism):
    """ECDSA; the signature is r and s, each of the curve's length, big endian, without DER.

    Without ``hash`` the caller gives the digest (CKM_ECDSA), with one the token hashes.
    """

    hash: HashAlgorithm | None = None

    def __post_init__(self) -> None:
        if self.hash is not None:
            check_hash(self.hash)

    @property
    def number(self) -> int:
        """The CKM_ number."""
        return MechanismType.ECDSA if self.hash is None else _hashing("ECDSA_", self.hash, "")


class Eddsa(_Plain):
    """CKM_EDDSA without a parameter: Ed25519 as in RFC 8032, no context, no prehash."""

    __slots__ = ()
    _number = MechanismType.EDDSA


@dataclass(frozen=True, slots=True)
class EcdhDerive(Mechanism):
    """CKM_ECDH1_DERIVE without a key derivation function: the secret is the shared x coordinate.

    ``public_point`` is the other side's point; most tokens take it plain (04 X Y), some inside a DER OCTET
    STRING.
    """

    public_point: bytes

    def __post_init__(self) -> None:
        check_bytes(self.public_point, "public_point", least=1, most=_MAX_POINT_BYTES)

    @property
    def number(self) -> int:
        """The CKM_ number."""
        return MechanismType.ECDH1_DERIVE

    def build(self) -> Built:
        """Make the C structures."""
        point = ffi.new("CK_BYTE[]", self.public_point)
        fields = (_CKD_NULL, 0, ffi.NULL, len(self.public_point), point)
        return with_struct(self.number, "CK_ECDH1_DERIVE_PARAMS", fields, point)


class RsaKeyPairGen(_Plain):
    """CKM_RSA_PKCS_KEY_PAIR_GEN: the public template has CKA_MODULUS_BITS and CKA_PUBLIC_EXPONENT."""

    __slots__ = ()
    _number = MechanismType.RSA_PKCS_KEY_PAIR_GEN


class EcKeyPairGen(_Plain):
    """CKM_EC_KEY_PAIR_GEN: the public template has CKA_EC_PARAMS, the DER of the curve's OID."""

    __slots__ = ()
    _number = MechanismType.EC_KEY_PAIR_GEN


class EcEdwardsKeyPairGen(_Plain):
    """CKM_EC_EDWARDS_KEY_PAIR_GEN: the public template has CKA_EC_PARAMS."""

    __slots__ = ()
    _number = MechanismType.EC_EDWARDS_KEY_PAIR_GEN
