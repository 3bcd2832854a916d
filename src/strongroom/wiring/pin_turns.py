"""Logging in and changing a PIN take turns: nobody sends a PIN while it is being changed, and the other way round."""

import fcntl
import os
import time
from pathlib import Path
from typing import Final

from strongroom.core import MemberFailedError

_WAIT_S: Final = 10.0
_LOOK_EVERY_S: Final = 0.02


class PinTurn:
    """A lock of one member and role over all processes of the host (flock(2)), beside the record of the change.

    Logins share it; a change has it alone. It ends with the process at the latest.
    """

    def __init__(self, change_path: Path) -> None:
        self._path = change_path.with_name(f".{change_path.name}.turn")
        self._descriptor: int | None = None

    def share(self) -> None:
        """Begin to log in. Raises MemberFailedError while the PIN is being changed, and when the lock cannot be had."""
        try:
            self._lock(fcntl.LOCK_SH)
        except BlockingIOError as error:
            raise MemberFailedError("its PIN is being changed at this moment, so it was not sent") from error

    def take(self) -> None:
        """Begin a change: wait until nobody logs in, 10 s at most. Raises MemberFailedError."""
        until = time.monotonic() + _WAIT_S
        while True:
            try:
                return self._lock(fcntl.LOCK_EX)
            except BlockingIOError as error:
                if time.monotonic() > until:
                    raise MemberFailedError(
                        "its PIN was not changed: another process has been logging in for 10 s"
                    ) from error
                time.sleep(_LOOK_EVERY_S)

    def end(self) -> None:
        """Let others have it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _lock(self, how: int) -> None:
        self.end()
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise MemberFailedError(
                f"the PIN was not sent: {self._path} cannot be opened ({error.strerror})",
                next_step="look at the disk of the home: free space, owner and mode of the folder",
            ) from error
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
