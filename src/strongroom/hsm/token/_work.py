"""One piece of work in a borrowed session: what is tried again, and whose fault a failure is.

``Workshop.use`` runs what may be repeated, and climbs the recovery ladder between tries. ``Workshop.change`` runs what
creates or destroys: a failure before anything was done heals in the same way, and one after it is never followed by
a second try, but by a look at what became of it.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from typing import Final, TypeVar

from strongroom.core import (
    Clock,
    Deadline,
    HsmError,
    HsmKeyNotFoundError,
    HsmOutcomeUnknownError,
    MemberBusyError,
    MemberFailedError,
    MemberReadOnlyError,
)
from strongroom.hsm.cryptoki import (
    CryptokiError,
    Module,
    SessionClosedError,
    SessionCountError,
    SessionReadOnlyError,
    TokenWriteProtectedError,
)
from strongroom.hsm.token._classification import Handling, handling_of, translate
from strongroom.hsm.token._counters import RecoveryCounters, Tally
from strongroom.hsm.token._pool import SessionPool
from strongroom.hsm.token._recovery import Ladder, Rung

_Result = TypeVar("_Result")
Work = Callable[[int], _Result]
"""What is done in the session that it is given."""

_COMPARE: Final = "compare this token's mechanisms and the root's attributes with those of the other members"
_LOOK: Final = "look by its CKA_ID whether the object is there before the change is asked for again"
_LOOKING: Final = frozenset(
    {
        "C_OpenSession",
        "C_GetSessionInfo",
        "C_GetTokenInfo",
        "C_FindObjectsInit",
        "C_FindObjects",
        "C_FindObjectsFinal",
    }
)
"""Functions without an effect. Changes search before they act, so when one of these failed nothing was done."""
_REFUSED: Final = (SessionCountError, SessionReadOnlyError, TokenWriteProtectedError)
"""The token says that it did not even begin."""
_UNCERTAIN: Final = frozenset({Handling.REINITIALISE, Handling.UNSURE, Handling.BACK_OFF})
_PROBE_BYTES: Final = 8


class NotDoneError(Exception):
    """Raised by the look-up of an outcome: the change did not happen, or was undone now."""


class _Thread(threading.local):
    """What is known of each thread."""

    ends_at = inf
    """On the monotonic clock: when whoever waits for it is gone."""


class Workshop:
    """Runs work on one token. Safe to use from any thread; work must not start other work."""

    def __init__(
        self,
        module: Module,
        pool: SessionPool,
        ladder: Ladder,
        *,
        use_limit_s: float,
        change_limit_s: float,
        tally: Tally,
        clock: Clock,
    ) -> None:
        self._module = module
        self._pool = pool
        self._ladder = ladder
        self._use_limit_s = use_limit_s
        self._change_limit_s = change_limit_s
        self._tally = tally
        self._clock = clock
        self._thread = _Thread()
        self._changed = threading.Condition()  # guards the next
        self._changing: set[bytes] = set()

    @property
    def broken_because(self) -> str | None:
        """Why this process can do nothing more with the token; None while it can."""
        return self._ladder.broken_because

    @property
    def recoveries(self) -> RecoveryCounters:
        """What recovery did so far."""
        return self._tally.read()

    def have_time(self, seconds: float | None) -> None:
        """Give what this thread runs from now on so long, all together; None: no limit but the usual ones."""
        self._thread.ends_at = inf if seconds is None else self._clock.monotonic() + seconds

    def mark_broken(self, reason: str) -> None:
        """Give this process up: every later call raises MemberFailedError."""
        self._ladder.give_up(reason)

    def use(
        self,
        doing: str,
        work: Work[_Result],
        *,
        blames_caller: bool = False,
        new_session: bool = False,
    ) -> _Result:
        """Run idempotent work; run it again after each rung of recovery that may help, while there is time.

        ``new_session`` insists on one that nobody used before. Its arguments were checked before. So what the token
        calls a wrong request (a mechanism that it lacks, a length that it does not take, a root that may not encrypt)
        is this member's drift or limit, and a MemberFailedError: another one may do it. With ``blames_caller`` it is
        the request's fault: HsmRequestError.
        """
        deadline = self._deadline(self._use_limit_s)
        try:
            return self._run(work, deadline, new=new_session)
        except CryptokiError as error:
            self._find_fault(error, deadline)
            failure = self._failure(error, doing)
            if handling_of(error) is Handling.CALLER and not blames_caller:
                failure = MemberFailedError(failure.message, ckr=error.ckr, next_step=_COMPARE)
            raise failure from error

    def once(self, work: Work[_Result]) -> _Result:
        """Run idempotent work a single time; raises what it raised. Whoever calls has ``use`` for a second try."""
        deadline = self._deadline(self._use_limit_s)
        ladder = self._ladder
        ladder.begin(deadline)
        generation = ladder.generation.enter(deadline)
        try:
            with self._pool.borrow(deadline) as session:
                result = work(session)
        finally:
            ladder.generation.leave()
        ladder.succeeded(generation)
        return result

    def change(
        self,
        doing: str,
        work: Work[_Result],
        *,
        name: bytes = b"",
        outcome: Work[_Result] | None = None,
    ) -> _Result:
        """Run work that creates or destroys, in a new session, and never again once anything may have been done.

        ``work`` searches before it acts, not after. ``outcome`` looks what became of it, when a failure does not
        tell: it returns what ``work`` would have returned when the change is there and complete, else undoes what
        is left of it and raises NotDoneError (or HsmKeyNotFoundError). It may run several times. Raises
        HsmOutcomeUnknownError when nobody can tell, MemberReadOnlyError when the token takes no changes.

        Changes of one ``name`` (CKA_ID) come one after the other, look-up included: else one finds nothing while the
        other is still making the object. Raises MemberBusyError when that takes too long; then nothing was done.
        """
        deadline = self._deadline(self._change_limit_s)
        with self._alone_with(name, deadline):
            return self._change(doing, work, outcome, deadline)

    def _change(
        self,
        doing: str,
        work: Work[_Result],
        outcome: Work[_Result] | None,
        deadline: Deadline,
    ) -> _Result:
        try:
            return self._run(work, deadline, new=True, is_change=True)
        except CryptokiError as error:
            failure = self._failure(error, doing, is_change=True)
            if error.function in _LOOKING or handling_of(error) is Handling.PIN:
                raise failure from error
            if outcome is None:
                raise (_unknown(failure) if _is_uncertain(error) else failure) from error
        self._tally.add("outcomes_looked_up")
        self.have_time(None)  # whoever waits: what became of a change is worth knowing
        try:
            return self.use(f"looking what became of {doing}", outcome)
        except (NotDoneError, HsmKeyNotFoundError):
            raise failure from None
        except HsmError as error:
            raise _unknown(failure) from error

    @contextmanager
    def _alone_with(self, name: bytes, deadline: Deadline) -> Iterator[None]:
        if not name:
            yield
            return
        with self._changed:
            limit_s = max(deadline.remaining_s(), 0.0)
            if not self._changed.wait_for(lambda: name not in self._changing, limit_s):
                raise MemberBusyError("another call is making or destroying the same object")
            self._changing.add(name)
        try:
            yield
        finally:
            with self._changed:
                self._changing.discard(name)
                self._changed.notify_all()

    def _deadline(self, limit_s: float) -> Deadline:
        return Deadline(self._clock, min(self._clock.monotonic() + limit_s, self._thread.ends_at))

    def _run(self, work: Work[_Result], deadline: Deadline, *, new: bool, is_change: bool = False) -> _Result:
        ladder = self._ladder
        ladder.begin(deadline)
        rung = Rung.GROUND
        while True:
            generation = ladder.generation.enter(deadline)
            failure: CryptokiError | HsmKeyNotFoundError
            try:
                session = self._pool.take(deadline, new=new)
                try:
                    result = work(session)
                except BaseException as error:
                    self._pool.give_back_after(error, session)
                    raise
                self._pool.give_back(session)
            except (CryptokiError, HsmKeyNotFoundError) as error:
                failure = error
            else:
                ladder.succeeded(generation)
                return result
            finally:
                ladder.generation.leave()
            if isinstance(failure, HsmKeyNotFoundError):
                if is_change or not ladder.look_anew(generation, deadline):
                    raise failure
                continue
            if is_change and failure.function not in _LOOKING:
                ladder.notice(failure)
                raise failure
            taken = ladder.climb(failure, rung, generation, deadline)
            if taken is None:
                raise failure
            rung, new = taken, True

    def _find_fault(self, error: CryptokiError, deadline: Deadline) -> None:
        """After a code without a reason that no recovery healed: give the token up, unless it still answers.

        It may be the request; and one hostile request must not take out every member in turn.
        """
        if handling_of(error) is not Handling.UNSURE or self._ladder.is_throttled(error):
            return
        if deadline.has_passed():
            return  # the rungs that are due come first in the next call
        try:
            with self._ladder.generation.shared(deadline), self._pool.borrow(deadline, new=True) as session:
                self._module.generate_random(session, _PROBE_BYTES)
        except CryptokiError as silence:
            if handling_of(silence) not in {Handling.CALLER, Handling.BACK_OFF}:
                self._ladder.give_up(error.message)
        except MemberBusyError:
            return

    def _failure(self, error: CryptokiError, doing: str, *, is_change: bool = False) -> HsmError:
        failure = translate(error, doing)
        kind: type[MemberFailedError] | None = None
        if self._ladder.is_throttled(error):
            kind = MemberBusyError
        elif is_change and isinstance(error, TokenWriteProtectedError):
            kind = MemberReadOnlyError
        elif handling_of(error) is Handling.PIN:
            # The PIN ran out while in service. Another member may do better; opening this one again will say more.
            kind = MemberFailedError
        return kind(failure.message, ckr=error.ckr, next_step=failure.next_step) if kind else failure


def _is_uncertain(error: CryptokiError) -> bool:
    """Whether a change may have happened although the token says so."""
    if isinstance(error, SessionClosedError):
        return True
    return handling_of(error) in _UNCERTAIN and not isinstance(error, _REFUSED)


def _unknown(failure: HsmError) -> HsmOutcomeUnknownError:
    return HsmOutcomeUnknownError(
        f"{failure.message}; it cannot be told whether it was done", ckr=failure.ckr, next_step=_LOOK
    )
