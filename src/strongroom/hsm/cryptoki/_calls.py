"""The base of ``Module``: how a C function is called and its return value becomes an error."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from strongroom.hsm.cryptoki._constants import MechanismFlag
from strongroom.hsm.cryptoki._declarations import BYTES_TYPE, ULONG_POINTER, ffi
from strongroom.hsm.cryptoki._errors import ModuleContractError
from strongroom.hsm.cryptoki._library import Function, Library
from strongroom.hsm.cryptoki._limits import MAX_DATA_BYTES, MAX_PIN_BYTES, check_bytes
from strongroom.hsm.cryptoki._return_values import CKR_BUFFER_TOO_SMALL, CKR_OK, error_for

EXTRA_ROOM: Final = 1040
"""More than any mechanism adds: RSA-8192 makes 1,024 bytes of anything, GCM adds a tag and on Luna an IV."""
_CANCEL: Final = {
    "C_Encrypt": MechanismFlag.ENCRYPT,
    "C_Decrypt": MechanismFlag.DECRYPT,
    "C_Sign": MechanismFlag.SIGN,
    "C_Digest": MechanismFlag.DIGEST,
}


class Calls:
    """Calls the functions of one library. cffi releases the interpreter's lock during every call."""

    def __init__(self, library: Library) -> None:
        self._library = library
        functions = self._functions = library.functions
        self._c_encrypt_init = functions["C_EncryptInit"]
        self._c_encrypt = functions["C_Encrypt"]
        self._c_decrypt_init = functions["C_DecryptInit"]
        self._c_decrypt = functions["C_Decrypt"]
        self._c_sign_init = functions["C_SignInit"]
        self._c_sign = functions["C_Sign"]

    @property
    def path(self) -> str:
        """The path the library was loaded from."""
        return self._library.path

    def has_function(self, name: str) -> bool:
        """Whether the library offers the C function, for example ``C_SessionCancel`` (3.0 and later).

        Offering is no promise: many modules fill their list with functions that return
        CKR_FUNCTION_NOT_SUPPORTED.
        """
        return name in self._library.names

    def _again(self, returned: int, name: str, session: int, data: bytes, wanted: int) -> bytes:
        """Raise what the single-part call returned, or repeat it once when only the buffer was too small."""
        if returned == CKR_BUFFER_TOO_SMALL and wanted <= 2 * MAX_DATA_BYTES:
            function: Function = self._functions[name]
            output: Any = ffi.new(BYTES_TYPE, wanted)
            length = ffi.new(ULONG_POINTER, wanted)
            returned = function(session, data, len(data), output, length)
            if returned == CKR_OK:
                answer = take(output, length[0], wanted, name)
                zeroize(output, wanted)
                return answer
        if returned == CKR_BUFFER_TOO_SMALL:
            self._functions["C_SessionCancel"](session, int(_CANCEL[name]))
        raise error_for(returned, name)

    def _call(self, function: str, *arguments: Any) -> None:
        returned = self._functions[function](*arguments)
        if returned != CKR_OK:
            raise error_for(returned, function)

    def _call_for_number(self, function: str, *arguments: Any) -> int:
        """Call a function whose last argument takes one CK_ULONG: a handle or a count."""
        number = ffi.new(ULONG_POINTER)
        self._call(function, *arguments, number)
        return int(number[0])


@contextmanager
def pin_buffer(pin: bytes | None, what: str = "pin") -> Iterator[tuple[Any, int]]:
    """Lend a copy of a PIN to C and overwrite it afterwards. None is the token's own PIN pad: NULL.

    Raises ParameterError. The caller's ``bytes`` object is the caller's to forget.
    """
    if pin is None:
        yield ffi.NULL, 0
        return
    check_bytes(pin, what, most=MAX_PIN_BYTES)
    buffer = ffi.new(BYTES_TYPE, max(len(pin), 1))
    try:
        ffi.memmove(buffer, pin, len(pin))
        yield buffer, len(pin)
    finally:
        zeroize(buffer, len(buffer))


def zeroize(buffer: Any, n_bytes: int) -> None:
    """Overwrite the first bytes of a buffer of ours."""
    ffi.memmove(buffer, bytes(n_bytes), n_bytes)


def take(buffer: Any, length: int, room: int, function: str) -> bytes:
    """Return what the module wrote. Raises ModuleContractError when it says that it wrote beyond the room."""
    if length > room:
        raise ModuleContractError(f"{function}: {length} bytes in a buffer of {room}", function=function)
    taken: bytes = ffi.buffer(buffer, length)[:]
    return taken
