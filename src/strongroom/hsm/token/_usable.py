"""Waiting for a new key: some HSMs show it and let it be used only after a while (``Profile.usable_within_s``)."""

import threading
from collections.abc import Callable
from typing import Final, TypeVar

from strongroom.core import Clock, Deadline
from strongroom.hsm.cryptoki import KeyHandleInvalidError, ObjectHandleInvalidError

_Result = TypeVar("_Result")

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0


def when_usable(use: Callable[[], _Result], *, within_s: float, clock: Clock) -> _Result:
    """Use a new key, again and again while the token does not know it yet; at most ``within_s`` long.

    Raises what the last use raised.
    """
    until = Deadline.after(clock, within_s)
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            return use()
        except (KeyHandleInvalidError, ObjectHandleInvalidError):
            if until.remaining_s() <= pause_s:
                raise
        threading.Event().wait(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
