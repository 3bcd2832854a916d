"""Whatever is killed while a security officer's PIN is changed: the token does not lock, and officers can open the PIN that it has."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from fakes_pins import FIRST_PIN, Killed
from officers_home import WRONG, OfficersHome
from pin_states import PinMachine, failures, kills, quick_hashes_and_disks, run_machine
from strongroom.core import StrongroomError
from strongroom.runtime import _pin_officers
from strongroom.wiring.pin_upkeep import allow_tries

__all__ = ["quick_hashes_and_disks"]


class Changes(PinMachine):
    @initialize(tries=st.sampled_from([3, 4, 10]))
    def a_token_is_there(self, tries):
        self.begin(
            lambda root: OfficersHome(root, tries=tries),
            (_pin_officers, "deliver"),
        )

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
    def officers_can_open_the_pin_of_the_token(self):
        assert self.it is None or self.it.token.pin in self.it.known_to_officers()


def test_no_sequence_of_kills_and_failures_locks_a_token_or_leaves_its_pin_with_nobody():
    run_machine(Changes, n_examples=12, n_steps=10)


@pytest.mark.slow
def test_nor_does_any_of_many_more():
    run_machine(Changes, n_examples=200, n_steps=20)


def test_the_first_pin_is_the_officers(tmp_path):
    it = OfficersHome(tmp_path)
    assert it.known_to_officers() == {FIRST_PIN}
