"""Encrypting, decrypting, signing, verifying and hashing, each as Init and one single-part call.

Everything is allocated and checked before Init, so nothing of ours fails between the two. After Init has succeeded
the specification says that the second call ends the operation, whether it succeeds or fails, except when it
returns CKR_BUFFER_TOO_SMALL; then it is repeated once with the size that the module asked for. If that does not
help, the operation is cancelled where the module has C_SessionCancel (3.0); an older module may keep it active, so
a session that raised BufferTooSmallError should be closed. Where a module breaks this rule the next Init in the session
raises OperationActiveError.
"""

from collections.abc import Callable
from typing import Final

from strongroom.hsm.cryptoki._calls import EXTRA_ROOM, take, zeroize
from strongroom.hsm.cryptoki._declarations import BYTES_TYPE, ULONG_POINTER, ffi
from strongroom.hsm.cryptoki._errors import ParameterError
from strongroom.hsm.cryptoki._gcm import GcmCalls, iv_replaced
from strongroom.hsm.cryptoki._library import Function
from strongroom.hsm.cryptoki._limits import check_bytes, check_operation, check_ulong
from strongroom.hsm.cryptoki._mechanism import Built, Mechanism
from strongroom.hsm.cryptoki._return_values import error_for
from strongroom.hsm.cryptoki._symmetric import AesGcm

_DIGEST_ROOM: Final = 256


def built(mechanism: Mechanism) -> Built:
    """Make the C structures of a mechanism. Raises ParameterError."""
    if not isinstance(mechanism, Mechanism):
        raise ParameterError("mechanism must be a Mechanism")
    return mechanism.build()


class OperationCalls(GcmCalls):
    """The part of ``Module`` that uses keys on data."""

    def encrypt(self, session: int, mechanism: Mechanism, key: int, data: bytes) -> bytes:
        """C_EncryptInit and C_Encrypt on up to 16 MiB. For AES-GCM the tag is at the end.

        Raises ModuleContractError when the token replaced the IV of AES-GCM by its own, as some do in FIPS mode:
        the ciphertext would be lost. For those there is ``encrypt_reporting_iv``.
        """
        check_operation(session, key, data)
        if type(mechanism) is AesGcm:
            iv_used, ciphertext = self._gcm_encrypt(session, mechanism, key, data)
            if iv_used != mechanism.iv:
                raise iv_replaced("C_Encrypt", "use encrypt_reporting_iv with this HSM")
            return ciphertext
        calls = self._c_encrypt_init, self._c_encrypt
        return self._once("C_Encrypt", calls, session, mechanism, key, data)

    def encrypt_reporting_iv(
        self, session: int, mechanism: AesGcm, key: int, data: bytes
    ) -> tuple[bytes, bytes]:
        """Encrypt with AES-GCM; return the IV that the token used, of the length asked for, and the ciphertext.

        For tokens that make the IV themselves; the caller usually gives an IV of zeros as the room for it.
        """
        check_operation(session, key, data)
        if type(mechanism) is not AesGcm:
            raise ParameterError("mechanism must be an AesGcm")
        return self._gcm_encrypt(session, mechanism, key, data)

    def decrypt(self, session: int, mechanism: Mechanism, key: int, data: bytes) -> bytes:
        """C_DecryptInit and C_Decrypt on up to 16 MiB.

        What a ciphertext that does not authenticate raises depends on the token: EncryptedDataInvalidError,
        AeadDecryptFailedError; SoftHSM 2.6.1 raises GeneralError.
        """
        check_operation(session, key, data)
        if type(mechanism) is AesGcm:
            return self._gcm_decrypt(session, mechanism, key, data)
        calls = self._c_decrypt_init, self._c_decrypt
        return self._once("C_Decrypt", calls, session, mechanism, key, data)

    def sign(self, session: int, mechanism: Mechanism, key: int, data: bytes) -> bytes:
        """C_SignInit and C_Sign: a signature or a MAC."""
        check_operation(session, key, data)
        calls = self._c_sign_init, self._c_sign
        return self._once("C_Sign", calls, session, mechanism, key, data)

    def sign_authenticated(
        self, session: int, mechanism: Mechanism, key: int, data: bytes, authenticate: Callable[[], None]
    ) -> bytes:
        """C_SignInit, what ``authenticate`` does, and C_Sign: for keys with CKA_ALWAYS_AUTHENTICATE.

        ``authenticate`` logs in as UserType.CONTEXT_SPECIFIC in this session. What it raises leaves the operation
        active: the session must be closed then.
        """
        check_operation(session, key, data)
        calls = self._c_sign_init, self._c_sign
        return self._once("C_Sign", calls, session, mechanism, key, data, between=authenticate)

    def _once(  # noqa: PLR0917  # three callers, all here
        self,
        name: str,
        calls: tuple[Function, Function],
        session: int,
        mechanism: Mechanism,
        key: int,
        data: bytes,
        *,
        between: Callable[[], None] | None = None,
    ) -> bytes:
        made = built(mechanism)
        room = len(data) + EXTRA_ROOM
        output = ffi.new(BYTES_TYPE, room)
        length = ffi.new(ULONG_POINTER, room)
        returned = calls[0](session, made[0], key)
        if returned:
            raise error_for(returned, f"{name}Init")
        if between is not None:
            between()
        returned = calls[1](session, data, len(data), output, length)
        if returned:
            return self._again(returned, name, session, data, length[0])
        answer = take(output, length[0], room, name)
        zeroize(output, len(answer))
        return answer

    def verify(self, session: int, mechanism: Mechanism, key: int, data: bytes, signature: bytes) -> None:
        """C_VerifyInit and C_Verify. Raises SignatureInvalidError or SignatureLenRangeError."""
        check_operation(session, key, data)
        check_bytes(signature, "signature")
        made = built(mechanism)
        self._call("C_VerifyInit", session, made[0], key)
        self._call("C_Verify", session, data, len(data), signature, len(signature))

    def digest(self, session: int, mechanism: Mechanism, data: bytes) -> bytes:
        """C_DigestInit and C_Digest."""
        check_ulong(session, "session")
        check_bytes(data, "data")
        made = built(mechanism)
        output = ffi.new(BYTES_TYPE, _DIGEST_ROOM)
        length = ffi.new(ULONG_POINTER, _DIGEST_ROOM)
        self._call("C_DigestInit", session, made[0])
        returned = self._functions["C_Digest"](session, data, len(data), output, length)
        if returned:
            return self._again(returned, "C_Digest", session, data, length[0])
        return take(output, length[0], _DIGEST_ROOM, "C_Digest")
