"""Cobblestone-256: the keys of a chunked message, and single runs of its chunks.

Source: https://c2sp.org/chunked-encryption, with AES-256-GCM as AEAD and SHA-512 as hash. The message is cut into
chunks of 16 KiB of which the last is always shorter, so that a full chunk is never the last one.
"""

import hmac
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from strongroom.core import Secret, random_bytes
from strongroom.envelope._errors import EnvelopeIntegrityError, KeyCommitmentError, TruncatedMessageError

CHUNK_BYTES: Final = 16 * 1024
TAG_LEN_BYTES: Final = 16
ENCRYPTED_CHUNK_BYTES: Final = CHUNK_BYTES + TAG_LEN_BYTES
PROLOGUE_BYTES: Final = 56
"""Salt and commitment, which stand before the first chunk."""
MAX_CHUNKS: Final = 2**38
"""Of one message: 4 PiB ("Message chunking")."""

_KEY_LEN: Final = 32
_NONCE_LEN: Final = 12
_SALT_LEN: Final = 24
_COMMITMENT_LEN: Final = 32
_LABEL: Final = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00"


class ChunkCipher:
    """The derived key of one message.

    One AES-GCM object serves all chunks, and everything goes from buffer to buffer: what a chunk costs beside
    AES is its nonce. Safe to share between threads, as long as each works on buffers of its own.
    """

    __slots__ = ("_aead", "_base_nonce", "prologue")

    def __init__(self, input_key: bytes | Secret, salt: bytes, context: bytes) -> None:
        """Derive key, base nonce and commitment. Raises ValueError on a key that is not 32 bytes long."""
        key_bytes = input_key.reveal() if isinstance(input_key, Secret) else input_key
        if len(key_bytes) != _KEY_LEN:
            raise ValueError(f"the input key of a chunked message has {_KEY_LEN} bytes")
        derived = HKDFExpand(
            SHA512(), _KEY_LEN + _NONCE_LEN + _COMMITMENT_LEN, _LABEL + salt + context
        ).derive(key_bytes)
        self._aead = AESGCM(derived[:_KEY_LEN])
        self._base_nonce = int.from_bytes(derived[_KEY_LEN : _KEY_LEN + _NONCE_LEN], "big")
        self.prologue: bytes = salt + derived[_KEY_LEN + _NONCE_LEN :]

    @classmethod
    def for_new_message(cls, input_key: bytes | Secret, context: bytes, *, salt: bytes | None = None) -> Self:
        """Choose a salt. Only tests with known answers give one: no two messages of a key may share it."""
        if salt is not None and len(salt) != _SALT_LEN:
            raise ValueError(f"the salt of a chunked message has {_SALT_LEN} bytes")
        return cls(input_key, random_bytes(_SALT_LEN) if salt is None else salt, context)

    @classmethod
    def of_message(cls, input_key: bytes | Secret, context: bytes, prologue: bytes) -> Self:
        """Take the salt from a prologue and check the commitment beside it.

        Raises TruncatedMessageError when that is not 56 bytes long, and KeyCommitmentError when key or
        context are not those that the message was made with.
        """
        if len(prologue) != PROLOGUE_BYTES:
            raise TruncatedMessageError
        cipher = cls(input_key, bytes(prologue[:_SALT_LEN]), context)
        if not hmac.compare_digest(cipher.prologue, prologue):
            raise KeyCommitmentError
        return cipher

    def encrypt_run(self, first: int, source: memoryview, target: memoryview) -> None:
        """Encrypt consecutive chunks, of which only the last may be short; ``first`` is the number of the first."""
        encrypt_into, base_nonce = self._aead.encrypt_into, self._base_nonce
        number, at = first, 0
        for start in range(0, len(source) or 1, CHUNK_BYTES):
            chunk = source[start : start + CHUNK_BYTES]
            end = at + len(chunk) + TAG_LEN_BYTES
            encrypt_into((base_nonce ^ number).to_bytes(_NONCE_LEN, "big"), chunk, None, target[at:end])
            number, at = number + 1, end

    def decrypt_run(self, first: int, source: memoryview, target: memoryview) -> None:
        """Decrypt consecutive chunks, of which only the last may be short and none shorter than its tag.

        Raises EnvelopeIntegrityError, and then the target holds nothing but zeros.
        """
        decrypt_into, base_nonce = self._aead.decrypt_into, self._base_nonce
        number, at = first, 0
        try:
            for start in range(0, len(source), ENCRYPTED_CHUNK_BYTES):
                chunk = source[start : start + ENCRYPTED_CHUNK_BYTES]
                end = at + len(chunk) - TAG_LEN_BYTES
                decrypt_into((base_nonce ^ number).to_bytes(_NONCE_LEN, "big"), chunk, None, target[at:end])
                number, at = number + 1, end
        except InvalidTag:
            target[:] = bytes(len(target))  # GCM decrypts before it knows whether it may
            raise EnvelopeIntegrityError(
                f"chunk {number} does not authenticate: it was altered, or is not where it belongs"
            ) from None


def check_chunk_count(chunks: int) -> None:
    """Raise EnvelopeIntegrityError for a message of more than 2^38 chunks."""
    if chunks > MAX_CHUNKS:
        raise EnvelopeIntegrityError("a chunked message has 4 PiB at most")
