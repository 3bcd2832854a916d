"""The link of this process to one token: the initialised module, the slot, and the pinned session with the login."""

from contextlib import suppress
from typing import Self

from strongroom.core import HsmError, PinRefusedError, TokenNotFoundError
from strongroom.hsm.cryptoki import CryptokiError, Module, TokenInfo
from strongroom.hsm.token._access import (
    COUNT_LOW,
    LOGGED_IN_STATES,
    identity_of,
    log_in,
    refuse_risky_login,
    select_token,
)
from strongroom.hsm.token._pin import Pin
from strongroom.hsm.token._values import Role, TokenIdentity, TokenSelector


class Link:
    """Logs in, and again when the login is lost; initialises the module anew. One thread at a time (``Ladder``)."""

    def __init__(self, module: Module, selector: TokenSelector, pin: Pin, role: Role) -> None:
        self.module = module
        self.role = role
        self._selector = selector
        self._pin = pin
        self._pinned: int | None = None
        self.slot, self.info = select_token(module, selector)
        self._serial = self.info.serial

    @classmethod
    def open(cls, module: Module, selector: TokenSelector, pin: Pin, role: Role) -> Self:
        """Select exactly one token and log in, with one try.

        The session that logged in is pinned: it does no work, so that nothing which ends a work session can end
        the login. Raises TokenNotFoundError, PinRefusedError, MemberFailedError.
        """
        link = cls(module, selector, pin, role)
        try:
            link._log_in()  # the class's own
        except PinRefusedError:
            pin.refuse()
            raise
        return link

    @property
    def identity(self) -> TokenIdentity:
        """Who the token says it is."""
        return identity_of(self.info)

    def is_alive(self) -> bool:
        """Ask the token, by C_GetSessionInfo on the pinned session, whether it still holds our login."""
        if self._pinned is None:
            return False
        try:
            return self.module.session_info(self._pinned).state in LOGGED_IN_STATES[self.role]
        except CryptokiError:
            return False

    def restore_login(self) -> bool:
        """Log in anew when the token says that the login is gone; returns whether it was.

        Work sessions may have kept the login when only the pinned session died: then another is pinned and no
        PIN is sent. Raises PinRefusedError, LoginUnclearError and other HsmErrors.
        """
        if self.is_alive():
            return False
        self._drop_pinned()
        info = self.module.token_info(self.slot)
        if info.serial != self._serial:
            raise TokenNotFoundError(
                f"slot {self.slot} holds another token by now, with serial {info.serial!r}"
            )
        session = self.module.open_session(self.slot, read_write=True)
        try:
            has_login = self.module.session_info(session).state in LOGGED_IN_STATES[self.role]
        except BaseException:
            self._close(session)
            raise
        if has_login:
            self._pinned = session
            return True
        self._close(session)
        self._log_in(info)
        return True

    def reinitialise(self) -> bool:
        """C_Finalize, C_Initialize, find the same token wherever it is by now, and log in; returns True.

        No other thread may be in the module. Raises HsmErrors; then only a new process can help.
        """
        self._pinned = None  # C_Finalize closes every session
        with suppress(
            HsmError
        ):  # what has lost its connection may refuse this, and be initialised all the same
            self.module.finalize()
        self.module.initialize()
        self.slot, info = select_token(self.module, self._selector)
        if info.serial != self._serial:
            raise TokenNotFoundError(
                f"the {self._selector} is another token by now, with serial {info.serial!r}"
            )
        self._log_in(info)
        return True

    def close(self) -> None:
        """Log out and forget the PIN; no error of a dying module gets out."""
        self._pin.forget()
        if self._pinned is not None:
            with suppress(HsmError):
                self.module.logout(self._pinned)
            self._drop_pinned()

    def refuse_pin(self) -> None:
        """Have it remembered that the PIN was refused; it is never sent again."""
        self._pin.refuse()

    def _log_in(self, info: TokenInfo | None = None) -> None:
        info = info or self.info
        refuse_risky_login(info, self.role)
        pin = self._pin.lend(is_count_low=COUNT_LOW[self.role] in info.flags)
        try:
            self._pinned = log_in(self.module, self.slot, info, pin, self.role)
        except PinRefusedError:
            raise  # refused, or unclear: then the try stays noted as one without an outcome
        except HsmError:
            self._pin.not_tried()
            raise
        self._pin.accepted()

    def _drop_pinned(self) -> None:
        if self._pinned is not None:
            self._close(self._pinned)
            self._pinned = None

    def _close(self, session: int) -> None:
        with suppress(HsmError):
            self.module.close_session(session)
