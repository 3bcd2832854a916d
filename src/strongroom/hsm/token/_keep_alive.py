"""Keeps sessions from dying of idleness, where a vendor's sessions do."""

import threading
from contextlib import suppress

from strongroom.core import Clock, Deadline, HsmError
from strongroom.hsm.cryptoki import CryptokiError, Module
from strongroom.hsm.token._classification import Handling, handling_of
from strongroom.hsm.token._pool import SessionPool
from strongroom.hsm.token._recovery import Ladder

_ROUNDS_IN_A_LIMIT = 3
_TOUCH_BYTES = 8


class KeepAlive:
    """Touches the pinned and every idle work session at a third of the vendor's idle limit, in a thread of its own.

    The pinned session is asked for its state; a work session makes a few random bytes as well, since some modules
    answer the former from a table of theirs while the HSM forgets the session.
    """

    def __init__(
        self, module: Module, pool: SessionPool, ladder: Ladder, *, idle_limit_s: float, clock: Clock
    ) -> None:
        self._module = module
        self._pool = pool
        self._ladder = ladder
        self._every_s = idle_limit_s / _ROUNDS_IN_A_LIMIT
        self._clock = clock
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keep-alive", daemon=True)

    def start(self) -> None:
        """Begin, unless the vendor's sessions live for ever."""
        if self._every_s:
            self._thread.start()

    def stop(self) -> None:
        """End after the touch under way, without waiting for it: it may hang."""
        self._is_over.set()

    def _run(self) -> None:
        while not self._is_over.wait(self._every_s):
            deadline = Deadline.after(self._clock, self._every_s)
            with suppress(HsmError):
                if self._ladder.broken_because is None:
                    self._ladder.touch(deadline)
                    with self._ladder.generation.shared(deadline):
                        self._pool.keep_alive(self._touch)

    def _touch(self, session: int) -> None:
        self._module.session_info(session)
        try:
            self._module.generate_random(session, _TOUCH_BYTES)
        except CryptokiError as error:
            if handling_of(error) not in {Handling.BACK_OFF, Handling.CALLER}:
                raise  # not for want of a generator, nor of time
