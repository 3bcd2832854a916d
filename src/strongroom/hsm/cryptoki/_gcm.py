"""AES-GCM, the hot path: root KEKs wrap and unwrap with it.

Making five C structures for each call would cost half as much again as the call itself, so they are kept in frames. A
frame belongs to whoever took it off the list until it is put back, so no two calls ever share one: not two
threads, nor a call and another that a signal handler makes in its middle.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from strongroom.hsm.cryptoki._calls import EXTRA_ROOM, Calls, take, zeroize
from strongroom.hsm.cryptoki._declarations import BYTES_TYPE, MECHANISM_POINTER, ULONG_POINTER, ffi
from strongroom.hsm.cryptoki._errors import ModuleContractError
from strongroom.hsm.cryptoki._library import Function, Library
from strongroom.hsm.cryptoki._limits import check_operation
from strongroom.hsm.cryptoki._mechanism_types import MechanismType
from strongroom.hsm.cryptoki._return_values import error_for
from strongroom.hsm.cryptoki._symmetric import AesGcm

_ROOM: Final = 4096
_AAD_ROOM: Final = 1024
_IV_ROOM: Final = 256
_ZEROS: Final = bytes(_ROOM)
_AES_GCM: Final = int(MechanismType.AES_GCM)
_TAG_BITS: Final = 128

Sealed = tuple[bytes, bytes, bytes]
"""IV of 1 to 256 bytes, AAD of up to 1 MiB, ciphertext with a tag of 16 bytes at its end."""


class _Frame:
    """The C structures of one AES-GCM call."""

    __slots__ = ("aad", "aad_view", "gcm", "iv", "iv_view", "length", "mechanism", "output", "output_view")

    def __init__(self) -> None:
        self.iv: Any = ffi.new(BYTES_TYPE, _IV_ROOM)
        self.iv_view: Any = ffi.buffer(self.iv)
        self.aad: Any = ffi.new(BYTES_TYPE, _AAD_ROOM)
        self.aad_view: Any = ffi.buffer(self.aad)
        self.gcm: Any = ffi.new("CK_GCM_PARAMS *", {"pIv": self.iv})
        parameter = self.gcm, ffi.sizeof("CK_GCM_PARAMS")
        self.mechanism: Any = ffi.new(MECHANISM_POINTER, (_AES_GCM, *parameter))
        self.length: Any = ffi.new(ULONG_POINTER)
        self.output: Any = ffi.new(BYTES_TYPE, _ROOM)
        self.output_view: Any = ffi.buffer(self.output)

    def fill(self, iv: bytes, aad: bytes, tag_bits: int, number: int) -> Any:
        """Set the parameter. Returns the buffer of a long AAD, which must live until the call is over."""
        gcm = self.gcm
        iv_len, aad_len = len(iv), len(aad)
        self.iv_view[0:iv_len] = iv
        gcm.pIv = self.iv if iv_len else ffi.NULL
        self.mechanism.mechanism = number
        gcm.ulIvLen = iv_len
        gcm.ulIvBits = 8 * iv_len
        gcm.ulAADLen = aad_len
        gcm.ulTagBits = tag_bits
        if aad_len == 0:
            gcm.pAAD = ffi.NULL
            return None
        if aad_len <= _AAD_ROOM:
            self.aad_view[0:aad_len] = aad
            gcm.pAAD = self.aad
            return None
        gcm.pAAD = long_aad = ffi.from_buffer(BYTES_TYPE, aad)
        return long_aad


class GcmCalls(Calls):
    """The part of ``Module`` that does AES-GCM on data."""

    def __init__(self, library: Library) -> None:
        super().__init__(library)
        self._frames: list[_Frame] = []  # taken and put back whole: list.pop and list.append are atomic

    def decrypt_gcm(  # noqa: PLR0917  # as ``_gcm``
        self, session: int, key: int, iv: bytes, aad: bytes, data: bytes, vendor_number: int | None = None
    ) -> bytes:
        """``decrypt`` with AES-GCM and a tag of 16 bytes, without the value that names the mechanism."""
        check_operation(session, key, data)
        if vendor_number is not None or not _is_usual(iv, aad):
            return self._gcm_decrypt(session, AesGcm(iv, aad, _TAG_BITS, vendor_number), key, data)
        frame = self._frame()
        try:
            calls = self._c_decrypt_init, self._c_decrypt
            return self._gcm("C_Decrypt", calls, frame, session, key, (iv, aad, _TAG_BITS, _AES_GCM), data)
        finally:
            ffi.memmove(frame.output, _ZEROS, _ROOM)
            self._frames.append(frame)

    def decrypt_gcm_each(
        self,
        session: int,
        key: int,
        sealed: Iterable[Sealed],
        opened: Callable[[bytes], object],
        *,
        vendor_number: int | None = None,
    ) -> None:
        """``decrypt`` with AES-GCM, one ciphertext after the other, all in the same C structures.

        What a ciphertext opens to is given to ``opened`` before the next one is taken from ``sealed``, which so may be a
        generator that ends when no time is left. Raises what ``decrypt`` does at the first that fails, and
        ModuleContractError when one opens to more or less than its length.
        """
        number = _AES_GCM if vendor_number is None else AesGcm(b"i", b"", _TAG_BITS, vendor_number).number
        calls = self._c_decrypt_init, self._c_decrypt
        frame = self._frame()
        try:
            for iv, aad, data in sealed:
                check_operation(session, key, data)
                if not _is_usual(iv, aad):
                    AesGcm(iv, aad)  # raises when they are out of bounds
                answer = self._gcm(
                    "C_Decrypt", calls, frame, session, key, (iv, aad, _TAG_BITS, number), data
                )
                if len(answer) + _TAG_BITS // 8 != len(data):
                    raise ModuleContractError(f"AES-GCM made {len(answer)} bytes of {len(data)} with the tag")
                opened(answer)
        finally:
            ffi.memmove(frame.output, _ZEROS, _ROOM)
            self._frames.append(frame)

    def _gcm_encrypt(self, session: int, mechanism: AesGcm, key: int, data: bytes) -> tuple[bytes, bytes]:
        """Return the IV that was used and the ciphertext."""
        frame = self._frame()
        try:
            calls = self._c_encrypt_init, self._c_encrypt
            ciphertext = self._gcm("C_Encrypt", calls, frame, session, key, _parameter(mechanism), data)
            iv_used: bytes = frame.iv_view[0 : len(mechanism.iv)]
        finally:
            self._frames.append(frame)
        return iv_used, ciphertext

    def _gcm_decrypt(self, session: int, mechanism: AesGcm, key: int, data: bytes) -> bytes:
        frame = self._frame()
        try:
            calls = self._c_decrypt_init, self._c_decrypt
            return self._gcm("C_Decrypt", calls, frame, session, key, _parameter(mechanism), data)
        finally:
            ffi.memmove(frame.output, _ZEROS, _ROOM)
            self._frames.append(frame)

    def _frame(self) -> _Frame:
        try:
            return self._frames.pop()
        except IndexError:
            return _Frame()

    def _gcm(  # noqa: PLR0917  # one caller a direction; keywords would cost time on the hot path
        self,
        name: str,
        calls: tuple[Function, Function],
        frame: _Frame,
        session: int,
        key: int,
        parameter: tuple[bytes, bytes, int, int],
        data: bytes,
    ) -> bytes:
        long_aad = frame.fill(*parameter)
        size = len(data)
        output, room, length = frame.output, _ROOM, frame.length
        if size + EXTRA_ROOM > _ROOM:
            room = size + EXTRA_ROOM
            output = ffi.new(BYTES_TYPE, room)
        length[0] = room
        returned = calls[0](session, frame.mechanism, key)
        if returned:
            raise error_for(returned, f"{name}Init")
        returned = calls[1](session, data, size, output, length)
        del long_aad  # until here the module could read it
        if returned:
            return self._again(returned, name, session, data, length[0])
        written = length[0]
        if written <= room == _ROOM:
            short: bytes = frame.output_view[0:written]
            return short
        answer = take(output, written, room, name)
        zeroize(output, len(answer))
        return answer


def _is_usual(iv: bytes, aad: bytes) -> bool:
    """Whether ``AesGcm`` would take these, by the quickest look."""
    return type(iv) is bytes and 0 < len(iv) <= _IV_ROOM and type(aad) is bytes and len(aad) <= _AAD_ROOM


def _parameter(mechanism: AesGcm) -> tuple[bytes, bytes, int, int]:
    return mechanism.iv, mechanism.aad, mechanism.tag_bits, mechanism.vendor_number or _AES_GCM


def iv_replaced(function: str, next_step: str) -> ModuleContractError:
    """Make the error for a token that encrypted with another IV than the caller's."""
    return ModuleContractError(
        f"{function}: the token used an IV of its own, so the caller could never decrypt",
        function=function,
        next_step=next_step,
    )
