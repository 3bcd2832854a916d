"""Keys: generating, wrapping, unwrapping, deriving, and key encapsulation (3.2)."""

from typing import Any

from strongroom.hsm.cryptoki._attributes import Template
from strongroom.hsm.cryptoki._calls import Calls, take
from strongroom.hsm.cryptoki._declarations import BYTES_TYPE, ULONG_POINTER, ffi
from strongroom.hsm.cryptoki._gcm import iv_replaced
from strongroom.hsm.cryptoki._limits import MAX_DATA_BYTES, check_bytes, check_ulong
from strongroom.hsm.cryptoki._mechanism import Mechanism
from strongroom.hsm.cryptoki._operations import built
from strongroom.hsm.cryptoki._return_values import CKR_BUFFER_TOO_SMALL, CKR_OK, error_for
from strongroom.hsm.cryptoki._symmetric import AesGcm
from strongroom.hsm.cryptoki._templates import AttributeArray

_WRAPPED_ROOM = 8192


class KeyCalls(Calls):
    """The part of ``Module`` that deals with keys."""

    def generate_key(self, session: int, mechanism: Mechanism, template: Template) -> int:
        """C_GenerateKey. Returns the handle of the new secret key."""
        check_ulong(session, "session")
        made = built(mechanism)
        array = AttributeArray.of(template)
        try:
            return self._call_for_number("C_GenerateKey", session, made[0], array.pointer, array.count)
        finally:
            array.zeroize()

    def generate_key_pair(
        self, session: int, mechanism: Mechanism, *, public: Template, private: Template
    ) -> tuple[int, int]:
        """C_GenerateKeyPair. Returns the handles of the public and the private key."""
        check_ulong(session, "session")
        made = built(mechanism)
        of_public, of_private = AttributeArray.of(public), AttributeArray.of(private)
        handles = ffi.new(ULONG_POINTER), ffi.new(ULONG_POINTER)
        templates = of_public.pointer, of_public.count, of_private.pointer, of_private.count
        self._call("C_GenerateKeyPair", session, made[0], *templates, *handles)
        return handles[0][0], handles[1][0]

    def wrap_key(self, session: int, mechanism: Mechanism, *, wrapping_key: int, key: int) -> bytes:
        """C_WrapKey: the key, encrypted under the wrapping key.

        Raises KeyUnextractableError, KeyNotWrappableError, MechanismInvalidError and others, and
        ModuleContractError when the token replaced the IV of AES-GCM by its own.
        """
        check_ulong(session, "session")
        handles = check_ulong(wrapping_key, "wrapping_key"), check_ulong(key, "key")
        made = built(mechanism)
        room = _WRAPPED_ROOM
        while True:
            buffer = ffi.new(BYTES_TYPE, room)
            length = ffi.new(ULONG_POINTER, room)
            returned = self._functions["C_WrapKey"](session, made[0], *handles, buffer, length)
            if returned == CKR_OK:
                if (
                    isinstance(mechanism, AesGcm)
                    and ffi.buffer(made[2], len(mechanism.iv))[:] != mechanism.iv
                ):
                    raise iv_replaced("C_WrapKey", "this token cannot wrap with AES-GCM under a given IV")
                return take(buffer, length[0], room, "C_WrapKey")
            if returned != CKR_BUFFER_TOO_SMALL or room == MAX_DATA_BYTES:
                raise error_for(returned, "C_WrapKey")
            room = min(16 * room, MAX_DATA_BYTES)

    def unwrap_key(
        self, session: int, mechanism: Mechanism, *, unwrapping_key: int, wrapped: bytes, template: Template
    ) -> int:
        """C_UnwrapKey: make a key object of what ``wrap_key`` gave. Returns its handle.

        What a wrong key or a changed blob raises depends on the token: WrappedKeyInvalidError, GeneralError...
        """
        check_ulong(session, "session")
        check_ulong(unwrapping_key, "unwrapping_key")
        check_bytes(wrapped, "wrapped", least=1)
        made = built(mechanism)
        array = AttributeArray.of(template)
        blob = wrapped, len(wrapped)
        try:
            return self._call_for_number(
                "C_UnwrapKey", session, made[0], unwrapping_key, *blob, array.pointer, array.count
            )
        finally:
            array.zeroize()

    def derive_key(self, session: int, mechanism: Mechanism, *, base_key: int, template: Template) -> int:
        """C_DeriveKey. Returns the handle of the derived key."""
        check_ulong(session, "session")
        check_ulong(base_key, "base_key")
        made = built(mechanism)
        array = AttributeArray.of(template)
        try:
            return self._call_for_number(
                "C_DeriveKey", session, made[0], base_key, array.pointer, array.count
            )
        finally:
            array.zeroize()

    def encapsulate_key(
        self, session: int, mechanism: Mechanism, *, public_key: int, template: Template
    ) -> tuple[bytes, int]:
        """C_EncapsulateKey (3.2). Returns the ciphertext and the handle of the shared secret.

        Raises FunctionNotSupportedError where the module is older.
        """
        check_ulong(session, "session")
        check_ulong(public_key, "public_key")
        made = built(mechanism)
        array = AttributeArray.of(template)
        buffer: Any = ffi.new(BYTES_TYPE, _WRAPPED_ROOM)
        length = ffi.new(ULONG_POINTER, _WRAPPED_ROOM)
        arguments = public_key, array.pointer, array.count, buffer, length
        handle = self._call_for_number("C_EncapsulateKey", session, made[0], *arguments)
        return take(buffer, length[0], _WRAPPED_ROOM, "C_EncapsulateKey"), handle

    def decapsulate_key(
        self, session: int, mechanism: Mechanism, *, private_key: int, ciphertext: bytes, template: Template
    ) -> int:
        """C_DecapsulateKey (3.2). Returns the handle of the shared secret."""
        check_ulong(session, "session")
        check_ulong(private_key, "private_key")
        check_bytes(ciphertext, "ciphertext", least=1)
        made = built(mechanism)
        array = AttributeArray.of(template)
        arguments = private_key, array.pointer, array.count, ciphertext, len(ciphertext)
        return self._call_for_number("C_DecapsulateKey", session, made[0], *arguments)
