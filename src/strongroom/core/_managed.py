"""Managed keys: the keys that the service keeps for its callers, by the names that AWS KMS has for them.

An Envelope key's material is wrapped under the root and used in memory; a Direct key (``core.KeySpec``) never leaves the
HSM. Callers name both by the same specs.
"""

from enum import StrEnum
from typing import Self

from strongroom.core._direct import KeySpec, KeyUsage, MacAlgorithm, OaepAlgorithm, SigningAlgorithm


class KeyOrigin(StrEnum):
    """Where a key's material comes from."""

    AWS_KMS = "AWS_KMS"
    """Made by the service itself; an Envelope key."""
    EXTERNAL = "EXTERNAL"
    """Imported by the key's owner; an Envelope key."""
    AWS_CLOUDHSM = "AWS_CLOUDHSM"
    """Made inside the HSMs of a custom key store, which it never leaves; a Direct key."""


class VersionMadeBy(StrEnum):
    """How a version of a key came to be."""

    CREATE = "create"
    AUTOMATIC = "automatic"
    """By the key's schedule of rotation."""
    ON_DEMAND = "on-demand"
    IMPORT = "import"


_ML_DSA = (SigningAlgorithm.ML_DSA_SHAKE_256,)


class ManagedKeySpec(StrEnum):
    """Kind and size of a managed key, in the words of AWS KMS."""

    direct: KeySpec | None
    """What such a key is inside an HSM; None where no HSM that we know can hold it."""
    usages: tuple[KeyUsage, ...]
    """What a key of this spec can be made for."""
    signing_algorithms: tuple[SigningAlgorithm, ...]
    """How a key of this spec signs, as an Envelope key; a Direct key does what ``direct`` says."""

    SYMMETRIC_DEFAULT = "SYMMETRIC_DEFAULT", KeySpec.AES_256
    """AES-256: XAES-256-GCM as an Envelope key, AES-256-GCM inside an HSM."""
    RSA_2048 = "RSA_2048", KeySpec.RSA_2048
    RSA_3072 = "RSA_3072", KeySpec.RSA_3072
    RSA_4096 = "RSA_4096", KeySpec.RSA_4096
    ECC_NIST_P256 = "ECC_NIST_P256", KeySpec.ECC_NIST_P256
    ECC_NIST_P384 = "ECC_NIST_P384", KeySpec.ECC_NIST_P384
    ECC_NIST_P521 = "ECC_NIST_P521", KeySpec.ECC_NIST_P521
    ECC_SECG_P256K1 = "ECC_SECG_P256K1", KeySpec.ECC_SECG_P256K1
    ECC_NIST_EDWARDS25519 = "ECC_NIST_EDWARDS25519", KeySpec.ECC_NIST_EDWARDS25519
    HMAC_224 = "HMAC_224", KeySpec.HMAC_224
    HMAC_256 = "HMAC_256", KeySpec.HMAC_256
    HMAC_384 = "HMAC_384", KeySpec.HMAC_384
    HMAC_512 = "HMAC_512", KeySpec.HMAC_512
    ML_DSA_44 = "ML_DSA_44", None
    """FIPS 204; so the next two."""
    ML_DSA_65 = "ML_DSA_65", None
    ML_DSA_87 = "ML_DSA_87", None

    def __new__(cls, name: str, direct: KeySpec | None = None) -> Self:
        """Make one; what is looked up at each use is kept, not computed."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.direct = direct
        member.usages = (KeyUsage.SIGN_VERIFY,) if direct is None else direct.usages
        member.signing_algorithms = _ML_DSA if direct is None else direct.signing_algorithms
        return member

    @property
    def is_symmetric(self) -> bool:
        """Whether this encrypts and decrypts with one key: the only kind that has an encryption context."""
        return self.direct is KeySpec.AES_256

    @property
    def is_pair(self) -> bool:
        """Whether the key has a public half."""
        return self.direct is None or self.direct.is_pair

    @property
    def is_rsa(self) -> bool:
        """Whether this is an RSA pair."""
        return self.direct is not None and self.direct.is_rsa

    @property
    def mac_algorithm(self) -> MacAlgorithm | None:
        """How a key of this spec makes MACs; None when it makes none."""
        return None if self.direct is None else self.direct.mac_algorithm

    @property
    def oaep_algorithms(self) -> tuple[OaepAlgorithm, ...]:
        """How a key of this spec encrypts by its public half; none but for RSA."""
        return tuple(OaepAlgorithm) if self.is_rsa else ()
