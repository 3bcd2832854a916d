"""The canary of a Direct key without a public half: a known answer, kept with its record, that no other key gives.

    canary = SHA-256(answer), 32 bytes ‖ sealed
    name   = encode_fields("strongroom direct key canary v1", [key id, spec, usage])

HMAC key: the answer is its MAC over ``name``, and ``sealed`` is empty. AES key: the answer is 32 random bytes, and
``sealed`` is those under the key by AES-256-GCM with ``name`` as AAD: length of the IV (1 byte, 12 or 16) ‖ IV ‖
tag (16) ‖ ciphertext (32). AES-CMAC would do without the random bytes, but such a key may encrypt and decrypt only.

Whoever puts another key under the same CKA_ID, with the PINs of users, would have to find one that gives this answer:
a second preimage of HMAC or SHA-256. The digest tells nobody the answer; both may be in a backup.
"""

import hashlib
import hmac
from typing import Final, NamedTuple

from strongroom.core import (
    Deadline,
    HsmDirectUse,
    HsmIntegrityError,
    HsmKey,
    KeySpec,
    Secret,
    StorageError,
    WrapAlgorithm,
    WrappedBytes,
    encode_fields,
    random_bytes,
)

_DIGEST_BYTES: Final = 32
_ANSWER_BYTES: Final = 32
_TAG_BYTES: Final = 16
_IV_LENGTHS: Final = frozenset({12, 16})


class KeyCanary(NamedTuple):
    """A canary, decoded."""

    digest: bytes
    """SHA-256 of the answer."""
    sealed: WrappedBytes | None
    """The answer under an AES key; None of an HMAC key."""

    def encode(self) -> bytes:
        """Return the form that is stored, 32 to 113 bytes."""
        if self.sealed is None:
            return self.digest
        _, iv, ciphertext, tag = self.sealed
        return self.digest + bytes([len(iv)]) + iv + tag + ciphertext

    @classmethod
    def parse(cls, encoded: bytes) -> "KeyCanary":
        """Decode what ``encode`` made. Raises StorageError on anything else."""
        digest, rest = encoded[:_DIGEST_BYTES], encoded[_DIGEST_BYTES:]
        if len(digest) != _DIGEST_BYTES:
            raise _damaged()
        if not rest:
            return cls(digest, None)
        iv_len = rest[0]
        if iv_len not in _IV_LENGTHS or len(rest) != 1 + iv_len + _TAG_BYTES + _ANSWER_BYTES:
            raise _damaged()
        iv, tag, ciphertext = rest[1 : 1 + iv_len], rest[1 + iv_len : -_ANSWER_BYTES], rest[-_ANSWER_BYTES:]
        return cls(digest, WrappedBytes(WrapAlgorithm.HSM_AES_GCM, iv, ciphertext, tag))


async def make_key_canary(key: HsmKey, member: HsmDirectUse, *, deadline: Deadline) -> bytes | None:
    """Have a member give the answer of a new key; None for a pair, which its public half recognises. Raises HsmError."""
    if key.spec.is_pair:
        return None
    if key.spec is not KeySpec.AES_256:
        answer = await member.mac(key, _name(key), deadline=deadline)
        return KeyCanary(hashlib.sha256(answer).digest(), None).encode()
    value = Secret(random_bytes(_ANSWER_BYTES))
    sealed = await member.encrypt(key, value, _name(key), deadline=deadline)
    return KeyCanary(hashlib.sha256(value.reveal()).digest(), sealed).encode()


async def prove_key_canary(key: HsmKey, canary: bytes, member: HsmDirectUse, *, deadline: Deadline) -> None:
    """Have a member give the answer again. Raises HsmIntegrityError when its key is another one, and StorageError."""
    digest, sealed = KeyCanary.parse(canary)
    if (sealed is None) is (key.spec is KeySpec.AES_256):
        raise _damaged()
    if sealed is None:
        answer = await member.mac(key, _name(key), deadline=deadline)
    else:
        answer = (await member.decrypt(key, sealed, _name(key), deadline=deadline)).reveal()
    if not hmac.compare_digest(hashlib.sha256(answer).digest(), digest):
        raise HsmIntegrityError(f"the member's key {key.key_id.hex()} gives another answer than was noted")


def _name(key: HsmKey) -> bytes:
    fields = [bytes(key.key_id), key.spec.encode(), key.usage.encode()]
    return encode_fields("strongroom direct key canary v1", fields)


def _damaged() -> StorageError:
    return StorageError(
        "the canary of a Direct key is damaged", next_step="restore the database from a backup"
    )
