"""A try to log in is noted before it is made; one without a known outcome is repeated seldom, or not at all."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strongroom.config import Home, MemberConfig, PinSource
from strongroom.core import MemberFailedError, PinRefusedError, Secret
from strongroom.wiring import pin_refusals
from strongroom.wiring.pin_attempts import PinAttemptFile
from strongroom.wiring.pin_refusals import refuse_known_pin

PIN = Secret(b"83920174")
MEMBER = MemberConfig(name="alpha", profile="softhsm2", pin=PinSource(file="x"), token_serial="0123")


@pytest.fixture(autouse=True, scope="module")
def quick_hashes():
    """0.1 s each, some two hundred times: what a hash costs is no subject here (test_pin_refusals)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pin_refusals, "_COST", 2)
        yield


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


@pytest.fixture
def lost():
    return []


@pytest.fixture
def worker(home, lost):
    """Makes what the next worker process would have: nothing but what is on the disk."""
    return lambda serial="0123": PinAttemptFile(
        home.pin_attempts / "alpha",
        home.pin_refused / "alpha",
        token_serial=serial,
        token_label=None,
        not_kept=lost.append,
    )


def killed_in_a_try(worker, *, is_count_low=False, pin=PIN):
    worker().begin(pin, is_count_low=is_count_low)


def test_tries_with_a_good_end_leave_nothing_in_the_way(worker):
    for _ in range(3):
        attempts = worker()
        for _ in range(7):  # logins made anew in one life
            attempts.begin(PIN, is_count_low=True)  # somebody else mistyped his PIN
            attempts.accepted()


def test_a_try_of_a_killed_worker_is_not_repeated_where_the_token_says_that_a_pin_was_wrong(worker):
    killed_in_a_try(worker)
    with pytest.raises(PinRefusedError, match="wrong PIN came since the last login"):
        worker().begin(PIN, is_count_low=True)


def test_a_pin_that_was_never_taken_is_sent_twice_in_all_when_nobody_says_what_became_of_it(worker):
    killed_in_a_try(worker)
    killed_in_a_try(worker)
    for _ in range(3):
        with pytest.raises(PinRefusedError, match="2 times without anybody knowing"):
            worker().begin(PIN, is_count_low=False)


def test_a_pin_that_was_taken_before_is_sent_five_times_and_a_login_makes_all_good(worker):
    attempts = worker()
    attempts.begin(PIN, is_count_low=False)
    attempts.accepted()
    for _ in range(4):
        killed_in_a_try(worker)
    attempts = worker()
    attempts.begin(PIN, is_count_low=False)
    attempts.accepted()
    for _ in range(5):
        killed_in_a_try(worker)
    with pytest.raises(PinRefusedError, match="5 times"):
        worker().begin(PIN, is_count_low=False)


def test_tries_that_did_not_reach_the_pin_do_not_count(worker):
    killed_in_a_try(worker)
    for _ in range(9):
        attempts = worker()
        attempts.begin(PIN, is_count_low=False)
        attempts.not_tried()
    killed_in_a_try(worker)
    with pytest.raises(PinRefusedError):
        worker().begin(PIN, is_count_low=False)


@pytest.mark.parametrize(("pin", "serial"), [(Secret(b"another"), "0123"), (PIN, "0124")])
def test_another_pin_or_token_has_tries_of_its_own(worker, pin, serial):
    killed_in_a_try(worker)
    worker(serial).begin(pin, is_count_low=True)


def test_a_refusal_is_the_marker_that_main_knows_and_removing_it_allows_a_fresh_try(home, worker, lost):
    killed_in_a_try(worker)
    attempts = worker()
    attempts.begin(PIN, is_count_low=False)
    attempts.refused(PIN)
    with pytest.raises(PinRefusedError, match="refused this PIN before"):
        refuse_known_pin(home, MEMBER, PIN)
    (home.pin_refused / "alpha").unlink()
    worker().begin(PIN, is_count_low=True)
    assert lost == []


def test_what_is_kept_is_private_and_does_not_tell_the_pin(home, worker):
    killed_in_a_try(worker)
    path = home.pin_attempts / "alpha"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert PIN.reveal() not in path.read_bytes()
    assert [entry.name for entry in path.parent.iterdir()] == ["alpha"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(content=st.binary(max_size=300) | st.from_regex(rb"strongroom-pin-attempt-v[0-9] [0-9a-f]{0,40}"))
def test_what_is_not_understood_counts_as_one_try_without_an_outcome(home, worker, content):
    home.pin_attempts.mkdir(exist_ok=True)
    (home.pin_attempts / "alpha").write_bytes(content)
    with pytest.raises(PinRefusedError):
        worker().begin(PIN, is_count_low=True)
    worker().begin(PIN, is_count_low=False)


def test_a_try_that_cannot_be_noted_is_not_made(home, worker, lost):
    home.pin_attempts.write_text("a file where the folder should be")
    attempts = worker()
    with pytest.raises(MemberFailedError, match=r"not sent: .*pin-attempts/alpha") as failed:
        attempts.begin(PIN, is_count_low=False)
    assert "look at the disk" in failed.value.next_step
    home.pin_attempts.unlink()
    attempts.begin(PIN, is_count_low=False)  # once it can be noted
    assert lost == []


def test_an_outcome_that_cannot_be_noted_is_told_and_undoes_no_login(home, worker, lost):
    attempts = worker()
    attempts.begin(PIN, is_count_low=False)
    (home.pin_attempts / "alpha").unlink()
    home.pin_attempts.rmdir()
    home.pin_attempts.write_text("a file where the folder should be")
    attempts.accepted()
    assert len(lost) == 1
