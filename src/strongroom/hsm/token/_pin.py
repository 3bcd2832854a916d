"""The PIN for as long as it may be used: until it was refused, or the token is closed."""

from collections.abc import Callable
from typing import Protocol

from strongroom.core import PinRefusedError, Secret


class PinAttempts(Protocol):
    """Keeps, beyond the life of this process, that a PIN is being tried, and whether its tries had an outcome.

    Only ``begin`` raises, and nothing but what it says: an outcome that cannot be kept undoes no login.
    """

    def begin(self, pin: Secret, *, is_count_low: bool) -> None:
        """Note, durably, that the PIN is sent now.

        Raises PinRefusedError when earlier tries had no known outcome and another one is not to be risked:
        ``is_count_low`` is what the token says of wrong PINs since the last login (CKF_USER_PIN_COUNT_LOW). Raises
        MemberFailedError when the note cannot be kept: then the PIN must not be sent.
        """
        ...

    def accepted(self) -> None:
        """The token took the PIN."""
        ...

    def not_tried(self) -> None:
        """The try failed before the token looked at the PIN."""
        ...


class PinTry(Protocol):
    """Notes one try of one PIN of a change, and how it ended (``change_pin``)."""

    def begin(self, *, is_count_low: bool) -> None:
        """Note, durably, that the PIN is sent now. Raises as ``PinAttempts.begin``."""
        ...

    def accepted(self) -> None:
        """The token took the PIN."""
        ...

    def not_tried(self) -> None:
        """The try failed before the token looked at the PIN."""
        ...

    def refused(self) -> None:
        """The token looked at the PIN and did not take it."""
        ...


class UnkeptAttempts:
    """Keeps nothing: for those who open a token once and end."""

    def begin(self, pin: Secret, *, is_count_low: bool) -> None:
        """Let it be tried."""

    def accepted(self) -> None:
        """Keep nothing."""

    def not_tried(self) -> None:
        """Keep nothing."""


class Pin:
    """A PIN that logs in again after a login was lost. Belongs to whoever holds the ladder's lock.

    Holds a copy of its own in one buffer. Once refused, the copy is overwritten: this process cannot send it again.
    """

    def __init__(self, secret: Secret, *, refused: Callable[[Secret], None], attempts: PinAttempts) -> None:
        """``refused`` is told of a refusal, with the PIN, before anybody else is; it must not raise."""
        self._secret = Secret(secret.reveal())
        self._refused = refused
        self._attempts = attempts
        self._is_spent = False

    def lend(self, *, is_count_low: bool) -> Secret:
        """Give the PIN for one try, which ``accepted``, ``not_tried`` or ``refuse`` ends, or nothing if it is not known.

        Raises PinRefusedError when it was refused before, or forgotten, or must not be tried, MemberFailedError when the
        try cannot be noted (``PinAttempts.begin``).
        """
        if self._is_spent:
            raise PinRefusedError(
                "the PIN was refused before, or the token is closed: it is not tried again",
                next_step="put the right PIN in place, then start again",
            )
        self._attempts.begin(self._secret, is_count_low=is_count_low)
        return self._secret

    def accepted(self) -> None:
        """The token took the PIN that was lent."""
        self._attempts.accepted()

    def not_tried(self) -> None:
        """The PIN that was lent did not get as far as being compared."""
        self._attempts.not_tried()

    def refuse(self) -> None:
        """Have the refusal remembered, and forget the PIN."""
        if not self._is_spent:
            try:
                self._refused(self._secret)
            finally:
                self.forget()

    def forget(self) -> None:
        """Overwrite the PIN."""
        self._is_spent = True
        self._secret.zeroize()
