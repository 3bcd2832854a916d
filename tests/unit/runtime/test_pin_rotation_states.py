"""Whatever is killed between any two steps, and whatever the token answers: no token locks, no PIN that was refused is sent
again, every member's PIN is on disk, and once nothing is killed any more the change comes to its end."""

import contextlib

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from fakes_pins import FIRST_PIN, Killed, RotatingHome, killable_writes
from pin_states import PinMachine, failures, kills, quick_hashes_and_disks, run_machine
from strongroom.core import HsmError, PinRefusedError
from strongroom.wiring.home import remove_runtime_folder
from strongroom.wiring.pin_upkeep import allow_tries

__all__ = ["quick_hashes_and_disks"]


class Rotations(PinMachine):
    @initialize(tries=st.sampled_from([3, 4, 10]), tells=st.booleans())
    def a_member_is_there(self, tries, tells):
        self.begin(lambda root: RotatingHome(root, tries=tries, tells=tells))

    @rule(kill_after=kills)
    def somebody_rotates(self, kill_after):
        self.survive(self.it.begin, kill_after)

    @rule(kill_after=kills, failure=failures)
    def the_member_starts(self, kill_after, failure):
        self.it.token.fails = failure
        pin = self.survive(self.it.start, kill_after)
        self.it.token.fails = None
        if pin is not None:
            assert pin == self.it.token.pin

    def survive(self, work, kill_after):
        self.it.fate.left = kill_after
        try:
            return work()
        except (Killed, HsmError):
            return None
        finally:
            self.it.fate.left = None

    def ends_well(self):
        for looked_at in (False, True):
            for _ in range(3):
                try:
                    pin = self.it.start()
                except PinRefusedError:
                    break
                except HsmError:
                    continue
                assert pin == self.it.token.pin
                assert self.it.change is None or self.it.change.has_ended
                return
            assert not looked_at, "a person looked after the token, and still the change has no end"
            self.it.token.unlock_by_hand()
            allow_tries(self.it.home, self.it.member)

    @invariant()
    def no_pin_that_was_refused_is_sent_again(self):
        assert self.it is None or len(set(self.it.token.refused)) == len(self.it.token.refused)

    @invariant()
    def the_pin_of_the_token_is_on_disk(self):
        assert self.it is None or self.it.token.pin in self.it.known_pins()


def test_no_sequence_of_kills_and_failures_loses_a_pin_or_locks_a_token():
    run_machine(Rotations, n_examples=25, n_steps=10)


@pytest.mark.slow
def test_nor_does_any_of_many_more():
    run_machine(Rotations, n_examples=500, n_steps=25)


@pytest.mark.parametrize(
    "tries", [3, pytest.param(4, marks=pytest.mark.slow), pytest.param(10, marks=pytest.mark.slow)]
)
def test_a_process_that_is_killed_after_each_refusal_again_and_again_does_not_lock_the_token(tmp_path, tries):
    it = RotatingHome(tmp_path, tries=tries, tells=False)
    with killable_writes(it.fate):
        it.begin()
        it.token.fails = "late:C_SetPIN"  # nobody knows that it took effect
        with pytest.raises(HsmError):
            it.start()
        it.fate.kills_after = "before C_Login"  # and nobody hears what the token says
        for _ in range(12):
            with contextlib.suppress(Killed, HsmError):
                it.start()
            assert not it.token.is_locked
        it.fate.kills_after = None
        assert it.token.refused == [FIRST_PIN]
        assert it.token.pin in it.known_pins()
        it.token.unlock_by_hand()
        assert allow_tries(it.home, it.member)
        assert it.start() == it.token.pin != FIRST_PIN
    remove_runtime_folder(it.home)


@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize("tries", [4, 10])
def test_a_refusal_that_nobody_heard_of_is_not_repeated_when_the_try_of_the_other_pin_is_cut_off_too(
    tmp_path, tries, tells
):
    it = RotatingHome(tmp_path, tries=tries, tells=tells)
    with killable_writes(it.fate):
        it.begin()
        it.token.fails = "late:C_SetPIN"
        with pytest.raises(HsmError):
            it.start()
        it.fate.kills_after = "before C_Login"  # the old PIN is refused
        with pytest.raises(Killed):
            it.start()
        it.fate.kills_after, it.fate.left = None, 1  # the new one is counted, and not sent
        with pytest.raises(Killed):
            it.start()
        for _ in range(3):
            with pytest.raises(PinRefusedError, match="no PIN was tried"):
                it.start()
        assert it.token.refused == [FIRST_PIN]
        it.token.unlock_by_hand()
        assert allow_tries(it.home, it.member)
        assert it.start() == it.token.pin != FIRST_PIN
    remove_runtime_folder(it.home)


@pytest.mark.parametrize(("tells", "sent"), [(True, 1), (False, 5)])
def test_a_pin_that_was_changed_at_the_token_is_sent_at_most_as_often_as_in_any_login(tmp_path, tells, sent):
    it = RotatingHome(tmp_path, tries=10, tells=tells)
    with killable_writes(it.fate):
        it.begin()
        it.token.pin = b"made-by-somebody-else"
        it.fate.kills_after = "before C_Login"
        for _ in range(9):
            with pytest.raises((Killed, PinRefusedError)):
                it.start()
        assert it.token.refused == [FIRST_PIN] * sent
    remove_runtime_folder(it.home)


@pytest.mark.parametrize("tells", [pytest.param(True, marks=pytest.mark.slow), False])
def test_one_kill_anywhere_is_made_good_by_the_next_start(tmp_path, tells):
    for step in range(100):
        it = RotatingHome(tmp_path / f"{tells}-{step}", tries=3, tells=tells)
        with killable_writes(it.fate):
            it.begin()
            it.fate.left = step
            try:
                it.start()
                break
            except Killed:
                pass
            it.fate.left = None
            assert it.token.pin in it.known_pins()
            assert it.start() == it.token.pin
            assert it.token.pin != FIRST_PIN
            assert it.change.phase == "done"
            assert it.known_pins() == {it.token.pin}
            assert len(it.token.refused) <= 1
        remove_runtime_folder(it.home)
    assert step > 12, "there are fewer steps than a change has"
