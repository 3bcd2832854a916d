"""Rows of the failure matrix (docs/failure-matrix.md) about sessions and logins, on a real token behind the fault shim."""

import contextlib
import time

import pytest

from faults.failing_token import AAD, KEY, ROOT
from strongroom.core import HsmError, HsmRequestError, MemberFailedError, PinRefusedError

pytestmark = pytest.mark.softhsm


def test_f2_a_session_in_which_anything_failed_is_never_used_again(failing):
    failing.shim.fail("C_Encrypt", "CKR_SESSION_HANDLE_INVALID", last=1)
    closed = failing.shim.calls("C_CloseSession")
    failing.token.wrap(ROOT, KEY, AAD)
    assert failing.shim.calls("C_CloseSession") > closed
    failing.shim.fail("C_Encrypt", "CKR_KEY_FUNCTION_NOT_PERMITTED", last=1)
    closed = failing.shim.calls("C_CloseSession")
    with pytest.raises(MemberFailedError):
        failing.token.wrap(ROOT, KEY, AAD)
    assert failing.shim.calls("C_CloseSession") > closed
    assert failing.serves()


def test_f3_an_operation_that_was_left_active_costs_one_session(failing):
    failing.shim.fail("C_Encrypt", "CKR_GENERAL_ERROR", last=1)
    failing.token.wrap(ROOT, KEY, AAD)
    failing.shim.fail("C_EncryptInit", "CKR_OPERATION_ACTIVE", last=1)
    failing.token.wrap(ROOT, KEY, AAD)
    assert not failing.is_broken


def test_f4_a_handle_that_died_with_the_session_that_found_it_is_found_again(failing):
    failing.shim.fail("C_DecryptInit", "CKR_KEY_HANDLE_INVALID", last=1)
    found = failing.recovered("found_again")
    assert failing.serves()
    assert failing.recovered("found_again") == found + 1


def test_f7_a_login_that_is_lost_behind_our_back_is_made_anew_once(failing):
    logins, made = failing.shim.logins, failing.recovered("logins")
    failing.shim.log_out()
    assert failing.serves()
    assert failing.token.has_root(ROOT)
    assert failing.shim.logins == logins + 1
    assert failing.recovered("logins") == made + 1


def test_f7_a_search_that_finds_nothing_because_nobody_is_logged_in_is_not_believed(failing):
    failing.shim.log_out()
    assert failing.token.has_root(ROOT)


def test_f8_already_logged_in_counts_when_the_token_says_so(failing):
    failing.shim.fail("C_Login", "CKR_USER_ALREADY_LOGGED_IN", last=1, after=True)
    failing.restart()
    assert failing.serves()


def test_f9_already_logged_in_is_not_believed_when_the_token_says_otherwise(failing):
    failing.process.token.close()
    failing.shim.fail("C_Login", "CKR_USER_ALREADY_LOGGED_IN")
    with pytest.raises(HsmError):
        failing.process.open()
    failing.shim.heal()
    failing.restart()
    assert failing.serves()


def test_f10_no_more_sessions_are_asked_for_than_the_token_has(failing):
    failing.shim.cap_sessions(3, told=3)
    failing.open_as(max_sessions=8, threads=8)
    answers, errors = failing.process.call(
        "storm", "token.unwrap", ROOT, failing.wrapped, AAD, n_threads=8, n_calls=10
    )
    assert (answers, dict(errors)) == ({KEY.reveal()}, {})


def test_f10_a_cap_that_the_token_does_not_tell_is_lived_with(failing):
    failing.shim.cap_sessions(2)
    failing.open_as(max_sessions=8, threads=8)
    answers, errors = failing.process.call(
        "storm", "token.unwrap", ROOT, failing.wrapped, AAD, n_threads=4, n_calls=10
    )
    assert (answers, dict(errors)) == ({KEY.reveal()}, {})


def test_f11_sessions_are_used_again_and_a_token_that_opens_none_for_a_while_heals(failing):
    opened = failing.shim.calls("C_OpenSession")
    for _ in range(30):
        assert failing.serves()
    assert failing.shim.calls("C_OpenSession") <= opened + 1
    failing.shim.fail("C_Decrypt", "CKR_SESSION_HANDLE_INVALID", last=1)
    failing.shim.fail("C_OpenSession", "CKR_DEVICE_MEMORY", last=1)
    with pytest.raises(MemberFailedError):
        failing.token.unwrap(ROOT, failing.wrapped, AAD)
    assert failing.serves()
    assert not failing.is_broken


def test_f12_sessions_that_died_of_idleness_are_replaced(failing):
    failing.shim.drop_idle_sessions(0.2)
    time.sleep(0.3)
    assert failing.serves()
    assert failing.shim.count("dropped_sessions") > 0


def test_f12_keep_alive_saves_the_sessions_of_a_member_that_nobody_asks(failing):
    failing.shim.drop_idle_sessions(0.9)
    failing.open_as(idle_limit_s=0.3)
    logins, dropped = failing.shim.logins, failing.shim.count("dropped_sessions")
    time.sleep(2.0)
    assert failing.serves()
    assert failing.shim.logins == logins
    assert failing.shim.count("dropped_sessions") - dropped <= 1


def test_f14_a_code_of_no_specification_on_opening_a_session_is_a_failure_and_no_endless_wait(failing):
    failing.shim.fail("C_Decrypt", "CKR_SESSION_CLOSED", last=1)
    failing.shim.fail("C_OpenSession", 0x7777, last=1)
    started = time.monotonic()
    with contextlib.suppress(MemberFailedError):
        failing.serves()
    assert time.monotonic() - started < 30
    failing.fresh()
    assert failing.serves()


def test_f24_a_wrong_pin_is_tried_once_and_one_near_its_lock_is_not_tried(failing):
    failing.process.token.close()
    failing.shim.count_pins(3, user_wrong=0)
    logins = failing.shim.logins
    with pytest.raises(PinRefusedError):
        failing.process.open(pin=b"wrong-pin-1")
    assert failing.shim.logins == logins + 1
    failing.shim.count_pins(3, user_wrong=2)
    for _ in range(3):
        with pytest.raises(PinRefusedError):
            failing.process.open()
    assert failing.shim.logins == logins + 1
    assert failing.shim.repeated_pins == 0


def test_f24_a_pin_that_is_refused_while_in_service_is_not_sent_again(failing):
    failing.shim.count_pins(10, user_wrong=0)
    logins = failing.shim.logins
    failing.shim.fail("C_Login", "CKR_PIN_INCORRECT", last=1)
    failing.shim.log_out()
    for _ in range(4):
        with pytest.raises(MemberFailedError):
            failing.token.unwrap(ROOT, failing.wrapped, AAD)
    assert failing.is_broken
    assert failing.shim.logins == logins  # the one that was refused did not get as far as the token
    assert failing.shim.calls("C_Login") >= 1


def test_f26_every_session_is_one_that_may_write(failing):
    failing.shim.refuse_read_only_sessions()
    failing.restart()
    assert failing.serves()


def test_f28_closing_sessions_logs_nobody_out(failing):
    failing.open_as(threads=4, max_sessions=4)
    logins, logouts = failing.shim.logins, failing.shim.calls("C_Logout")
    closed = failing.shim.calls("C_CloseSession")
    failing.shim.fail("C_Decrypt", "CKR_SESSION_HANDLE_INVALID", chance=0.2)
    failing.process.call("storm", "token.unwrap", ROOT, failing.wrapped, AAD, n_threads=4, n_calls=20)
    failing.shim.heal()
    assert failing.serves()
    assert failing.shim.calls("C_CloseSession") > closed
    assert failing.shim.logins - logins <= failing.recovered("logins") + failing.recovered(
        "reinitialisations"
    )
    assert failing.shim.calls("C_Logout") == logouts


def test_f36_calls_of_one_session_never_overlap_and_no_operation_has_parts(failing):
    failing.open_as(threads=6, max_sessions=6)
    overlaps = failing.shim.count("overlaps")
    failing.shim.delay("C_Decrypt", 0.002, chance=0.3)
    answers, errors = failing.process.call(
        "storm", "token.unwrap", ROOT, failing.wrapped, AAD, n_threads=6, n_calls=30
    )
    assert (answers, dict(errors)) == ({KEY.reveal()}, {})
    assert failing.shim.count("overlaps") == overlaps
    parts = ("C_EncryptUpdate", "C_DecryptUpdate", "C_SignUpdate", "C_DigestUpdate", "C_EncryptFinal")
    assert [failing.shim.calls(name) for name in parts] == [0] * len(parts)


def test_f40_a_template_that_the_token_does_not_take_is_said_and_leaves_nothing(failing):
    before = failing.token.list_objects()
    failing.shim.refuse_attribute(0x170, "CKR_ATTRIBUTE_TYPE_INVALID")
    with pytest.raises(HsmRequestError, match="CKR_ATTRIBUTE_TYPE_INVALID"):
        failing.token.generate_root(b"another root's.!", "other")
    assert failing.token.list_objects() == before
    failing.open_as(unknown_attributes=("CKA_MODIFIABLE",))
    failing.token.prove_profile()
