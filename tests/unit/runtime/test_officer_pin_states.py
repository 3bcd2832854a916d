"""Whatever is killed while a security officer's PIN is changed: the token does not lock, and officers can open the PIN that it has."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from fakes_pins import FIRST_PIN, Killed, killable_writes
from officers_home import WRONG, OfficersHome
from strongroom.core import StrongroomError
from strongroom.runtime import _pin_officers
from strongroom.wiring import pin_refusals
from strongroom.wiring.home import remove_runtime_folder
from strongroom.wiring.pin_upkeep import allow_tries

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


class Changes(RuleBasedStateMachine):
    @initialize(tries=st.sampled_from([3, 4, 10]))
    def a_token_is_there(self, tries):
        self.root = Path(tempfile.mkdtemp(prefix="strongroom-so-"))
        self.it = OfficersHome(self.root, tries=tries)
        self.writes = killable_writes(
            self.it.fate, (_pin_officers, "write_change"), (_pin_officers, "deliver")
        )
        self.writes.__enter__()

    def teardown(self):
        if not hasattr(self, "root"):
            return
        try:
            self.it.fate.left, self.it.token.fails = None, None
            self.ends_well()
        finally:
            self.writes.__exit__(None, None, None)
            remove_runtime_folder(self.it.home)
            shutil.rmtree(self.root)

    @rule(kill_after=kills, failure=failures, which=st.integers(0, 7))
    def somebody_presents_a_pin(self, kill_after, failure, which):
        pins = [WRONG, *sorted(self.it.known_to_officers())]
        self.present(pins[which % len(pins)], kill_after, failure)

    @rule(kill_after=kills, failure=failures)
    def the_right_pin_is_presented(self, kill_after, failure):
        self.present(self.it.token.pin, kill_after, failure)

    def present(self, pin, kill_after=None, failure=None):
        before = self.it.known_to_officers()
        self.it.fate.left, self.it.token.fails = kill_after, failure
        try:
            change = self.it.rotate(pin)
        except (Killed, StrongroomError):
            return False
        finally:
            self.it.fate.left, self.it.token.fails = None, None
        assert change.phase == "done"
        assert self.it.token.pin == self.it.delivered()
        assert self.it.token.pin in self.it.known_to_officers() | before
        return True

    def ends_well(self):
        for _ in range(3):
            if self.present(self.it.token.pin):
                return
            self.it.token.unlock_by_hand()
            allow_tries(self.it.home, self.it.member, "so")
            for marker in self.it.home.pin_refused.glob("*"):
                marker.unlink()
        raise AssertionError("the right PIN was presented, and still the change has no end")

    @invariant()
    def no_token_is_locked(self):
        if hasattr(self, "it"):
            assert not self.it.token.is_locked

    @invariant()
    def officers_can_open_the_pin_of_the_token(self):
        if hasattr(self, "it"):
            assert self.it.token.pin in self.it.known_to_officers()


def runs(n_examples, n_steps):
    run_state_machine_as_test(
        Changes,
        settings=settings(
            max_examples=n_examples,
            stateful_step_count=n_steps,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
            print_blob=True,
        ),
    )


def test_no_sequence_of_kills_and_failures_locks_a_token_or_leaves_its_pin_with_nobody():
    runs(12, 10)


@pytest.mark.slow
def test_nor_does_any_of_many_more():
    runs(200, 20)


def test_the_first_pin_is_the_officers(tmp_path):
    it = OfficersHome(tmp_path)
    assert it.known_to_officers() == {FIRST_PIN}
