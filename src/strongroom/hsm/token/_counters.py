"""What recovery did since the worker started, counted."""

import threading
from typing import NamedTuple


class RecoveryCounters(NamedTuple):
    """How often each rung of recovery was taken, and what else had to be put up with, since the token was opened."""

    new_sessions: int = 0
    """Calls that were repeated in a new session."""
    found_again: int = 0
    """Calls that were repeated because the handle of an object was stale."""
    logins: int = 0
    """Logins made anew; the first one is not counted."""
    reinitialisations: int = 0
    """C_Finalize and C_Initialize in place."""
    given_up: int = 0
    """1 once the token was given up, so that the worker is restarted."""
    sessions_lost: int = 0
    """Idle sessions that were found dead."""
    throttled: int = 0
    """Answers by which the vendor says "busy"."""
    out_of_sessions: int = 0
    """C_OpenSession refused with CKR_SESSION_COUNT."""
    outcomes_looked_up: int = 0
    """Changes that failed and whose effect had to be looked up."""


class Tally:
    """Counts up. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards _counted
        self._counted = RecoveryCounters()

    def add(self, name: str) -> None:
        """Count one more of what ``RecoveryCounters`` calls ``name``."""
        with self._lock:
            self._counted = self._counted._replace(**{name: getattr(self._counted, name) + 1})

    def read(self) -> RecoveryCounters:
        """Return the counts so far."""
        return self._counted
