"""The recovery ladder of one token: which rung comes after which failure, and one thread that climbs for all.

    new session, handles found again
    → login anew, once, when the token says that the login is gone
    → C_Finalize and C_Initialize, alone in the module, where the profile allows it
    → a new session once more, where it was only the session
    → the token is given up: the worker exits and is started again

Each further failure of one call takes at least the next rung. A failure that says that module and token have lost
each other begins at the third one, unless the pinned session proves the opposite. When others were served since the
module was started anew, a failure after that is another one: the module is started anew once more, and after that the
call fails alone.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Final

from strongroom.core import (
    Clock,
    Deadline,
    HsmError,
    MemberBusyError,
    MemberFailedError,
    PinRefusedError,
)
from strongroom.hsm.cryptoki import CryptokiError
from strongroom.hsm.token._access import LoginUnclearError
from strongroom.hsm.token._classification import Handling, handling_of
from strongroom.hsm.token._counters import Tally
from strongroom.hsm.token._generation import GenerationLock
from strongroom.hsm.token._link import Link
from strongroom.hsm.token._objects import ObjectFinder
from strongroom.hsm.token._pace import BackOff
from strongroom.hsm.token._pool import SessionPool
from strongroom.hsm.token._profile import Profile


class Rung(IntEnum):
    """How far a call has climbed."""

    GROUND = 0
    NEW_SESSION = 1
    LOG_IN = 2
    REINITIALISE = 3
    NEW_SESSION_AGAIN = 4
    REINITIALISE_AGAIN = 5
    GIVE_UP = 6


_FIRST_RUNG: Final = {
    Handling.NEW_SESSION: Rung.NEW_SESSION,
    Handling.FIND_AGAIN: Rung.NEW_SESSION,
    Handling.UNSURE: Rung.NEW_SESSION,
    Handling.LOG_IN_AGAIN: Rung.LOG_IN,
    Handling.REINITIALISE: Rung.REINITIALISE,
}
_THROTTLE_FIRST_S, _THROTTLE_LONGEST_S = 0.02, 1.0
_REINITIALISE_FIRST_S, _REINITIALISE_LONGEST_S = 0.5, 1.2
_LOOK_ANEW_EVERY_S: Final = 60.0
"""A key that is nowhere must not cost everybody a new start each time that it is asked for."""


class Ladder:
    """Heals the link to a token. Safe to use from any thread; one climbs, the others wait within their deadline."""

    def __init__(
        self,
        link: Link,
        pool: SessionPool,
        finder: ObjectFinder,
        *,
        profile: Profile,
        tally: Tally,
        clock: Clock,
    ) -> None:
        self.generation = GenerationLock()
        self.broken_because: str | None = None  # set once; reading it needs no lock
        self._process_id = os.getpid()
        self._link = link  # belongs to who holds _climbing
        self._climbing = threading.Lock()
        self._pool = pool
        self._finder = finder
        self._may_reinitialise = profile.may_reinitialise
        self._reads_once = profile.reads_keys_once
        self._look_anew_at = clock.monotonic()
        self._clock = clock
        self._throttled = frozenset(profile.throttled)
        self._tally = tally
        self._due = Rung.GROUND  # what the last call had no time for
        self._proved = 0  # the last generation in which a call was served
        self._throttle = BackOff(
            "the HSM is busy", first_s=_THROTTLE_FIRST_S, longest_s=_THROTTLE_LONGEST_S, clock=clock
        )
        self._storm = BackOff(
            "the module was initialised anew only just now",
            first_s=_REINITIALISE_FIRST_S,
            longest_s=_REINITIALISE_LONGEST_S,
            clock=clock,
        )

    def is_throttled(self, error: CryptokiError) -> bool:
        """Whether this vendor says "busy" by this return value."""
        return error.ckr_name in self._throttled

    def give_up(self, reason: str) -> None:
        """Give this process up: every later call raises MemberFailedError."""
        if self.broken_because is None:
            self.broken_because = reason
            self._tally.add("given_up")

    def begin(self, deadline: Deadline) -> None:
        """Take what has to come before a call: pauses, and the rung that the last call had no time for.

        Raises MemberFailedError when the token was given up, MemberBusyError when it takes too long.
        """
        if os.getpid() != self._process_id:
            # Its parent's connection would be used by both; modules that allow this mix up their answers.
            raise MemberFailedError("a process made by fork has no token; start one anew instead")
        if self.broken_because is not None:
            self._refuse_when_broken()
        if self._throttle.is_on:
            self._throttle.wait(deadline)
        if self._due:
            due, self._due = self._due, Rung.GROUND
            self._climb_from(
                due, "the last call had no time left to recover", self.generation.number, deadline
            )
            self._refuse_when_broken()

    def succeeded(self, generation: int) -> None:
        """Take notice that a call came to a good end."""
        self._proved = generation
        self._throttle.clear()

    def notice(self, error: CryptokiError) -> Rung | None:
        """Take notice of a failure; returns the rung with which recovery from it begins, None where there is none."""
        if self.is_throttled(error):
            self._tally.add("throttled")
            self._throttle.extend()
            return None
        handling = handling_of(error)
        if handling is Handling.PIN:
            self.give_up(error.message)
        first = _FIRST_RUNG.get(handling)
        if first is not None:
            self._finder.forget_all()
        return first

    def climb(self, error: CryptokiError, above: Rung, generation: int, deadline: Deadline) -> Rung | None:
        """Take the next rung after a failure; returns it, or None when another try has no point.

        ``above`` is the last rung that this call took, ``generation`` the one in which it failed. Raises
        MemberFailedError and MemberBusyError when the rung cannot be taken.
        """
        first = self.notice(error)
        if first is None:
            return None
        handling = handling_of(error)
        if first is Rung.REINITIALISE and above is Rung.GROUND and self._is_alive(deadline):
            first = Rung.NEW_SESSION
        rung = max(first, Rung(min(above + 1, Rung.GIVE_UP)))
        if rung is Rung.NEW_SESSION_AGAIN and (first is not Rung.NEW_SESSION or handling is Handling.UNSURE):
            rung = Rung.REINITIALISE_AGAIN
        if rung > Rung.NEW_SESSION_AGAIN:
            others_were_served = self._proved == generation
            if handling is Handling.UNSURE or (others_were_served and rung is Rung.GIVE_UP):
                return None  # not even a module fresh from its start does better: ``Workshop`` asks whose fault it is
            if not others_were_served:
                rung = Rung.GIVE_UP
        return self._climb_from(rung, error.message, generation, deadline, handling=handling)

    def look_anew(self, generation: int, deadline: Deadline) -> bool:
        """After a key was not found: start the module anew, where it reads what there is only then, once a minute at most.

        Returns whether looking again has a point. Raises MemberBusyError when there is no time for it.
        """
        if not self._reads_once:
            return False
        if self.generation.number == generation:
            now = self._clock.monotonic()
            if now < self._look_anew_at:
                return False
            self._look_anew_at = now + _LOOK_ANEW_EVERY_S
        return self._reinitialise(generation, deadline)

    def _climb_from(
        self, rung: Rung, why: str, generation: int, deadline: Deadline, *, handling: Handling | None = None
    ) -> Rung | None:
        while rung is not Rung.GIVE_UP:
            if deadline.has_passed():
                if rung is not Rung.NEW_SESSION_AGAIN:  # the next call takes a session anyway
                    self._due = max(rung, self._due)
                return None
            if self._take(rung, generation, deadline, handling):
                return rung
            self._refuse_when_broken()
            rung = Rung.GIVE_UP if rung >= Rung.REINITIALISE else Rung(rung + 1)
        if handling is not Handling.UNSURE:
            self.give_up(why)
        return None

    def _take(self, rung: Rung, generation: int, deadline: Deadline, handling: Handling | None) -> bool:
        """Take one rung; returns whether it may have helped."""
        if rung in {Rung.NEW_SESSION, Rung.NEW_SESSION_AGAIN}:
            self._tally.add("found_again" if handling is Handling.FIND_AGAIN else "new_sessions")
            return True
        if rung is Rung.LOG_IN:
            return self._log_in(deadline, handling)
        return self._reinitialise(generation, deadline)

    def _log_in(self, deadline: Deadline, handling: Handling | None) -> bool:
        with self._alone_climbing(deadline):
            if self.broken_because is not None:
                return False
            if self._link.is_alive():  # another thread did it meanwhile; or it was something else
                return handling in {None, Handling.LOG_IN_AGAIN}
            return self._attempt("logging in again", self._link.restore_login, "logins")

    def _reinitialise(self, generation: int, deadline: Deadline) -> bool:
        if not self._may_reinitialise:
            return False
        with self._alone_climbing(deadline):
            if self.broken_because is not None:
                return False
            if self.generation.number != generation:
                return True  # another thread did it meanwhile
            self._storm.wait(deadline)
            with self.generation.alone(deadline):
                self._pool.forget_all()
                self._finder.forget_all()
                self._storm.extend()
                done = self._attempt(
                    "initialising the module anew", self._link.reinitialise, "reinitialisations"
                )
                self._pool.use_slot(self._link.slot)
            return done

    def _attempt(self, doing: str, climb: Callable[[], bool], counted: str) -> bool:
        """Run a rung; returns whether it was taken."""
        try:
            done = climb()
        except LoginUnclearError as error:
            # The token took this PIN before; so it is the next worker's to try it once more, not ours.
            self.give_up(f"{doing}: {error.message}")
            return False
        except PinRefusedError as error:
            self._link.refuse_pin()
            self.give_up(f"{doing}: {error.message}")
            return False
        except HsmError as error:
            if counted == "reinitialisations":
                self.give_up(f"{doing}: {error.message}")
            return False
        if done:
            self._tally.add(counted)
        return done

    def _is_alive(self, deadline: Deadline) -> bool:
        with self._alone_climbing(deadline):
            return self.broken_because is None and self._link.is_alive()

    @contextmanager
    def _alone_climbing(self, deadline: Deadline) -> Iterator[None]:
        if not self._climbing.acquire(timeout=max(deadline.remaining_s(), 0)):
            raise MemberBusyError("another call is restoring the link to the token")
        try:
            yield
        finally:
            self._climbing.release()

    def _refuse_when_broken(self) -> None:
        if self.broken_because is not None:
            raise MemberFailedError(
                f"the token was given up: {self.broken_because}", next_step="the worker must be restarted"
            )

    def touch(self, deadline: Deadline) -> None:
        """Keep the pinned session from dying of idleness; when it is dead, the next call logs in first."""
        with self._alone_climbing(deadline):
            if not self._link.is_alive():
                self._due = max(self._due, Rung.LOG_IN)

    def close(self, deadline: Deadline) -> None:
        """Log out, once nobody climbs any more."""
        with self._alone_climbing(deadline):
            self._link.close()
