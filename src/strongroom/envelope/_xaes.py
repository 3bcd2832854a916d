"""XAES-256-GCM of C2SP: AES-256-GCM with a 24-byte nonce that may be random for ever.

Source: https://c2sp.org/XAES-256-GCM, "Detailed key derivation algorithm". The step numbers below are the
specification's.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.core import Secret, random_bytes
from strongroom.envelope._errors import EnvelopeIntegrityError

KEY_LEN_BYTES: Final = 32
NONCE_LEN_BYTES: Final = 24
TAG_LEN_BYTES: Final = 16

_BLOCK_BITS: Final = 128
_REDUCTION: Final = 0b10000111  # x^128 + x^7 + x^2 + x + 1, NIST SP 800-38B section 5.3
_COUNTER_1: Final = b"\x00\x01X\x00"
_COUNTER_2: Final = b"\x00\x02X\x00"


class Sealed(NamedTuple):
    """What encrypting gave: the nonce (24 bytes), and the ciphertext with its tag (16 bytes) at the end."""

    nonce: bytes
    ciphertext_with_tag: bytes


class Xaes256Gcm:
    """One key for any number of messages.

    The AES key schedule and the CMAC subkey K1 are kept, so that a message costs two AES blocks more than
    AES-256-GCM. They live in memory of the cryptography library, which overwrites them when the last
    reference to this object goes; nothing overwrites them earlier.

    Safe to use from any number of threads. The kept AES object alone would not be: pyca/cryptography refuses
    (with "Already borrowed") an update that meets another one which has let go of the interpreter lock. It
    does so only for buffers far larger than our 32 bytes, but does not promise it; hence the lock (0.05 µs).

    The algorithm does not commit to its key: bytes can be made that open under two keys. Whoever opens must
    know beforehand which key it has to be.
    """

    __slots__ = ("_derive", "_k1_twice", "_lock", "_random")

    def __init__(self, key: bytes | Secret, *, random: Callable[[int], bytes] = random_bytes) -> None:
        """Keep a 32-byte key; nonces come from ``random``. Raises ValueError on another length of key."""
        self._random = random
        key_bytes = key.reveal() if isinstance(key, Secret) else key
        if len(key_bytes) != KEY_LEN_BYTES:
            raise ValueError(f"an XAES-256-GCM key has {KEY_LEN_BYTES} bytes")
        # One block of ECB is the AES block cipher itself, which is all that is used of it.
        encryptor = Cipher(algorithms.AES(key_bytes), modes.ECB()).encryptor()  # noqa: S305
        k1 = _double(encryptor.update(bytes(16)))  # steps 1 and 2
        # K1 ⊕ (counter ‖ nonce half), twice: all but the twelve bytes of the nonce, which are xored in per message.
        counters = int.from_bytes(_COUNTER_1 + bytes(12) + _COUNTER_2 + bytes(12), "big")
        self._k1_twice = (k1 << _BLOCK_BITS | k1) ^ counters
        self._derive = encryptor.update
        self._lock = threading.Lock()

    def seal(self, plaintext: bytes, aad: bytes, *, nonce: bytes | None = None) -> Sealed:
        """Encrypt and authenticate ``plaintext``, authenticate ``aad``.

        The nonce is random; only tests with known answers give one. Raises ValueError on a nonce that is
        not 24 bytes long.
        """
        if nonce is None:
            nonce = self._random(NONCE_LEN_BYTES)
        elif len(nonce) != NONCE_LEN_BYTES:
            raise ValueError(f"an XAES-256-GCM nonce has {NONCE_LEN_BYTES} bytes")
        return Sealed(nonce, self._message_cipher(nonce).encrypt(nonce[12:], plaintext, aad))

    def open(self, nonce: bytes, ciphertext_with_tag: bytes, aad: bytes) -> bytes:
        """Return the plaintext. Raises EnvelopeIntegrityError when anything differs from what was sealed."""
        if len(nonce) != NONCE_LEN_BYTES:
            raise EnvelopeIntegrityError
        try:
            return self._message_cipher(nonce).decrypt(nonce[12:], ciphertext_with_tag, aad)
        except InvalidTag:
            raise EnvelopeIntegrityError from None

    def derive_many(self, nonces: bytes) -> bytes:
        """Return the message keys (32 bytes each) of many nonces (24 bytes each), in one pass of AES over all of them.

        For many messages at once: what ``seal`` and ``open`` derive for one.
        """
        whole = len(nonces) - len(nonces) % NONCE_LEN_BYTES
        return self.derive_of_halves([nonces[at : at + 12] for at in range(0, whole, NONCE_LEN_BYTES)])

    def derive_of_halves(self, halves: Sequence[bytes]) -> bytes:
        """As ``derive_many``, of the first halves (12 bytes each) of nonces: the message keys depend on nothing else of them."""
        twice = b"".join([b"\0\0\0\0%b\0\0\0\0%b" % (half, half) for half in halves])
        constants = self._k1_twice.to_bytes(KEY_LEN_BYTES, "big") * len(halves)
        blocks = int.from_bytes(constants, "big") ^ int.from_bytes(twice, "big")  # steps 3, 4
        with self._lock:
            return bytes(self._derive(blocks.to_bytes(len(twice), "big")))  # step 5

    def _message_cipher(self, nonce: bytes) -> AESGCM:
        half = int.from_bytes(nonce[:12], "big")
        blocks = (half << _BLOCK_BITS | half) ^ self._k1_twice  # steps 3, 4
        with self._lock:
            derived = self._derive(blocks.to_bytes(KEY_LEN_BYTES, "big"))  # step 5
        return AESGCM(derived)


def _double(block: bytes) -> int:
    """Multiply by x in GF(2^128): the CMAC subkey K1 of NIST SP 800-38B section 6.1."""
    value = int.from_bytes(block, "big") << 1
    overflow = value >> _BLOCK_BITS
    return (value ^ (overflow << _BLOCK_BITS)) ^ (overflow * _REDUCTION)
