"""The bounded pool of work sessions of one token."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from strongroom.core import HsmError, MemberFailedError
from strongroom.hsm.cryptoki import CryptokiError, Module
from strongroom.hsm.token._classification import Handling, handling_of


class SessionPool:
    """Lends sessions, opens them when needed, and throws away every one in which anything failed.

    Sessions share the login of the pinned session, so opening one is one call and needs no PIN. Safe to use
    from any thread.
    """

    def __init__(self, module: Module, slot: int, *, max_sessions: int, wait_s: float) -> None:
        self._module = module
        self._slot = slot
        self._wait_s = wait_s
        self._max_sessions = max_sessions
        self._free = threading.BoundedSemaphore(max_sessions)
        self._lock = threading.Lock()  # guards _idle and _is_closed
        self._idle: list[int] = []
        self._is_closed = False

    @contextmanager
    def borrow(self, *, new: bool = False) -> Iterator[int]:
        """Lend a session; ``new`` insists on one that nobody used before.

        Waits up to the pool's limit for one to come free. Raises MemberFailedError when none does, and what
        C_OpenSession raises.
        """
        if not self._free.acquire(timeout=self._wait_s):
            raise MemberFailedError(
                f"all {self._max_sessions} sessions of the token were busy for {self._wait_s:g} s"
            )
        try:
            session = self._take(new=new)
            try:
                yield session
            except BaseException:
                # An operation may still be active in it, and the next borrower would get its result.
                self._discard(session)
                raise
            self._give_back(session)
        finally:
            self._free.release()

    def close(self) -> None:
        """Close the idle sessions; those on loan are closed when they come back."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for session in idle:
            self._discard(session)

    def _take(self, *, new: bool) -> int:
        with self._lock:
            if self._is_closed:
                raise MemberFailedError("the token is closed")
            idle = self._idle.pop() if self._idle else None
        if idle is not None and not new:
            return idle
        if idle is not None:
            self._discard(idle)  # else the new one could exceed the token's limit
        try:
            return self._module.open_session(self._slot, read_write=True)
        except CryptokiError as error:
            if handling_of(error) is not Handling.CALLER:
                raise
            # No request can be wrong yet: this is how AWS CloudHSM answers to sessions opened too fast.
            raise MemberFailedError(f"opening a session: {error.message}", ckr=error.ckr) from error

    def _give_back(self, session: int) -> None:
        with self._lock:
            if not self._is_closed:
                self._idle.append(session)
                return
        self._discard(session)

    def _discard(self, session: int) -> None:
        with suppress(HsmError):  # what is broken may be gone already
            self._module.close_session(session)
