"""How key material comes in: a one-day RSA key to wrap it under, and the token that keeps the private half of that key.

The token is the private half itself with the rest of what was agreed, sealed under the domain KEK of the key that it is
for. So any process takes it, a restart loses none, nobody can fill the database by asking for them, and it ends
by its date. Sources: RSAES-OAEP is RFC 8017, section 7.1, MGF1 with the same hash and no label; AES key wrap
with padding is RFC 5649; RSA_AES_KEY_WRAP is that under an AES key which stands before it under RSAES-OAEP.
"""

import struct
from enum import StrEnum
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap_with_padding
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from strongroom.core import ManagedKeySpec, Secret
from strongroom.keyring._errors import (
    ImportTokenError,
    InvalidCiphertextError,
    WrappingUnsupportedError,
)

TOKEN_LIFE_S: Final = 86_400.0
_EXPONENT: Final = 65_537
_HEAD: Final = struct.Struct(">dB")
_MIN_KWP_BYTES: Final = 16


class WrappingAlgorithm(StrEnum):
    """How its owner wraps key material."""

    RSAES_OAEP_SHA_1 = "RSAES_OAEP_SHA_1"
    RSAES_OAEP_SHA_256 = "RSAES_OAEP_SHA_256"
    RSA_AES_KEY_WRAP_SHA_1 = "RSA_AES_KEY_WRAP_SHA_1"
    RSA_AES_KEY_WRAP_SHA_256 = "RSA_AES_KEY_WRAP_SHA_256"

    @property
    def is_hybrid(self) -> bool:
        """Whether an AES key stands between, so that material of any length fits."""
        return self in {WrappingAlgorithm.RSA_AES_KEY_WRAP_SHA_1, WrappingAlgorithm.RSA_AES_KEY_WRAP_SHA_256}

    @property
    def hash(self) -> HashAlgorithm:
        """The hash of OAEP and of its MGF1."""
        return SHA1() if self.value.endswith("SHA_1") else SHA256()  # noqa: S303  # what AWS KMS offers; OAEP does not need more


class WrappingBits(StrEnum):
    """The RSA keys under which material can be wrapped."""

    RSA_2048 = "RSA_2048"
    RSA_3072 = "RSA_3072"
    RSA_4096 = "RSA_4096"

    @property
    def bits(self) -> int:
        """Length of the modulus."""
        return int(self.value[-4:])


_CODES: Final = {algorithm: code for code, algorithm in enumerate(WrappingAlgorithm, 1)}
_ALGORITHMS: Final = {code: algorithm for algorithm, code in _CODES.items()}


class WrappingKey(NamedTuple):
    """A key pair to wrap under, with what was agreed about its use."""

    algorithm: WrappingAlgorithm
    valid_to: float
    """Seconds since the Unix epoch."""
    private_key: rsa.RSAPrivateKey

    @property
    def public_key(self) -> bytes:
        """SubjectPublicKeyInfo in DER."""
        return self.private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def encode(self) -> Secret:
        """Return what is sealed as the token: date (8 bytes), algorithm (1 byte), PrivateKeyInfo in DER."""
        der = self.private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return Secret(_HEAD.pack(self.valid_to, _CODES[self.algorithm]) + der)

    @classmethod
    def decode(cls, token: bytes) -> "WrappingKey":
        """Read what ``encode`` made and a seal authenticated. Raises ImportTokenError for anything else."""
        try:
            valid_to, code = _HEAD.unpack_from(token)
            key = load_der_private_key(token[_HEAD.size :], None, unsafe_skip_rsa_key_validation=True)
        except (struct.error, ValueError, TypeError):
            raise ImportTokenError from None
        if code not in _ALGORITHMS or not isinstance(key, rsa.RSAPrivateKey):
            raise ImportTokenError
        return cls(_ALGORITHMS[code], valid_to, key)

    def unwrap(self, wrapped: bytes) -> Secret:
        """Return the key material that was wrapped under this key.

        Raises InvalidCiphertextError, which never says at which step: who could tell a bad padding from a bad length
        could open what others wrapped (Manger 2001). Takes milliseconds.
        """
        oaep = padding.OAEP(padding.MGF1(self.algorithm.hash), self.algorithm.hash, None)
        size = self.private_key.key_size // 8
        try:
            if not self.algorithm.is_hybrid:
                return Secret(self.private_key.decrypt(wrapped, oaep))
            if len(wrapped) < size + _MIN_KWP_BYTES:
                raise InvalidCiphertextError
            between = Secret(self.private_key.decrypt(wrapped[:size], oaep))
            try:
                return Secret(aes_key_unwrap_with_padding(between.reveal(), wrapped[size:]))
            finally:
                between.zeroize()
        except (ValueError, InvalidUnwrap):
            raise InvalidCiphertextError from None


def make_wrapping_key(algorithm: WrappingAlgorithm, bits: int, *, valid_to: float) -> WrappingKey:
    """Make a key to wrap under. Takes up to seconds, on a thread that lets go of the interpreter."""
    return WrappingKey(algorithm, valid_to, rsa.generate_private_key(_EXPONENT, bits))


def require_wrappable(key_id: str, spec: ManagedKeySpec, algorithm: WrappingAlgorithm, bits: int) -> None:
    """Require that material of a key fits under OAEP alone. Raises WrappingUnsupportedError.

    PrivateKeyInfo of RSA never does, that of P-521 (241 bytes) not under RSA_2048.
    """
    if algorithm.is_hybrid:
        return
    if spec.is_rsa or (spec is ManagedKeySpec.ECC_NIST_P521 and bits == WrappingBits.RSA_2048.bits):
        raise WrappingUnsupportedError(key_id, spec, algorithm)
