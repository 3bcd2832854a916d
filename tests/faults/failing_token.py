"""A ``Token`` on SoftHSM behind the fault shim, in a process of its own, with a root and something wrapped under it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from faults.fault_shim import FaultShim
from strongroom.core import HsmError, RootId, Secret, WrappedBytes
from tokens.remote_token import TokenProcess
from tokens.softhsm import shimmed_softhsm
from tokens.started import StartedToken

ROOT, KEY, AAD = RootId(b"the root's name."), Secret(b"k" * 32), b"domain 1, version 1"


class FailingToken:
    """The token, its process and the shim. ``fresh`` undoes whatever a test did to them."""

    def __init__(self, started: StartedToken, shim: FaultShim) -> None:
        self.started = started
        self.shim = shim
        self.process = TokenProcess(started)
        self.process.load()
        self.process.open()
        self.process.token.generate_root(ROOT, "root")
        self.wrapped: WrappedBytes = self.process.token.wrap(ROOT, KEY, AAD)
        self._is_changed = False

    @property
    def token(self) -> Any:
        """The ``Token`` over there."""
        return self.process.token

    def serves(self) -> bool:
        """Whether it unwraps rightly, by whatever recovery that takes."""
        return bool(self.token.unwrap(ROOT, self.wrapped, AAD).matches(KEY))

    def recovered(self, rung: str) -> int:
        """How often a rung of recovery was taken since the token was opened."""
        return int(getattr(self.process.call("token.recoveries"), rung))

    @property
    def is_broken(self) -> bool:
        return bool(self.process.call("token.is_broken"))

    def open_as(self, **profile: Any) -> None:
        """Open it anew, with some things of its profile changed."""
        self._is_changed = True
        started = self.started
        self.process.started = started._replace(profile=msgspec.structs.replace(started.profile, **profile))
        self.process.reopen()

    def change_slots(self, shift: int) -> None:
        """Give the slots other numbers, which end with this test: the next one begins with another process."""
        self.shim.change_slots(shift)
        self._is_changed = True

    def restart(self) -> None:
        """Start another process, as main does with a worker that ended."""
        self.process.close()
        self.process = TokenProcess(self.started)
        self.process.load()
        self.process.open()
        self._is_changed = False

    def fresh(self) -> None:
        """Bring shim and process into the state in which a test may begin."""
        self.shim.heal()
        self.shim.count_pins(0, user_wrong=0)
        try:
            if not self._is_changed and not self.is_broken and self.serves():
                return
        except (HsmError, OSError):
            pass
        self.restart()

    def close(self) -> None:
        self.shim.heal()
        self.process.close()


@contextmanager
def failing_token(folder: Path) -> Iterator[FailingToken]:
    """Make one; skips the test without SoftHSM or a C compiler."""
    with shimmed_softhsm(folder) as (started, shim):
        made = FailingToken(started, shim)
        try:
            yield made
        finally:
            made.close()
