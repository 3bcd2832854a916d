"""Rows of the failure matrix about the link to a token and its process, on a real token behind the fault shim."""

import contextlib
import threading
import time

import pytest

from faults.failing_token import AAD, KEY, ROOT
from strongroom.core import HsmError, MemberBusyError, MemberFailedError
from strongroom.hsm.token import TokenSelector
from tokens.remote_token import TokenProcess

pytestmark = pytest.mark.softhsm


def test_f1_a_cut_link_heals_in_the_same_process(failing):
    pid = failing.process.call("os.getpid")
    failing.shim.cut_link()
    assert failing.serves()
    assert failing.process.call("os.getpid") == pid
    assert failing.recovered("reinitialisations") >= 1
    assert failing.token.has_root(ROOT)


def test_f1_a_link_that_stays_down_gives_the_token_up_and_a_new_process_heals_it(failing):
    failing.shim.cut_link(stays_down=True)
    with pytest.raises(MemberFailedError):
        failing.serves()
    failing.shim.restore_link()
    with contextlib.suppress(MemberFailedError):
        if failing.serves():
            return
    failing.restart()
    assert failing.serves()


def test_f5_f6_handles_outlive_no_reinitialisation_and_no_session(failing):
    failing.token.generate_root(b"found by others.", "second")
    for _ in range(2):
        failing.shim.cut_link()
        assert failing.serves()
        assert failing.token.has_root(b"found by others.")
    assert not failing.is_broken


def test_f15_a_finalize_that_hangs_does_not_hang_whoever_watches(failing):
    fault = failing.shim.hang("C_Finalize")
    failing.shim.cut_link()
    failing.process.send("token.unwrap", ROOT, failing.wrapped, AAD)
    fault.wait_until_holding()
    started = time.monotonic()
    failing.process.kill()
    assert time.monotonic() - started < 10
    fault.lift()
    failing.restart()
    assert failing.serves()


def test_f16_a_token_that_comes_back_is_seen_again(failing):
    failing.shim.lose_token()
    assert failing.serves()
    assert failing.recovered("reinitialisations") >= 1


@pytest.mark.parametrize("code", [0x8000_001A, 0x8000_0384, 0xFFFF_FFFF, 0x7777])
def test_f17_codes_of_a_vendor_and_of_nobody_heal_and_are_never_a_bug(failing, code):
    failing.shim.fail("C_DecryptInit", code, last=1)
    assert failing.serves()
    failing.shim.fail("C_DecryptInit", code)
    with pytest.raises(HsmError):
        failing.serves()
    failing.shim.heal()
    failing.fresh()
    assert failing.serves()


@pytest.mark.parametrize("shift", [0, 1])
def test_f19_slots_that_change_their_numbers_lead_to_no_other_token(failing, shift):
    failing.restart()
    failing.change_slots(shift)
    failing.shim.cut_link()
    assert failing.serves()
    failing.shim.fail("C_Decrypt", "CKR_SESSION_HANDLE_INVALID", last=1)
    assert failing.serves()


def test_f19_a_token_is_named_by_its_serial_number_or_label_and_never_by_its_slot(failing):
    serial = failing.process.call("token.identity").serial
    failing.process.token.close()
    failing.change_slots(1)
    failing.process.open(selector=TokenSelector(serial=serial))
    assert failing.serves()


def test_f25_throttling_backs_off_blames_nobody_and_initialises_nothing(failing):
    failing.open_as(throttled=("CKR_FUNCTION_FAILED",))
    finalised = failing.shim.calls("C_Finalize")
    failing.shim.throttle(1, burst=1)
    outcomes = set()
    for _ in range(6):
        try:
            outcomes.add(failing.serves())
        except MemberBusyError:
            outcomes.add("busy")
    assert "busy" in outcomes
    failing.shim.throttle(0)
    time.sleep(1.1)
    assert failing.serves()
    assert failing.shim.calls("C_Finalize") == finalised
    assert not failing.is_broken


def test_f25_function_failed_of_a_vendor_that_does_not_throttle_initialises_nothing_either(failing):
    finalised = failing.shim.calls("C_Finalize")
    failing.shim.fail("C_DecryptInit", "CKR_FUNCTION_FAILED", last=1)
    with contextlib.suppress(MemberFailedError):
        failing.serves()
    assert failing.serves()
    assert failing.shim.calls("C_Finalize") == finalised


def test_f31_threads_that_work_while_the_module_is_initialised_anew_get_right_answers(failing):
    failing.open_as(threads=6, max_sessions=6)
    stop = threading.Event()

    def cut_again_and_again():
        while not stop.wait(0.4):
            failing.shim.cut_link()

    cutter = threading.Thread(target=cut_again_and_again)
    cutter.start()
    try:
        answers, errors = failing.process.call(
            "storm", "token.unwrap", ROOT, failing.wrapped, AAD, n_threads=6, n_calls=60
        )
    finally:
        stop.set()
        cutter.join()
    assert answers <= {KEY.reveal()}
    assert set(errors) <= {"MemberFailedError", "MemberBusyError"}
    failing.fresh()
    assert failing.serves()


def test_f32_a_process_that_finalises_disturbs_no_other(failing):
    with TokenProcess(failing.started) as other:
        other.open()
        other.call("finalize")
        assert failing.serves()
        other.load()
        other.open()
        failing.process.call("finalize")
        assert other.token.unwrap(ROOT, failing.wrapped, AAD).matches(KEY)
    failing.restart()


def test_f39_a_module_that_cannot_connect_when_it_starts_is_the_members_failure_and_starts_later(failing):
    failing.process.call("finalize")
    failing.shim.cut_link(stays_down=True)
    with pytest.raises(HsmError):
        failing.process.load()
    failing.shim.restore_link()
    failing.process.load()
    failing.process.open()
    assert failing.serves()


def test_f30_a_child_made_by_fork_never_reaches_the_parents_token(failing):
    foreign = failing.shim.count("foreign_calls")
    assert failing.process.call("wrap_in_forked_child", ROOT, KEY, AAD) == "refused"
    assert failing.shim.count("foreign_calls") >= foreign
    assert failing.serves()


def test_f46_no_operation_is_open_when_the_login_ends(failing):
    begun, ended = failing.shim.calls("C_EncryptInit"), failing.shim.calls("C_Encrypt")
    failing.token.wrap(ROOT, KEY, AAD)
    failing.process.token.close()
    assert failing.shim.calls("C_EncryptInit") - begun == failing.shim.calls("C_Encrypt") - ended == 1
    with pytest.raises(HsmError):
        failing.serves()
    failing.restart()
    assert failing.serves()
