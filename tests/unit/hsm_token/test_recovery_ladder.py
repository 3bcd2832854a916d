"""The recovery ladder: which rung heals which failure, in which order, and when the token is given up."""

import os
import threading
import time
from pathlib import Path

import pytest

from fixtures_token import AAD, KEY, ROOT, FakeModule, open_token
from strongroom.core import MemberBusyError, MemberFailedError
from strongroom.hsm import cryptoki
from strongroom.hsm.token import RecoveryCounters
from tries import Tries

OF_THE_SESSION = [
    cryptoki.SessionHandleInvalidError,
    cryptoki.SessionClosedError,
    cryptoki.OperationActiveError,
]
OF_THE_HANDLE = [cryptoki.KeyHandleInvalidError, cryptoki.ObjectHandleInvalidError]
OF_THE_LINK = [
    cryptoki.DeviceError,
    cryptoki.DeviceRemovedError,
    cryptoki.TokenNotPresentError,
    cryptoki.CryptokiNotInitializedError,
    cryptoki.SlotIdInvalidError,
    lambda: cryptoki.VendorError("vendor error", ckr=0x80000384),
]


def counted(token):
    return {name: count for name, count in token.recoveries._asdict().items() if count}


def test_a_token_that_works_recovers_from_nothing(token):
    token.wrap(ROOT, KEY, AAD)
    assert token.recoveries == RecoveryCounters()


@pytest.mark.parametrize("error", [*OF_THE_SESSION, cryptoki.GeneralError])
def test_one_failure_of_a_session_costs_a_session(token, module, error):
    module.faults["encrypt"].append(error)
    token.wrap(ROOT, KEY, AAD)
    assert counted(token) == {"new_sessions": 1}
    assert module.login_tries == module.initialisations == 1


@pytest.mark.parametrize("error", OF_THE_HANDLE)
def test_a_stale_handle_is_found_again(token, module, error):
    module.faults["encrypt"].append(error)
    token.wrap(ROOT, KEY, AAD)
    assert counted(token) == {"found_again": 1}


@pytest.mark.parametrize("error", [*OF_THE_SESSION, *OF_THE_HANDLE, cryptoki.GeneralError, *OF_THE_LINK])
def test_what_a_new_session_does_not_heal_a_new_start_of_the_module_does(token, module, error):
    module.faults["encrypt"].extend([error] * 2)
    wrapped = token.wrap(ROOT, KEY, AAD)
    assert token.unwrap(ROOT, wrapped, AAD).matches(KEY)
    assert (module.initialisations, module.login_tries) == (2, 2)
    assert token.recoveries.reinitialisations == 1
    assert not token.is_broken


@pytest.mark.parametrize("error", [*OF_THE_SESSION, *OF_THE_HANDLE, *OF_THE_LINK])
def test_what_a_new_start_of_the_module_does_not_heal_gives_the_token_up(token, module, error):
    module.faults["encrypt"].extend([error] * 4)
    with pytest.raises(MemberFailedError):
        token.wrap(ROOT, KEY, AAD)
    assert token.is_broken
    assert token.recoveries.given_up == 1
    module.faults["encrypt"].clear()
    calls = module.calls
    with pytest.raises(MemberFailedError, match="given up"):
        token.wrap(ROOT, KEY, AAD)
    assert module.calls == calls  # it fails fast


@pytest.mark.parametrize("error", OF_THE_LINK)
def test_a_dead_link_is_not_tried_in_another_session_first(token, module, error):
    module.dead = error
    token.wrap(ROOT, KEY, AAD)
    assert counted(token) == {"reinitialisations": 1}


def test_an_error_without_a_reason_that_stays_is_not_the_tokens_when_it_still_answers(token, module):
    module.faults["encrypt"].extend([cryptoki.GeneralError] * 3)
    with pytest.raises(MemberFailedError):
        token.wrap(ROOT, KEY, AAD)
    assert not token.is_broken
    token.wrap(ROOT, KEY, AAD)


def test_an_error_without_a_reason_gives_the_token_up_when_it_answers_nothing_else(token, module):
    for fault in ("encrypt", "generate_random"):
        module.faults[fault].extend([cryptoki.GeneralError] * 3)
    with pytest.raises(MemberFailedError):
        token.wrap(ROOT, KEY, AAD)
    assert token.is_broken


def test_a_lost_login_is_made_anew_once_and_by_one_thread(token, module):
    module.tokens[0].user = None
    threads = [threading.Thread(target=token.wrap, args=(ROOT, KEY, AAD)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert module.login_tries == 2
    assert counted(token)["logins"] == 1
    assert not token.is_broken


def test_a_login_that_work_sessions_kept_costs_no_pin(token, module):
    held = module.open_session(0)
    module.close_session(min(module.sessions))  # the pinned one
    module.faults["encrypt"].append(cryptoki.UserNotLoggedInError)
    token.wrap(ROOT, KEY, AAD)
    assert module.login_tries == 1
    assert token.recoveries.logins == 1
    module.close_session(held)


def test_every_session_closed_under_us_heals_by_a_login(token, module):
    for session in tuple(module.sessions):
        module.close_session(session)
    token.wrap(ROOT, KEY, AAD)
    assert module.login_tries == 2
    assert module.initialisations == 1
    assert not token.is_broken


def test_already_logged_in_without_a_login_is_no_success(token, module):
    module.tokens[0].user = None
    module.faults["login"].append(cryptoki.UserAlreadyLoggedInError)
    token.wrap(ROOT, KEY, AAD)
    assert module.initialisations == 2
    assert module.login_tries == 3


def test_a_module_that_may_not_be_initialised_anew_is_left_to_the_next_process(module):
    token = open_token(module, may_reinitialise=False)
    token.generate_root(ROOT, "root")
    module.dead = cryptoki.DeviceError
    with pytest.raises(MemberFailedError):
        token.random(8)
    assert token.is_broken
    assert module.initialisations == 1


@pytest.mark.parametrize("step", ["initialize", "slots", "token_info", "open_session", "login"])
def test_a_new_start_that_fails_gives_the_token_up(token, module, step):
    module.dead = cryptoki.DeviceError
    module.faults[step].extend([cryptoki.DeviceError] * 9)
    with pytest.raises(MemberFailedError):
        token.random(8)
    assert token.is_broken


def test_a_finalize_that_fails_does_not_keep_the_module_from_a_new_start(token, module):
    keep = module.finalize

    def finalize():
        keep()
        raise cryptoki.DeviceError

    module.finalize = finalize
    module.dead = cryptoki.DeviceError
    token.random(8)
    assert not token.is_broken


def test_the_token_is_found_again_in_another_slot(module):
    module = FakeModule("b", "a")
    token = open_token(module, label="a")
    token.generate_root(ROOT, "root")
    module.dead = cryptoki.TokenNotPresentError
    module.tokens.reverse()
    wrapped = token.wrap(ROOT, KEY, AAD)
    assert token.unwrap(ROOT, wrapped, AAD).matches(KEY)
    assert set(module.sessions.values()) == {0}


def test_another_token_of_the_same_label_is_not_taken_for_ours(token, module):
    module.dead = cryptoki.DeviceError
    module.tokens[0].serial = "another"
    with pytest.raises(MemberFailedError, match="another token"):
        token.random(8)
    assert module.login_tries == 1


@pytest.mark.parametrize("error", [cryptoki.FunctionFailedError, cryptoki.HostMemoryError])
def test_a_busy_token_is_not_recovered(token, module, error):
    module.faults["generate_random"].append(error)
    with pytest.raises(MemberFailedError) as caught:
        token.random(8)
    assert not isinstance(caught.value, MemberBusyError)
    assert token.recoveries == RecoveryCounters()


def test_a_vendors_word_for_busy_is_no_fault_and_slows_the_next_call_down(module):
    token = open_token(module, throttled=("CKR_FUNCTION_FAILED", "CKR_DEVICE_ERROR"))
    for error in (cryptoki.FunctionFailedError, cryptoki.DeviceError):
        module.faults["generate_random"].append(error)
        with pytest.raises(MemberBusyError) as caught:
            token.random(8)
        assert caught.value.ckr == error.code
    assert token.recoveries == RecoveryCounters(throttled=2)
    began = time.monotonic()
    token.random(8)
    assert time.monotonic() - began > 0.03  # the second pause is twice the first
    began = time.monotonic()
    token.random(8)
    assert token._ladder._throttle._pause_s == 0


def test_new_starts_are_not_made_in_a_storm(module):
    token = open_token(module, operation_limit_s=0.5)
    module.dead = cryptoki.DeviceError
    token.random(8)
    for _ in range(20):
        module.dead = cryptoki.DeviceError
        with pytest.raises(MemberBusyError, match="only just now"):
            token.random(8)
    assert module.initialisations == 2
    assert not token.is_broken
    time.sleep(0.8)  # the first pause is 0.5 s and at most 50 % more
    token.random(8)
    assert module.initialisations == 3


def test_a_new_start_waits_for_the_calls_of_others_and_they_for_it(token, module):
    inside, leave, order = threading.Event(), threading.Event(), []
    keep_random, keep_finalize = module.generate_random, module.finalize

    def slow_random(session, n_bytes):
        inside.set()
        assert leave.wait(60)
        made = keep_random(session, n_bytes)
        order.append("random")
        return made

    def finalize():
        order.append("finalize")
        keep_finalize()

    module.generate_random, module.finalize = slow_random, finalize
    slow = threading.Thread(target=token.random, args=(8,))
    slow.start()
    assert inside.wait(60)
    module.faults["encrypt"].extend([cryptoki.DeviceError] * 2)
    climbing = threading.Thread(target=token.wrap, args=(ROOT, KEY, AAD))
    climbing.start()
    time.sleep(0.1)
    assert order == []
    leave.set()
    slow.join()
    climbing.join()
    assert order == ["random", "finalize"]
    assert not token.is_broken


def test_no_rung_is_taken_when_the_time_is_over_and_the_next_call_takes_it_first(module):
    token = open_token(module, operation_limit_s=0.1)
    keep = module.session_info

    def slow_state(session):
        time.sleep(0.15)  # and so the time is over when the link is found dead
        return keep(session)

    module.dead = cryptoki.DeviceError
    module.session_info = slow_state
    with pytest.raises(MemberFailedError):
        token.random(8)
    module.session_info = keep
    assert module.initialisations == 1
    assert not token.is_broken
    token.random(8)
    assert counted(token) == {"reinitialisations": 1}


def test_a_process_made_by_fork_makes_no_call(token, module, monkeypatch):
    parent, calls = os.getpid(), module.calls
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    with pytest.raises(MemberFailedError, match="fork"):
        token.wrap(ROOT, KEY, AAD)
    assert module.calls == calls


def test_work_inside_work_is_an_error_and_no_deadlock(token):
    with pytest.raises(RuntimeError):
        token._workshop.use("outer", lambda _: token.random(8))
    token.random(8)


def test_a_link_that_fails_again_after_others_were_served_is_started_anew_again(token, module):
    module.faults["encrypt"].extend([cryptoki.DeviceError] * 2)
    wrapped = token.wrap(ROOT, KEY, AAD)
    assert token.unwrap(ROOT, wrapped, AAD).matches(KEY)
    keep = module.encrypt
    tries = []

    def failing(session, mechanism, key, data):
        tries.append(session)
        token._ladder.succeeded(token._ladder.generation.number)  # as another thread's call
        raise cryptoki.DeviceError

    module.encrypt = failing
    with pytest.raises(MemberFailedError):
        token.wrap(ROOT, KEY, AAD)
    module.encrypt = keep
    assert len(tries) == 4  # at once, in a new session, and after two new starts
    assert not token.is_broken
    token.wrap(ROOT, KEY, AAD)


def test_every_counter_is_explained_to_operators():
    page = (Path(__file__).parents[3] / "docs" / "recovery.md").read_text()
    assert all(f"| `{name}` |" in page for name in RecoveryCounters._fields)


def test_recovery_takes_no_longer_than_whoever_asks_will_wait(token, module):
    tries = Tries(0.3)
    for _ in tries:
        module.dead = cryptoki.DeviceError
        token.random(8)  # and so the next new start has to wait for half a second
        module.dead = cryptoki.DeviceError
        token.have_time(0.3)
        with tries.timed(), pytest.raises(MemberBusyError):
            token.random(8)
        token.have_time(None)
        token.random(8)
    assert token.recoveries.reinitialisations == 2


def test_a_login_restored_by_another_thread_between_search_and_question_makes_no_key_absent(token, module):
    keep = module.find_objects

    def blind_once(session, template, *, limit=1024):
        module.find_objects = keep
        return []  # the login was lost when this was asked, and is there again when its state is

    module.find_objects = blind_once
    assert token.has_root(ROOT)


def test_a_list_made_without_a_login_is_not_believed(token, module):
    module.tokens[0].user = None
    assert [found.cka_id for found in token.list_objects()] == [ROOT]
    assert token.recoveries.logins == 1
