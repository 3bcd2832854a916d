"""What the state machines of changes of PINs share: a home whose processes are killed between any two steps, on a token that locks."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, run_state_machine_as_test

from fakes_pins import killable_writes
from strongroom.wiring import pin_refusals
from strongroom.wiring.home import remove_runtime_folder

kills = st.none() | st.integers(0, 24)
failures = st.sampled_from([None, "C_Login", "late:C_Login", "C_SetPIN", "late:C_SetPIN"])


@pytest.fixture(scope="module", autouse=True)
def quick_hashes_and_disks():
    """The hash of a PIN and the way to the disk are slow, and nothing here depends on either."""
    patch = pytest.MonkeyPatch()
    patch.setattr(pin_refusals, "_COST", 2)
    patch.setattr("os.fsync", lambda _descriptor: None)
    yield
    patch.undo()


class PinMachine(RuleBasedStateMachine):
    """Needs ``ends_well`` of a subclass, whose first rule calls ``begin``."""

    it = None

    def begin(self, home, *writes):
        """``home`` makes a ``RotatingHome`` in a folder; ``writes``: durable writes that are steps too (``killable_writes``)."""
        self.root = Path(tempfile.mkdtemp(prefix="strongroom-pins-"))
        self.it = home(self.root)
        self.writes = killable_writes(self.it.fate, *writes)
        self.writes.__enter__()

    def teardown(self):
        if self.it is None:
            return
        try:
            self.it.fate.left, self.it.token.fails = None, None
            self.ends_well()
        finally:
            self.writes.__exit__(None, None, None)
            remove_runtime_folder(self.it.home)
            shutil.rmtree(self.root)

    @invariant()
    def no_token_is_locked(self):
        assert self.it is None or not self.it.token.is_locked


def run_machine(machine, *, n_examples, n_steps):
    rules = settings(
        max_examples=n_examples,
        stateful_step_count=n_steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        print_blob=True,
    )
    run_state_machine_as_test(machine, settings=rules)
