"""One piece of work in a borrowed session: what is tried again, and what condemns this process.

Each class of failure has one rung here. A fuller recovery ladder (log in again, reinitialise in place) belongs
in ``Workshop._fail``; until there is one, whatever a new session does not heal marks the token as broken, and
the worker exits to be restarted.
"""

from collections.abc import Callable
from typing import Final, TypeVar

from strongroom.core import HsmError, MemberFailedError
from strongroom.hsm.cryptoki import CryptokiError
from strongroom.hsm.token._classification import Handling, handling_of, translate
from strongroom.hsm.token._objects import ObjectFinder
from strongroom.hsm.token._pool import SessionPool

_Result = TypeVar("_Result")

_HEALED_BY_NEW_SESSION: Final = frozenset({Handling.NEW_SESSION, Handling.FIND_AGAIN, Handling.UNSURE})
_COMPARE: Final = "compare this token's mechanisms and the root's attributes with those of the other members"
_FATAL: Final = frozenset({Handling.LOG_IN_AGAIN, Handling.REINITIALISE, Handling.PIN})


class Workshop:
    """Runs work on one token. Safe to use from any thread."""

    def __init__(self, pool: SessionPool, finder: ObjectFinder) -> None:
        self._pool = pool
        self._finder = finder
        self._broken_because: str | None = None  # set once; reading it needs no lock

    @property
    def broken_because(self) -> str | None:
        """Why this process can do nothing more with the token; None while it can."""
        return self._broken_because

    def use(self, doing: str, work: Callable[[int], _Result]) -> _Result:
        """Run idempotent work; run it once more in a new session, with handles found again, when that may help.

        Its arguments were checked before. So what the token calls a wrong request (a mechanism that it lacks, a
        length that it does not take, a root that may not encrypt) is this member's drift or limit, and a
        MemberFailedError: another one may do it.
        """
        self._refuse_when_broken()
        try:
            return self._in_session(work, new=False)
        except CryptokiError as error:
            if handling_of(error) not in _HEALED_BY_NEW_SESSION:
                raise self._fail_use(error, doing) from error
        self._finder.forget_all()
        try:
            return self._in_session(work, new=True)
        except CryptokiError as error:
            raise self._fail_use(error, doing, is_second_try=True) from error

    def change(self, doing: str, work: Callable[[int], _Result]) -> _Result:
        """Run work that creates or destroys: in a new session, and never twice."""
        self._refuse_when_broken()
        try:
            return self._in_session(work, new=True)
        except CryptokiError as error:
            if handling_of(error) in _HEALED_BY_NEW_SESSION:
                self._finder.forget_all()
            raise self._fail(error, doing) from error

    def mark_broken(self, reason: str) -> None:
        """Give this process up: every later call raises MemberFailedError."""
        self._broken_because = self._broken_because or reason

    def _in_session(self, work: Callable[[int], _Result], *, new: bool) -> _Result:
        with self._pool.borrow(new=new) as session:
            return work(session)

    def _refuse_when_broken(self) -> None:
        if self._broken_because is not None:
            raise MemberFailedError(
                f"the token was given up: {self._broken_because}", next_step="the worker must be restarted"
            )

    def _fail_use(self, error: CryptokiError, doing: str, *, is_second_try: bool = False) -> HsmError:
        failure = self._fail(error, doing, is_second_try=is_second_try)
        if handling_of(error) is Handling.CALLER:
            return MemberFailedError(failure.message, ckr=error.ckr, next_step=_COMPARE)
        return failure

    def _fail(self, error: CryptokiError, doing: str, *, is_second_try: bool = False) -> HsmError:
        handling = handling_of(error)
        translated = translate(error, doing)
        if handling is Handling.PIN:
            # The PIN ran out while in service. Another member may do better; opening this one again will say more.
            translated = MemberFailedError(translated.message, ckr=error.ckr, next_step=translated.next_step)
        if handling in _FATAL or (is_second_try and handling in _HEALED_BY_NEW_SESSION):
            self.mark_broken(translated.message)
        return translated
