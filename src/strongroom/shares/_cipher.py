"""What a passphrase does in SLIP-0039: four rounds of Feistel over the secret, each of PBKDF2-HMAC-SHA256."""

from collections.abc import Iterable
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

_ROUNDS: Final = 4
_ITERATIONS_A_ROUND: Final = 2_500
"""Of exponent 0; each step more of the exponent doubles them."""


def encrypt(secret: bytes, passphrase: bytes, *, salt: bytes, exponent: int) -> bytes:
    """Encrypt an even number of bytes."""
    return _feistel(range(_ROUNDS), secret, passphrase, salt, exponent)


def decrypt(encrypted: bytes, passphrase: bytes, *, salt: bytes, exponent: int) -> bytes:
    """Undo ``encrypt``. Any passphrase gives something: a wrong one another secret."""
    return _feistel(reversed(range(_ROUNDS)), encrypted, passphrase, salt, exponent)


def _feistel(rounds: Iterable[int], block: bytes, passphrase: bytes, salt: bytes, exponent: int) -> bytes:
    half = len(block) // 2
    left, right = block[:half], block[half:]
    for number in rounds:
        kdf = PBKDF2HMAC(SHA256(), half, salt + right, _ITERATIONS_A_ROUND << exponent)
        key = kdf.derive(bytes((number,)) + passphrase)
        mixed = int.from_bytes(left, "big") ^ int.from_bytes(key, "big")
        left, right = right, mixed.to_bytes(half, "big")
    return right + left
