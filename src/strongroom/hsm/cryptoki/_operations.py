"""Encrypting, decrypting, signing, verifying and hashing, each as Init and one single-part call.

Everything is allocated and checked before Init, so nothing of ours fails between the two. After Init has succeeded
the specification says that the second call ends the operation, whether it succeeds or fails, except when it
returns CKR_BUFFER_TOO_SMALL; then it is repeated once with the size that the module asked for. If that does not
help, the operation is cancelled where the module has C_SessionCancel (3.0); an older module may keep it active, so
a session that raised BufferTooSmallError should be closed. Where a module breaks this rule the next Init in the session
raises OperationActiveError.
"""

from typing import Any, Final

from strongroom.hsm.cryptoki._calls import Calls, take
from strongroom.hsm.cryptoki._constants import MechanismFlag
from strongroom.hsm.cryptoki._declarations import BYTES_TYPE, ULONG_POINTER, ffi
from strongroom.hsm.cryptoki._errors import ParameterError
from strongroom.hsm.cryptoki._library import Function
from strongroom.hsm.cryptoki._limits import MAX_DATA_BYTES, check_bytes, check_ulong
from strongroom.hsm.cryptoki._mechanism import Built, Mechanism
from strongroom.hsm.cryptoki._return_values import CKR_BUFFER_TOO_SMALL, CKR_OK, error_for

# More than any mechanism adds: RSA-8192 makes 1,024 bytes of anything, GCM adds a tag and on Luna an IV.
_EXTRA_ROOM: Final = 1040
_SIGNATURE_ROOM: Final = 1024
_DIGEST_ROOM: Final = 256
_CANCEL: Final = {
    "C_Encrypt": MechanismFlag.ENCRYPT,
    "C_Decrypt": MechanismFlag.DECRYPT,
    "C_Sign": MechanismFlag.SIGN,
    "C_Digest": MechanismFlag.DIGEST,
}


def built(mechanism: Mechanism) -> Built:
    """Make the C structures of a mechanism. Raises ParameterError."""
    if not isinstance(mechanism, Mechanism):
        raise ParameterError("mechanism must be a Mechanism")
    return mechanism.build()


class OperationCalls(Calls):
    """The part of ``Module`` that uses keys on data."""

    def encrypt(self, session: int, mechanism: Mechanism, key: int, data: bytes) -> bytes:
        """C_EncryptInit and C_Encrypt on up to 16 MiB. For AES-GCM the tag is at the end."""
        check_ulong(session, "session")
        check_ulong(key, "key")
        check_bytes(data, "data")
        made = built(mechanism)
        room = len(data) + _EXTRA_ROOM
        output = ffi.new(BYTES_TYPE, room)
        length = ffi.new(ULONG_POINTER, room)
        returned = self._c_encrypt_init(session, made[0], key)
        if returned:
            raise error_for(returned, "C_EncryptInit")
        returned = self._c_encrypt(session, data, len(data), output, length)
        if returned:
            return self._again(returned, "C_Encrypt", session, data, length[0])
        return take(output, length[0], room, "C_Encrypt")

    def decrypt(self, session: int, mechanism: Mechanism, key: int, data: bytes) -> bytes:
        """C_DecryptInit and C_Decrypt on up to 16 MiB.

        What a ciphertext that does not authenticate raises depends on the token: EncryptedDataInvalidError,
        AeadDecryptFailedError; SoftHSM 2.6.1 raises GeneralError.
        """
        check_ulong(session, "session")
        check_ulong(key, "key")
        check_bytes(data, "data")
        made = built(mechanism)
        room = len(data) + _EXTRA_ROOM
        output = ffi.new(BYTES_TYPE, room)
        length = ffi.new(ULONG_POINTER, room)
        returned = self._c_decrypt_init(session, made[0], key)
        if returned:
            raise error_for(returned, "C_DecryptInit")
        returned = self._c_decrypt(session, data, len(data), output, length)
        if returned:
            return self._again(returned, "C_Decrypt", session, data, length[0])
        plaintext = take(output, length[0], room, "C_Decrypt")
        ffi.memmove(output, bytes(len(plaintext)), len(plaintext))
        return plaintext

    def sign(self, session: int, mechanism: Mechanism, key: int, data: bytes) -> bytes:
        """C_SignInit and C_Sign: a signature or a MAC."""
        check_ulong(session, "session")
        check_ulong(key, "key")
        check_bytes(data, "data")
        made = built(mechanism)
        output = ffi.new(BYTES_TYPE, _SIGNATURE_ROOM)
        length = ffi.new(ULONG_POINTER, _SIGNATURE_ROOM)
        returned = self._c_sign_init(session, made[0], key)
        if returned:
            raise error_for(returned, "C_SignInit")
        returned = self._c_sign(session, data, len(data), output, length)
        if returned:
            return self._again(returned, "C_Sign", session, data, length[0])
        return take(output, length[0], _SIGNATURE_ROOM, "C_Sign")

    def verify(self, session: int, mechanism: Mechanism, key: int, data: bytes, signature: bytes) -> None:
        """C_VerifyInit and C_Verify. Raises SignatureInvalidError or SignatureLenRangeError."""
        check_ulong(session, "session")
        check_ulong(key, "key")
        check_bytes(data, "data")
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

    def _again(self, returned: int, name: str, session: int, data: bytes, wanted: int) -> bytes:
        """Raise what the single-part call returned, or repeat it once when only the buffer was too small."""
        if returned == CKR_BUFFER_TOO_SMALL and wanted <= 2 * MAX_DATA_BYTES:
            function: Function = self._functions[name]
            output: Any = ffi.new(BYTES_TYPE, wanted)
            length = ffi.new(ULONG_POINTER, wanted)
            returned = function(session, data, len(data), output, length)
            if returned == CKR_OK:
                return take(output, length[0], wanted, name)
        if returned == CKR_BUFFER_TOO_SMALL:
            self._functions["C_SessionCancel"](session, int(_CANCEL[name]))
        raise error_for(returned, name)
