"""HSM_AES_GCM: AES-256-GCM inside the token, whoever makes the IV.

Source: NIST SP 800-38D; PKCS#11 3.2, section 6.13.3 (CKM_AES_GCM). In approved mode some HSMs take no IV from outside
(FIPS 140-3 IG, C.H), and say in three ways which one they made.
"""

from collections.abc import Callable, Iterable

from strongroom.core import HsmRequestError, WrapAlgorithm, WrappedBytes, random_bytes
from strongroom.hsm.cryptoki import (
    AesGcm,
    CryptokiError,
    MechanismParamInvalidError,
    MechanismType,
    Module,
    ModuleContractError,
)
from strongroom.hsm.token._profile import Profile
from strongroom.hsm.token._wrapping import (
    MAX_KEY_BYTES,
    Handles,
    UnexplainedError,
    check_length,
    decryption_failure,
)

IV_LENGTHS = (12, 16)
TAG_LEN_BYTES = 16


class GcmWrapping:
    """See ``Wrapping``. The IV of each wrapping is random: the caller's, made anew for a second try, or the token's."""

    algorithm = WrapAlgorithm.HSM_AES_GCM
    max_key_bytes = MAX_KEY_BYTES

    def __init__(self, module: Module, profile: Profile) -> None:
        self._module = module
        self._rule = profile.iv_rule
        self._iv_len = profile.iv_len
        self._last_iv = b""  # read and set whole; threads may overwrite each other's
        standard = profile.gcm_mechanism == MechanismType.AES_GCM
        self._vendor_number = None if standard else profile.gcm_mechanism
        self._general_error_is_bad_tag = profile.general_error_is_bad_tag
        self.mechanisms = (int(MechanismType.AES_KEY_GEN), profile.gcm_mechanism)

    def check(self, wrapped: WrappedBytes) -> None:
        """See ``Wrapping``."""
        _algorithm, iv, ciphertext, tag = wrapped
        if len(iv) not in IV_LENGTHS or len(tag) != TAG_LEN_BYTES:
            raise HsmRequestError(f"IV and tag have 12 or 16, and {TAG_LEN_BYTES} bytes")
        if not 1 <= len(ciphertext) <= MAX_KEY_BYTES:
            check_length("wrapped key", len(ciphertext), 1, MAX_KEY_BYTES)

    def encrypt(self, session: int, handles: Handles, plaintext: bytes, aad: bytes) -> WrappedBytes:
        """See ``Wrapping``. Raises ModuleContractError when the token did not make the IV that the profile promises."""
        iv, sealed = self._seal(session, handles[0], plaintext, aad)
        if len(sealed) != len(plaintext) + TAG_LEN_BYTES:
            raise ModuleContractError(f"AES-GCM made {len(sealed)} bytes of {len(plaintext)}")
        return WrappedBytes(self.algorithm, iv, sealed[:-TAG_LEN_BYTES], sealed[-TAG_LEN_BYTES:])

    def decrypt(self, session: int, handles: Handles, wrapped: WrappedBytes, aad: bytes) -> bytes:
        """See ``Wrapping``."""
        _algorithm, iv, ciphertext, tag = wrapped
        try:
            if self._rule == "hsm-prepended":
                mechanism = self._mechanism(b"", aad)
                opened = self._module.decrypt(session, mechanism, handles[0], iv + ciphertext + tag)
            else:
                sealed = ciphertext + tag
                opened = self._module.decrypt_gcm(session, handles[0], iv, aad, sealed, self._vendor_number)
        except CryptokiError as error:
            if isinstance(error, MechanismParamInvalidError) and len(wrapped.iv) != self._iv_len:
                # Members that cannot open each other's IVs make no cluster: so it is the caller's, and no drift.
                raise UnexplainedError from error
            raise decryption_failure(
                error, general_error_is_bad_tag=self._general_error_is_bad_tag
            ) from error
        if len(opened) != len(ciphertext):
            raise ModuleContractError(f"AES-GCM made {len(opened)} bytes of {len(ciphertext)}")
        return opened

    def decrypt_each(
        self,
        session: int,
        handles: Handles,
        sealed: Iterable[tuple[WrappedBytes, bytes]],
        opened: Callable[[bytes], object],
    ) -> None:
        """See ``Wrapping``."""
        if self._rule == "hsm-prepended":
            for wrapped, aad in sealed:
                opened(self.decrypt(session, handles, wrapped, aad))
            return
        self._module.decrypt_gcm_each(
            session,
            handles[0],
            ((wrapped.iv, aad, wrapped.ciphertext + wrapped.tag) for wrapped, aad in sealed),
            opened,
            vendor_number=self._vendor_number,
        )

    def _mechanism(self, iv: bytes, aad: bytes) -> AesGcm:
        return AesGcm(iv, aad, TAG_LEN_BYTES * 8, self._vendor_number, not iv)

    def _seal(self, session: int, key: int, plaintext: bytes, aad: bytes) -> tuple[bytes, bytes]:
        """Encrypt; return the IV that the token used, and ciphertext with tag."""
        if self._rule == "caller":
            iv = random_bytes(self._iv_len)
            return iv, self._module.encrypt(session, self._mechanism(iv, aad), key, plaintext)
        if self._rule == "hsm-in-parameter":
            # Zeros, so that an IV that the token did not write shows.
            room = self._mechanism(bytes(self._iv_len), aad)
            iv, sealed = self._module.encrypt_reporting_iv(session, room, key, plaintext)
            return self._made(iv), sealed
        answer = self._module.encrypt(session, self._mechanism(b"", aad), key, plaintext)
        if len(answer) != self._iv_len + len(plaintext) + TAG_LEN_BYTES:
            raise ModuleContractError(
                f"AES-GCM made {len(answer)} bytes of {len(plaintext)}, where {self._iv_len} are to be its own IV"
            )
        if self._rule == "hsm-prepended":
            return self._made(answer[: self._iv_len]), answer[self._iv_len :]
        return self._made(answer[-self._iv_len :]), answer[: -self._iv_len]

    def _made(self, iv: bytes) -> bytes:
        if not any(iv):
            raise ModuleContractError(
                "the token made no IV of its own: it left the zeros that it was given",
                next_step=f"the profile says iv_rule {self._rule!r}; this token needs another one",
            )
        if iv == self._last_iv:  # not a test of its generator: only what a stuck one or a stale buffer gives
            raise ModuleContractError("the token gave the same IV twice running")
        self._last_iv = iv
        return iv
