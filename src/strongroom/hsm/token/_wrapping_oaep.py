"""HSM_RSA_OAEP: RSAES-OAEP under an RSA pair inside the token, for tokens with neither AES-GCM nor AES-CBC and HMAC.

Source: RFC 8017, section 7.1. OAEP has no additional data, and many tokens take no label. So what the bytes are bound to stands
before them: SHA-256 of the AAD, compared after decryption. That keeps a blob from being used in another place; it does not
tell who made it, since the public half suffices for that. The public half is a private object of the token.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable
from typing import Final

from strongroom.core import HsmRequestError, WrapAlgorithm, WrappedBytes
from strongroom.hsm.cryptoki import (
    CryptokiError,
    HashAlgorithm,
    MechanismType,
    Module,
    ModuleContractError,
    RsaOaep,
)
from strongroom.hsm.token._classification import Handling, handling_of
from strongroom.hsm.token._profile import Profile
from strongroom.hsm.token._wrapping import Handles, decryption_failure, does_not_authenticate

BINDING_BYTES: Final = 32
MIN_MODULUS_BITS: Final = 3072
MAX_MODULUS_BITS: Final = 8192
_HASHES: Final = {
    1: HashAlgorithm.SHA1,
    2: HashAlgorithm.SHA256,
    3: HashAlgorithm.SHA384,
    4: HashAlgorithm.SHA512,
}
"""By the number that stands in a blob in place of an IV. The numbers are stored and never change meaning."""

_NUMBERS: Final = {made.name.lower(): number for number, made in _HASHES.items()}


class OaepWrapping:
    """See ``Wrapping``. The first handle is the public half's, the second the private half's."""

    algorithm = WrapAlgorithm.HSM_RSA_OAEP

    def __init__(self, module: Module, profile: Profile) -> None:
        self._module = module
        self._number = _NUMBERS[profile.oaep_hash]
        self._general_error_is_bad_tag = profile.general_error_is_bad_tag
        self.modulus_bits = root_modulus_bits(profile)
        overhead = 2 * _HASHES[self._number].digest_len_bytes + 2 + BINDING_BYTES
        self.max_key_bytes = self.modulus_bits // 8 - overhead
        self.mechanisms = (int(MechanismType.RSA_PKCS_KEY_PAIR_GEN), int(MechanismType.RSA_PKCS_OAEP))

    def check(self, wrapped: WrappedBytes) -> None:
        """See ``Wrapping``. A root made under another profile may have another modulus and hash."""
        if len(wrapped.iv) != 1 or wrapped.iv[0] not in _HASHES or wrapped.tag:
            raise HsmRequestError("HSM_RSA_OAEP has the number of a hash in place of an IV, and no tag")
        if len(wrapped.ciphertext) not in range(MIN_MODULUS_BITS // 8, MAX_MODULUS_BITS // 8 + 1, 128):
            raise HsmRequestError("the wrapped key is no longer or shorter than an RSA modulus")

    def encrypt(self, session: int, handles: Handles, plaintext: bytes, aad: bytes) -> WrappedBytes:
        """See ``Wrapping``."""
        payload = hashlib.sha256(aad).digest() + plaintext
        mechanism = RsaOaep(_HASHES[self._number])
        ciphertext = self._module.encrypt(session, mechanism, handles[0], payload)
        if len(ciphertext) * 8 != self.modulus_bits:
            raise ModuleContractError(f"RSA-OAEP made {len(ciphertext)} bytes under {self.modulus_bits} bits")
        return WrappedBytes(self.algorithm, bytes((self._number,)), ciphertext, b"")

    def decrypt(self, session: int, handles: Handles, wrapped: WrappedBytes, aad: bytes) -> bytes:
        """See ``Wrapping``."""
        mechanism = RsaOaep(_HASHES[wrapped.iv[0]])
        try:
            payload = self._module.decrypt(session, mechanism, handles[1], wrapped.ciphertext)
        except CryptokiError as error:
            # Tokens differ in what they call a ciphertext that does not open; mechanism and length were right.
            if error.function == "C_Decrypt" and handling_of(error) is Handling.CALLER:
                raise does_not_authenticate(error.ckr) from error
            raise decryption_failure(
                error, general_error_is_bad_tag=self._general_error_is_bad_tag
            ) from error
        binding, plaintext = payload[:BINDING_BYTES], payload[BINDING_BYTES:]
        if not hmac.compare_digest(binding, hashlib.sha256(aad).digest()) or not plaintext:
            raise does_not_authenticate()
        return plaintext

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


def root_modulus_bits(profile: Profile) -> int:
    """Return the modulus of a root of this algorithm: the profile's size of RSA keys, but never below 3,072 bits."""
    return max(profile.import_key_bits, MIN_MODULUS_BITS)
