"""RSAES-OAEP (RFC 8017, section 7.1): encrypting under a public half, and the padding of what a token decrypted raw."""

import hashlib
import hmac
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from strongroom.core import HsmIntegrityError, HsmRequestError, KeySpec, OaepAlgorithm, Secret
from strongroom.hsm.public_keys._keys import load_public_key

_HASHES: Final[dict[OaepAlgorithm, tuple[str, hashes.HashAlgorithm]]] = {
    OaepAlgorithm.RSAES_OAEP_SHA_1: ("sha1", hashes.SHA1()),  # noqa: S303  # as AWS KMS and PKCS#11 name it; OAEP does not lean on collisions
    OaepAlgorithm.RSAES_OAEP_SHA_256: ("sha256", hashes.SHA256()),
}


def oaep_hash_name(algorithm: OaepAlgorithm) -> str:
    """Return the name of the hash for hashlib."""
    return _HASHES[algorithm][0]


def oaep_limit_bytes(spec: KeySpec, algorithm: OaepAlgorithm) -> int:
    """Return how much a key of this spec encrypts: the modulus without two hashes and two bytes. Raises HsmRequestError."""
    if not spec.is_rsa:
        raise HsmRequestError(f"{spec} is no RSA key")
    return spec.bits // 8 - 2 * _HASHES[algorithm][1].digest_size - 2


def encrypt_oaep(spec: KeySpec, spki_der: bytes, algorithm: OaepAlgorithm, plaintext: Secret) -> bytes:
    """Encrypt 1 byte up to ``oaep_limit_bytes`` under a public half. Raises HsmRequestError."""
    limit = oaep_limit_bytes(spec, algorithm)
    if not 1 <= len(plaintext) <= limit:
        raise HsmRequestError(f"{spec} encrypts 1 to {limit} bytes by {algorithm}, not {len(plaintext)}")
    key = load_public_key(spec, spki_der)
    if not isinstance(key, rsa.RSAPublicKey):
        raise HsmRequestError(f"{spec} is no RSA key")
    hashing = _HASHES[algorithm][1]
    return key.encrypt(plaintext.reveal(), padding.OAEP(padding.MGF1(hashing), hashing, None))


def oaep_unpadded(algorithm: OaepAlgorithm, encoded: bytes) -> Secret:
    """Undo the padding of what CKM_RSA_X_509 decrypted, as long as the modulus. Raises HsmIntegrityError, always the same.

    Whether the first byte, the hash or the separator is wrong must not show (Manger 2001; RFC 8017, section 7.1.2,
    note): all is computed for every input, in the same steps, and there is one answer to whatever is wrong.
    """
    name = oaep_hash_name(algorithm)
    hash_len = hashlib.new(name).digest_size
    masked_seed, masked_block = encoded[1 : 1 + hash_len], encoded[1 + hash_len :]
    seed = _xor(masked_seed, _mask(name, masked_block, hash_len))
    block = _xor(masked_block, _mask(name, seed, len(masked_block)))
    empty_label = hashlib.new(name, b"").digest()
    wrong = encoded[0] | (not hmac.compare_digest(block[:hash_len], empty_label))
    separator, looking = 0, 1
    for at, byte in enumerate(block[hash_len:], hash_len):
        is_one, is_zero = int(byte == 1), int(byte == 0)
        separator += at * (looking & is_one)
        wrong |= looking & (1 - is_one) & (1 - is_zero)
        looking &= 1 - is_one
    if wrong | looking:
        raise HsmIntegrityError("the ciphertext does not decrypt")
    return Secret(block[separator + 1 :])


def _mask(name: str, seed: bytes, length: int) -> bytes:
    """MGF1 (RFC 8017, appendix B.2.1)."""
    hash_len = hashlib.new(name).digest_size
    rounds = range((length + hash_len - 1) // hash_len)
    made = b"".join(hashlib.new(name, seed + counter.to_bytes(4, "big")).digest() for counter in rounds)
    return made[:length]


def _xor(left: bytes, right: bytes) -> bytes:
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(len(left), "big")
