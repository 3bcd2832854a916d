"""Slots, tokens, sessions, PINs and login."""

from strongroom.hsm.cryptoki import _values
from strongroom.hsm.cryptoki._calls import Calls, pin_buffer, zeroize
from strongroom.hsm.cryptoki._constants import MechanismFlag, SessionFlag, UserType
from strongroom.hsm.cryptoki._declarations import BYTES_TYPE, ULONG_POINTER, ULONGS_TYPE, ffi
from strongroom.hsm.cryptoki._errors import ModuleContractError, ParameterError
from strongroom.hsm.cryptoki._limits import (
    MAX_RANDOM_BYTES,
    TOKEN_LABEL_BYTES,
    check_count,
    check_ulong,
)
from strongroom.hsm.cryptoki._return_values import CKR_BUFFER_TOO_SMALL, CKR_OK, error_for

_MAX_LIST = 65536


class SessionCalls(Calls):
    """The part of ``Module`` that deals with slots, tokens, sessions, PINs and login."""

    def library_info(self) -> _values.LibraryInfo:
        """C_GetInfo: who made the module."""
        info = ffi.new("CK_INFO *")
        self._call("C_GetInfo", info)
        return _values.library_info(info)

    def slots(self, *, with_token: bool = True) -> list[int]:
        """C_GetSlotList: the slots, or those that hold a token.

        Numbers may differ from one start to the next: find a token by its serial or label. The call with a NULL
        list comes first because it makes modules look for tokens that came or went.
        """
        count = ffi.new(ULONG_POINTER)
        self._call("C_GetSlotList", with_token, ffi.NULL, count)
        return self._list("C_GetSlotList", count[0], with_token)

    def mechanisms(self, slot: int) -> frozenset[int]:
        """C_GetMechanismList: the CKM_ numbers that the token says it has."""
        check_ulong(slot, "slot")
        return frozenset(self._list("C_GetMechanismList", 512, slot))

    def _list(self, function: str, guess: int, *arguments: int) -> list[int]:
        room = min(guess + 16, _MAX_LIST)
        while True:
            numbers = ffi.new(ULONGS_TYPE, room)
            count = ffi.new(ULONG_POINTER, room)
            returned = self._functions[function](*arguments, numbers, count)
            if returned == CKR_OK and count[0] <= room:
                return list(ffi.unpack(numbers, count[0]))
            if returned not in (CKR_OK, CKR_BUFFER_TOO_SMALL):
                raise error_for(returned, function)
            if returned == CKR_OK or room == _MAX_LIST:
                raise ModuleContractError(f"{function} lists {count[0]} items in {room}", function=function)
            room = min(max(count[0], 2 * room), _MAX_LIST)

    def slot_info(self, slot: int) -> _values.SlotInfo:
        """C_GetSlotInfo."""
        info = ffi.new("CK_SLOT_INFO *")
        self._call("C_GetSlotInfo", check_ulong(slot, "slot"), info)
        return _values.slot_info(info)

    def token_info(self, slot: int) -> _values.TokenInfo:
        """C_GetTokenInfo: label, serial, flags and limits of the token in a slot."""
        info = ffi.new("CK_TOKEN_INFO *")
        self._call("C_GetTokenInfo", check_ulong(slot, "slot"), info)
        return _values.token_info(info)

    def mechanism_info(self, slot: int, mechanism: int) -> _values.MechanismInfo:
        """C_GetMechanismInfo: key sizes and uses of a mechanism. Raises MechanismInvalidError."""
        info = ffi.new("CK_MECHANISM_INFO *")
        check_ulong(mechanism, "mechanism")
        self._call("C_GetMechanismInfo", check_ulong(slot, "slot"), mechanism, info)
        return _values.mechanism_info(info)

    def init_token(self, slot: int, so_pin: bytes | None, label: str) -> None:
        """C_InitToken: **erase the token** and set the security officer's PIN and the label.

        ``label`` has 1 to 32 bytes of UTF-8. On a token that was initialised before, ``so_pin`` must be its PIN.
        """
        check_ulong(slot, "slot")
        encoded = label.encode("utf-8", "replace")
        if not 1 <= len(encoded) <= TOKEN_LABEL_BYTES or "\x00" in label:
            raise ParameterError(
                f"label must have 1 to {TOKEN_LABEL_BYTES} bytes of UTF-8, none of them zero"
            )
        padded = ffi.new(BYTES_TYPE, encoded.ljust(TOKEN_LABEL_BYTES))
        with pin_buffer(so_pin, "so_pin") as (pin, length):
            self._call("C_InitToken", slot, pin, length, padded)

    def open_session(self, slot: int, *, read_write: bool = True) -> int:
        """C_OpenSession: a serial session, without a callback. Returns its handle."""
        flags = SessionFlag.SERIAL_SESSION | (SessionFlag.RW_SESSION if read_write else 0)
        return self._call_for_number(
            "C_OpenSession", check_ulong(slot, "slot"), int(flags), ffi.NULL, ffi.NULL
        )

    def close_session(self, session: int) -> None:
        """C_CloseSession: also destroys its session objects. Closing the last one logs out."""
        self._call("C_CloseSession", check_ulong(session, "session"))

    def close_all_sessions(self, slot: int) -> None:
        """C_CloseAllSessions: of this process with the token in the slot."""
        self._call("C_CloseAllSessions", check_ulong(slot, "slot"))

    def session_info(self, session: int) -> _values.SessionInfo:
        """C_GetSessionInfo: slot, state, flags; a cheap way to see whether a session lives."""
        info = ffi.new("CK_SESSION_INFO *")
        self._call("C_GetSessionInfo", check_ulong(session, "session"), info)
        return _values.session_info(info)

    def session_cancel(self, session: int, flags: MechanismFlag) -> None:
        """C_SessionCancel (3.0): end the active operations that ``flags`` name.

        Raises FunctionNotSupportedError where the module is older; closing the session is then the only way.
        """
        check_ulong(session, "session")
        self._call("C_SessionCancel", session, check_ulong(int(flags), "flags"))

    def login(self, session: int, user: UserType, pin: bytes | None) -> None:
        """C_Login: logs the whole process in to the token, not only this session.

        ``pin`` is None when the token has a PIN pad (TokenFlag.PROTECTED_AUTHENTICATION_PATH). Raises
        PinIncorrectError, PinLockedError, UserAlreadyLoggedInError and others. A refused PIN must not be tried
        again by a program.
        """
        check_ulong(session, "session")
        with pin_buffer(pin) as (buffer, length):
            self._call("C_Login", session, int(UserType(user)), buffer, length)

    def logout(self, session: int) -> None:
        """C_Logout: logs the whole process out of the token; private session objects are destroyed."""
        self._call("C_Logout", check_ulong(session, "session"))

    def init_pin(self, session: int, pin: bytes | None) -> None:
        """C_InitPIN: the security officer sets the user's PIN."""
        check_ulong(session, "session")
        with pin_buffer(pin) as (buffer, length):
            self._call("C_InitPIN", session, buffer, length)

    def set_pin(self, session: int, old: bytes | None, new: bytes | None) -> None:
        """C_SetPIN: whoever is logged in changes their PIN; without a login it is the user's."""
        check_ulong(session, "session")
        with pin_buffer(old, "old") as (old_pin, old_len), pin_buffer(new, "new") as (new_pin, new_len):
            self._call("C_SetPIN", session, old_pin, old_len, new_pin, new_len)

    def generate_random(self, session: int, n_bytes: int) -> bytes:
        """C_GenerateRandom: 1 to 1,048,576 bytes of the token's generator."""
        check_ulong(session, "session")
        check_count(n_bytes, "n_bytes", MAX_RANDOM_BYTES)
        buffer = ffi.new(BYTES_TYPE, n_bytes)
        try:
            self._call("C_GenerateRandom", session, buffer, n_bytes)
            generated: bytes = ffi.buffer(buffer)[:]
        finally:
            zeroize(buffer, n_bytes)
        return generated
