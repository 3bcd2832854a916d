"""The service and ``members add`` take turns with a member: else both copy the same key, and the token holds it twice.

A lock of each member over all processes of the host (flock(2)), ``members-lock-NAME`` in the home. The service shares it while it
looks at the member and repairs it; a command has it alone. It ends with the process at the latest.
"""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from strongroom.config import Home
from strongroom.core import Clock, Deadline, HomeError, MemberFailedError

_WAIT_S: Final = 120.0
_LOOK_EVERY_S: Final = 0.05


@contextmanager
def repair_by_service(home: Home, member: str) -> Iterator[None]:
    """Have the turn; never waits. Raises MemberFailedError while a command has it, and when the lock cannot be opened."""
    try:
        lock = _opened(home, member)
    except OSError as error:
        raise MemberFailedError(
            f"the lock of the member cannot be opened in the home: {error.strerror}",
            next_step="look at the disk of the home: free space, owner and mode of the folder",
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            raise MemberFailedError("'strongroom members add' is at work on it") from error
        yield
    finally:
        os.close(lock)


@asynccontextmanager
async def repair_by_command(home: Home, member: str, clock: Clock) -> AsyncIterator[None]:
    """Have the turn alone; waits while the service looks at the member, 120 s at most. Raises HomeError."""
    try:
        lock = _opened(home, member)
    except OSError as error:
        raise HomeError(f"the lock of member {member} cannot be opened: {error.strerror}") from error
    try:
        until = Deadline.after(clock, _WAIT_S)
        while not _is_had_alone(lock):
            if until.has_passed():
                raise HomeError(
                    f"the service has been repairing member {member} for {_WAIT_S:.0f} s",
                    next_step="run it again later, or with the service stopped",
                )
            await asyncio.sleep(_LOOK_EVERY_S)
        yield
    finally:
        os.close(lock)


def _opened(home: Home, member: str) -> int:
    return os.open(home.root / f"members-lock-{member}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _is_had_alone(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
