"""Direct keys: keys that live inside the HSM, where every use of their secret half happens.

Names of specs, usages and algorithms are those of AWS KMS, whose door they are used through.
"""

import hmac
from enum import StrEnum
from typing import NamedTuple, NewType, Protocol, Self

from strongroom.core._clock import Deadline
from strongroom.core._errors import VerificationFailedError
from strongroom.core._secret import Secret
from strongroom.core._values import WrappedBytes

HsmKeyId = NewType("HsmKeyId", bytes)
"""16 random bytes that name a Direct key; they are the CKA_ID of all its objects on every member."""

HSM_KEY_ID_BYTES = 16

AUDIT_KEY_LABEL = "audit-checkpoint"
"""The label of the Direct key that signs checkpoints of the audit log; no key of a customer has it."""


class KeyUsage(StrEnum):
    """What a Direct key is for. A key has exactly one, for its whole life."""

    ENCRYPT_DECRYPT = "ENCRYPT_DECRYPT"
    SIGN_VERIFY = "SIGN_VERIFY"
    GENERATE_VERIFY_MAC = "GENERATE_VERIFY_MAC"
    KEY_AGREEMENT = "KEY_AGREEMENT"


class SigningAlgorithm(StrEnum):
    """How a key signs. Those that name a hash, but for Ed25519, take a digest of that hash."""

    digest_len_bytes: int | None
    """Length of the digest that is signed; None for those that take the message."""

    RSASSA_PKCS1_V1_5_SHA_256 = "RSASSA_PKCS1_V1_5_SHA_256", 32
    RSASSA_PKCS1_V1_5_SHA_384 = "RSASSA_PKCS1_V1_5_SHA_384", 48
    RSASSA_PKCS1_V1_5_SHA_512 = "RSASSA_PKCS1_V1_5_SHA_512", 64
    RSASSA_PSS_SHA_256 = "RSASSA_PSS_SHA_256", 32
    """MGF1 with the same hash, and a salt as long as the digest; so the next two."""
    RSASSA_PSS_SHA_384 = "RSASSA_PSS_SHA_384", 48
    RSASSA_PSS_SHA_512 = "RSASSA_PSS_SHA_512", 64
    ECDSA_SHA_256 = "ECDSA_SHA_256", 32
    """The signature is DER (RFC 3279, section 2.2.3); so the next two."""
    ECDSA_SHA_384 = "ECDSA_SHA_384", 48
    ECDSA_SHA_512 = "ECDSA_SHA_512", 64
    ED25519_SHA_512 = "ED25519_SHA_512", None
    """Pure Ed25519 (RFC 8032) of the message itself."""
    ML_DSA_SHAKE_256 = "ML_DSA_SHAKE_256", None
    """ML-DSA (FIPS 204) of the message itself, with an empty context; no Direct key does it yet."""

    def __new__(cls, name: str, digest_len_bytes: int | None = None) -> Self:
        """Make one; what is looked up at each signature is kept, not computed."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.digest_len_bytes = digest_len_bytes
        return member


class MacAlgorithm(StrEnum):
    """HMAC (RFC 2104) of full length. A key makes MACs with the hash of its own size."""

    HMAC_SHA_224 = "HMAC_SHA_224"
    HMAC_SHA_256 = "HMAC_SHA_256"
    HMAC_SHA_384 = "HMAC_SHA_384"
    HMAC_SHA_512 = "HMAC_SHA_512"

    @property
    def bits(self) -> int:
        """Bits of the hash, of the MAC and of the key."""
        return int(self.value[-3:])


class OaepAlgorithm(StrEnum):
    """RSAES-OAEP (RFC 8017, section 7.1): MGF1 with the same hash, no label."""

    RSAES_OAEP_SHA_1 = "RSAES_OAEP_SHA_1"
    RSAES_OAEP_SHA_256 = "RSAES_OAEP_SHA_256"


_RSA_SIGNING = tuple(algorithm for algorithm in SigningAlgorithm if algorithm.startswith("RSASSA_"))
_RSA_USAGES = (KeyUsage.SIGN_VERIFY, KeyUsage.ENCRYPT_DECRYPT)
_CURVE_USAGES = (KeyUsage.SIGN_VERIFY, KeyUsage.KEY_AGREEMENT)
_SIGNS = (KeyUsage.SIGN_VERIFY,)
_MACS = (KeyUsage.GENERATE_VERIFY_MAC,)


class KeySpec(StrEnum):
    """Kind and size of a Direct key."""

    bits: int
    """Bits of an AES or HMAC key, of an RSA modulus, or of the field of a curve."""
    usages: tuple[KeyUsage, ...]
    """What a key of this spec can be made for."""
    signing_algorithms: tuple[SigningAlgorithm, ...]
    """How a key of this spec signs: on a curve with one hash only, so that no digest is cut off."""
    is_rsa: bool
    """Whether this is an RSA pair."""
    is_curve: bool
    """Whether this is a pair over an elliptic curve."""
    is_pair: bool
    """Whether the key has a public half."""

    AES_256 = "AES_256", 256, (KeyUsage.ENCRYPT_DECRYPT,)
    RSA_2048 = "RSA_2048", 2048, _RSA_USAGES, _RSA_SIGNING
    RSA_3072 = "RSA_3072", 3072, _RSA_USAGES, _RSA_SIGNING
    RSA_4096 = "RSA_4096", 4096, _RSA_USAGES, _RSA_SIGNING
    ECC_NIST_P256 = "ECC_NIST_P256", 256, _CURVE_USAGES, (SigningAlgorithm.ECDSA_SHA_256,)
    ECC_NIST_P384 = "ECC_NIST_P384", 384, _CURVE_USAGES, (SigningAlgorithm.ECDSA_SHA_384,)
    ECC_NIST_P521 = "ECC_NIST_P521", 521, _CURVE_USAGES, (SigningAlgorithm.ECDSA_SHA_512,)
    ECC_SECG_P256K1 = "ECC_SECG_P256K1", 256, _SIGNS, (SigningAlgorithm.ECDSA_SHA_256,)
    ECC_NIST_EDWARDS25519 = "ECC_NIST_EDWARDS25519", 255, _SIGNS, (SigningAlgorithm.ED25519_SHA_512,)
    HMAC_224 = "HMAC_224", 224, _MACS
    HMAC_256 = "HMAC_256", 256, _MACS
    HMAC_384 = "HMAC_384", 384, _MACS
    HMAC_512 = "HMAC_512", 512, _MACS

    def __new__(
        cls,
        name: str,
        bits: int = 0,
        usages: tuple[KeyUsage, ...] = (),
        signing_algorithms: tuple[SigningAlgorithm, ...] = (),
    ) -> Self:
        """Make one; what is looked up at each use is kept, not computed."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.bits, member.usages, member.signing_algorithms = bits, usages, signing_algorithms
        member.is_rsa, member.is_curve = name.startswith("RSA_"), name.startswith("ECC_")
        member.is_pair = member.is_rsa or member.is_curve
        return member

    @property
    def mac_algorithm(self) -> MacAlgorithm | None:
        """How a key of this spec makes MACs; None when it makes none."""
        return MacAlgorithm(f"HMAC_SHA_{self.bits}") if KeyUsage.GENERATE_VERIFY_MAC in self.usages else None


class HsmKey(NamedTuple):
    """A Direct key as everybody names it: what must be known of it to use it or to copy it."""

    key_id: HsmKeyId
    spec: KeySpec
    usage: KeyUsage


class HsmDirectUse(Protocol):
    """The use verbs of Direct keys: idempotent, so whoever holds several members may repeat them on another one.

    Each raises MemberFailedError and its kin (another member may do better; HsmKeyNotFoundError where the member
    does not hold the key) or HsmRequestError (none will; so for a verb that is not the key's usage). What needs
    no secret half (verifying, RSA encryption) is done in software: ``strongroom.hsm.public_keys``.
    """

    async def sign(
        self, key: HsmKey, algorithm: SigningAlgorithm, signed: bytes, *, deadline: Deadline
    ) -> bytes:
        """Sign a digest of the algorithm's hash, or for Ed25519 a message of 1 to 4,096 bytes.

        ECDSA signatures are DER, RSA signatures as long as the modulus, Ed25519 ones 64 bytes.
        """
        ...

    async def mac(self, key: HsmKey, message: bytes, *, deadline: Deadline) -> bytes:
        """Make the HMAC of 1 to 4,096 bytes, with the hash of the key's size."""
        ...

    async def encrypt(
        self, key: HsmKey, plaintext: Secret, aad: bytes, *, deadline: Deadline
    ) -> WrappedBytes:
        """Encrypt 1 to 4,096 bytes with AES-256-GCM, authenticating up to 8,192 bytes of ``aad``."""
        ...

    async def decrypt(self, key: HsmKey, sealed: WrappedBytes, aad: bytes, *, deadline: Deadline) -> Secret:
        """Decrypt what ``encrypt`` made. Raises HsmIntegrityError when it does not authenticate."""
        ...

    async def decrypt_oaep(
        self, key: HsmKey, algorithm: OaepAlgorithm, ciphertext: bytes, *, deadline: Deadline
    ) -> Secret:
        """Decrypt what was encrypted under an RSA key's public half.

        Raises HsmIntegrityError, whatever is wrong with the ciphertext.
        """
        ...

    async def derive(self, key: HsmKey, peer_spki_der: bytes, *, deadline: Deadline) -> Secret:
        """Agree on a secret by ECDH (SEC 1, section 3.3.1): the shared x coordinate, as long as the curve's field.

        ``peer_spki_der`` is the other side's public key, SubjectPublicKeyInfo in DER, uncompressed, on the same curve.
        """
        ...

    async def public_key(self, key: HsmKey, *, deadline: Deadline) -> bytes:
        """Return the public half, SubjectPublicKeyInfo in DER (RFC 5280, section 4.1.2.7)."""
        ...


async def verify_mac(
    hsm: HsmDirectUse, key: HsmKey, message: bytes, mac: bytes, *, deadline: Deadline
) -> None:
    """Have the MAC made again inside the HSM and compare in constant time.

    Raises VerificationFailedError when it is another one, and as ``HsmDirectUse.mac``.
    """
    if not hmac.compare_digest(await hsm.mac(key, message, deadline=deadline), mac):
        raise VerificationFailedError("the MAC is not that of this key over this message")
