"""The bounded pool of work sessions of one token."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple

from strongroom.core import Clock, Deadline, HsmError, MemberBusyError, MemberFailedError
from strongroom.hsm.cryptoki import (
    AeadDecryptFailedError,
    CryptokiError,
    DataInvalidError,
    DataLenRangeError,
    EncryptedDataInvalidError,
    EncryptedDataLenRangeError,
    Module,
    SessionCountError,
    SignatureInvalidError,
    SignatureLenRangeError,
)
from strongroom.hsm.token._classification import Handling, handling_of
from strongroom.hsm.token._counters import Tally
from strongroom.hsm.token._pace import Pace

_SHRUNK_FOR_S: Final = 30.0
_CHECK_AFTER_S: Final = 60.0
_BAD_DATA: Final = (
    AeadDecryptFailedError,
    DataInvalidError,
    DataLenRangeError,
    EncryptedDataInvalidError,
    EncryptedDataLenRangeError,
    SignatureInvalidError,
    SignatureLenRangeError,
)
"""The token's verdict on the caller's data. It ends the operation, so the session is as good as before; and whoever
sends bad data must not cost the token a C_OpenSession each time."""


class _Idle(NamedTuple):
    session: int
    since: float


class SessionPool:
    """Lends sessions, opens them when needed, and throws away every one in which anything failed.

    Sessions share the login of the pinned session, so opening one is one call and needs no PIN. One that was idle
    for long, or since before the last failure of any, has to show by C_GetSessionInfo that it lives. When the token
    says that it has no more sessions, the pool is content with those that it has for 30 s. Safe to use from any
    thread.
    """

    def __init__(
        self,
        module: Module,
        slot: int,
        *,
        max_sessions: int,
        wait_s: float,
        clock: Clock,
        sessions_per_s: float = 0,
        idle_limit_s: float = 0,
        tally: Tally | None = None,
    ) -> None:
        self._module = module
        self._slot = slot
        self._wait_s = wait_s
        self._max_sessions = max_sessions
        self._clock = clock
        self._tally = tally or Tally()
        self._check_after_s = min(_CHECK_AFTER_S, idle_limit_s / 2 or _CHECK_AFTER_S)
        self._pace = Pace("sessions are opened", sessions_per_s, clock)
        self._lock = (
            threading.Lock()
        )  # guards what follows; itself quicker to take than through the condition
        self._changed = threading.Condition(self._lock)
        self._idle: list[_Idle] = []
        self._on_loan = 0
        self._waiting = 0
        self._most = max_sessions  # may be less than the above for a while
        self._most_until = 0.0
        self._doubted_at = 0.0
        self._is_closed = False

    @contextmanager
    def borrow(self, deadline: Deadline, *, new: bool = False) -> Iterator[int]:
        """Lend a session for a block: ``take``, and then ``give_back`` or ``give_back_after``."""
        session = self.take(deadline, new=new)
        try:
            yield session
        except BaseException as error:
            self.give_back_after(error, session)
            raise
        self.give_back(session)

    def keep_alive(self, touch: Callable[[int], None]) -> None:
        """Run ``touch`` on each idle session in turn; one in which it fails is closed."""
        for _ in range(len(self._idle)):
            with self._changed:
                if not self._idle or self._on_loan >= self._most:
                    return  # they are at work
                session = self._idle.pop(0).session
                self._on_loan += 1
            try:
                touch(session)
            except CryptokiError:
                self._tally.add("sessions_lost")
                self._drop(session)
            else:
                self.give_back(session)

    def forget_all(self) -> None:
        """Forget every idle session: C_Finalize closes them. Nothing may be on loan."""
        with self._changed:
            self._idle.clear()

    def use_slot(self, slot: int) -> None:
        """Open sessions in this slot from now on."""
        self._slot = slot

    def close(self) -> None:
        """Close the idle sessions; those on loan are closed when they come back."""
        with self._changed:
            self._is_closed = True
            idle, self._idle = self._idle, []
            self._changed.notify_all()
        for entry in idle:
            self._close(entry.session)

    def take(self, deadline: Deadline, *, new: bool = False) -> int:
        """Lend a session, which has to be given back; ``new`` insists on one that nobody used before.

        Waits for one to come free. Raises MemberBusyError when none does before the deadline or within the pool's
        own limit, and what C_OpenSession raises.
        """
        now = self._clock.monotonic()
        if not new and (session := self._take_fresh(now)) is not None:
            return session
        while True:
            entry = self._reserve(min(deadline.at, now + self._wait_s))
            if entry is not None:
                is_fresh = entry.since > self._doubted_at and now - entry.since < self._check_after_s
                if not new and (is_fresh or self._is_alive(entry)):
                    return entry.session
                self._close(entry.session)  # else the one that is opened could exceed the token's limit
            session = self._open(deadline)
            if session is not None:
                return session

    def _take_fresh(self, now: float) -> int | None:
        """Return a session that was at work just now: what nearly every call gets, without asking the token."""
        with self._lock:
            if not self._idle or self._on_loan >= self._most:  # none is idle in a closed pool
                return None
            session, since = self._idle[-1]
            if since <= self._doubted_at or now - since >= self._check_after_s:
                return None
            del self._idle[-1]
            self._on_loan += 1
            return session

    def _reserve(self, wait_until: float) -> _Idle | None:
        """Wait for the right to one session; returns an idle one if there is any."""
        with self._lock:
            if not self._has_room():
                wait_s = max(wait_until - self._clock.monotonic(), 0)
                self._waiting += 1
                try:
                    has_room = self._changed.wait_for(self._has_room, wait_s)
                finally:
                    self._waiting -= 1
                if not has_room:
                    raise MemberBusyError(
                        f"all {self._most} sessions of the token were busy for {wait_s:.2g} s"
                    )
            if self._is_closed:
                raise MemberFailedError("the token is closed")
            self._on_loan += 1
            return self._idle.pop() if self._idle else None

    def _has_room(self) -> bool:
        if self._most < self._max_sessions and self._clock.monotonic() > self._most_until:
            self._most = self._max_sessions
        return self._on_loan < self._most or self._is_closed

    def _open(self, deadline: Deadline) -> int | None:
        """Open a session; None when the token has no more and another may come free."""
        try:
            self._pace.wait(deadline)
            return self._module.open_session(self._slot, read_write=True)
        except SessionCountError as error:
            self._tally.add("out_of_sessions")
            if self._shrink():
                return None
            raise MemberBusyError(f"opening a session: {error.message}", ckr=error.ckr) from error
        except CryptokiError as error:
            self._release()
            if handling_of(error) is not Handling.CALLER:
                raise
            # No request can be wrong yet: this is how AWS CloudHSM answers to sessions opened too fast.
            raise MemberFailedError(f"opening a session: {error.message}", ckr=error.ckr) from error
        except BaseException:
            self._release()
            raise

    def _shrink(self) -> bool:
        """Be content for a while with the sessions that there are; returns whether there are any."""
        with self._changed:
            self._on_loan -= 1
            self._most = max(1, self._on_loan + len(self._idle))
            self._most_until = self._clock.monotonic() + _SHRUNK_FOR_S
            return self._on_loan > 0

    def _is_alive(self, entry: _Idle) -> bool:
        try:
            self._module.session_info(entry.session)
        except CryptokiError:
            self._tally.add("sessions_lost")
            return False
        return True

    def give_back_after(self, error: BaseException, session: int) -> None:
        """Take back a session in which something failed."""
        cause = error if isinstance(error, CryptokiError) else error.__cause__
        if isinstance(error, HsmError) and (cause is None or isinstance(cause, _BAD_DATA)):
            self.give_back(session)
            return
        # An operation may still be active in it, and the next borrower would get its result.
        self._doubted_at = self._clock.monotonic()
        self._drop(session)

    def give_back(self, session: int) -> None:
        """Take back a session in which all went well."""
        since = self._clock.monotonic()
        with self._lock:
            if not self._is_closed:
                self._idle.append(_Idle(session, since))
                self._on_loan -= 1
                if self._waiting:
                    self._changed.notify()
                return
        self._drop(session)

    def _drop(self, session: int) -> None:
        self._close(session)
        self._release()

    def _release(self) -> None:
        with self._changed:
            self._on_loan -= 1
            self._changed.notify()

    def _close(self, session: int) -> None:
        with suppress(HsmError):  # what is broken may be gone already
            self._module.close_session(session)
