"""The PIN for as long as it may be used: until it was refused, or the token is closed."""

from collections.abc import Callable

from strongroom.core import PinRefusedError, Secret


class Pin:
    """A PIN that logs in again after a login was lost. Belongs to whoever holds the ladder's lock.

    Holds a copy of its own in one buffer. Once refused, the copy is overwritten: this process cannot send it again.
    """

    def __init__(self, secret: Secret, *, refused: Callable[[Secret], None]) -> None:
        """``refused`` is told of a refusal, with the PIN, before anybody else is; it must not raise."""
        self._secret = Secret(secret.reveal())
        self._refused = refused
        self._is_spent = False

    def lend(self) -> Secret:
        """Give the PIN for one try. Raises PinRefusedError when it was refused before, or forgotten."""
        if self._is_spent:
            raise PinRefusedError(
                "the PIN was refused before, or the token is closed: it is not tried again",
                next_step="put the right PIN in place, then start again",
            )
        return self._secret

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
