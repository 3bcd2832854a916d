"""HSM_AES_CBC_HMAC: AES-256-CBC, then HMAC-SHA-256, each under a key of its own inside the token.

The composition is that of RFC 7518, section 5.2.2.1 (encrypt, then MAC over AAD, IV, ciphertext and the length of the AAD in
bits), with a separate 256-bit key for each part and the whole 32-byte tag. CBC: NIST SP 800-38A; padding: PKCS#7 (RFC
5652, section 6.3), made here, because a token's own (CKM_AES_CBC_PAD) tells by its errors what the padding was.
"""

import hmac
import struct
from collections.abc import Callable, Iterable

from strongroom.core import HsmRequestError, WrapAlgorithm, WrappedBytes, random_bytes
from strongroom.hsm.cryptoki import AesCbc, Hmac, MechanismType, Module, ModuleContractError
from strongroom.hsm.token._profile import Profile
from strongroom.hsm.token._wrapping import MAX_KEY_BYTES, Handles, does_not_authenticate

BLOCK_BYTES = 16
TAG_LEN_BYTES = 32
_SHA_256 = Hmac(256)
_BITS = struct.Struct(">Q")


class CbcHmacWrapping:
    """See ``Wrapping``. The first handle is the AES key's, the second the MAC key's."""

    algorithm = WrapAlgorithm.HSM_AES_CBC_HMAC
    max_key_bytes = MAX_KEY_BYTES

    def __init__(self, module: Module, profile: Profile) -> None:
        self._module = module
        self.mechanisms = (
            int(MechanismType.AES_KEY_GEN),
            int(MechanismType.AES_CBC),
            profile.mac_key_gen,
            int(MechanismType.SHA256_HMAC),
        )

    def check(self, wrapped: WrappedBytes) -> None:
        """See ``Wrapping``."""
        if len(wrapped.iv) != BLOCK_BYTES or len(wrapped.tag) != TAG_LEN_BYTES:
            raise HsmRequestError(f"IV and tag have {BLOCK_BYTES} and {TAG_LEN_BYTES} bytes")
        blocks, rest = divmod(len(wrapped.ciphertext), BLOCK_BYTES)
        if rest or not 1 <= blocks <= MAX_KEY_BYTES // BLOCK_BYTES + 1:
            raise HsmRequestError(f"a wrapped key has whole blocks of {BLOCK_BYTES} bytes, at least one")

    def encrypt(self, session: int, handles: Handles, plaintext: bytes, aad: bytes) -> WrappedBytes:
        """See ``Wrapping``."""
        cipher_key, mac_key = handles
        iv = random_bytes(BLOCK_BYTES)
        padded = pad(plaintext)
        ciphertext = self._module.encrypt(session, AesCbc(iv), cipher_key, padded)
        if len(ciphertext) != len(padded):
            raise ModuleContractError(f"AES-CBC made {len(ciphertext)} bytes of {len(padded)}")
        return WrappedBytes(self.algorithm, iv, ciphertext, self._tag(session, mac_key, aad, iv, ciphertext))

    def decrypt(self, session: int, handles: Handles, wrapped: WrappedBytes, aad: bytes) -> bytes:
        """See ``Wrapping``. Nothing is decrypted before the tag was found right."""
        cipher_key, mac_key = handles
        tag = self._tag(session, mac_key, aad, wrapped.iv, wrapped.ciphertext)
        if not hmac.compare_digest(tag, wrapped.tag):
            raise does_not_authenticate()
        padded = self._module.decrypt(session, AesCbc(wrapped.iv), cipher_key, wrapped.ciphertext)
        if len(padded) != len(wrapped.ciphertext):
            raise ModuleContractError(f"AES-CBC made {len(padded)} bytes of {len(wrapped.ciphertext)}")
        return unpad(padded)

    def decrypt_each(
        self,
        session: int,
        handles: Handles,
        sealed: Iterable[tuple[WrappedBytes, bytes]],
        opened: Callable[[bytes], object],
    ) -> None:
        """See ``Wrapping``."""
        for wrapped, aad in sealed:
            opened(self.decrypt(session, handles, wrapped, aad))

    def _tag(self, session: int, key: int, aad: bytes, iv: bytes, ciphertext: bytes) -> bytes:
        tag = self._module.sign(session, _SHA_256, key, mac_input(aad, iv, ciphertext))
        if len(tag) != TAG_LEN_BYTES:
            raise ModuleContractError(f"HMAC-SHA-256 made {len(tag)} bytes")
        return tag


def mac_input(aad: bytes, iv: bytes, ciphertext: bytes) -> bytes:
    """Return what the tag is over: AAD, IV, ciphertext, and the length of the AAD in bits (8 bytes, big endian)."""
    return b"".join((aad, iv, ciphertext, _BITS.pack(8 * len(aad))))


def pad(plaintext: bytes) -> bytes:
    """Add 1 to 16 bytes, each of which says how many there are."""
    missing = BLOCK_BYTES - len(plaintext) % BLOCK_BYTES
    return plaintext + bytes((missing,)) * missing


def unpad(padded: bytes) -> bytes:
    """Take the padding off. Raises ModuleContractError: the tag was right, so the token decrypted wrong."""
    added = padded[-1] if padded else 0
    if not 1 <= added <= BLOCK_BYTES or padded[-added:] != bytes((added,)) * added or len(padded) == added:
        raise ModuleContractError(
            "AES-CBC made something else of what it had encrypted: its padding is wrong"
        )
    return padded[:-added]
