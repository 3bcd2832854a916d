"""The fault shim forwards everything, and each of its faults is what it says."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from faults.fault_shim import FaultShim, functions
from fixtures_softhsm import SofthsmTokens, make_softhsm_env, softhsm_library
from strongroom.hsm import cryptoki
from strongroom.hsm.cryptoki import (
    AesGcm,
    AesKeyGen,
    Attribute,
    DeviceError,
    DeviceRemovedError,
    GeneralError,
    KeyHandleInvalidError,
    Module,
    PinIncorrectError,
    PinLockedError,
    RsaKeyPairGen,
    SessionCountError,
    SessionHandleInvalidError,
    SessionState,
    TokenFlag,
    TokenNotPresentError,
    UserNotLoggedInError,
    UserType,
    VendorError,
)

pytestmark = pytest.mark.softhsm
A, IV, DATA = Attribute, bytes(range(12)), b"sixteen bytes..!"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared")
    env = make_softhsm_env(folder)
    with pytest.MonkeyPatch.context() as patch, FaultShim(folder / "shim", softhsm_library()) as shim:
        patch.setenv("SOFTHSM2_CONF", str(env.conf))
        shim.module_loaded = Module.load(str(shim.library))
        shim.tokens = SofthsmTokens(shim.module_loaded, env)
        yield shim
        shim.heal()
        shim.module_loaded.finalize()


@pytest.fixture
def shim(shared):
    yield shared
    shared.heal()


@pytest.fixture
def module(shim):
    return shim.module_loaded


@pytest.fixture
def token(shim):
    return shim.tokens.new()


@pytest.fixture
def session(module, token):
    session = module.open_session(token.slot)
    module.login(session, UserType.USER, token.user_pin)
    yield session
    module.close_all_sessions(slot_of(module, token))


def slot_of(module, token):
    return next(slot for slot in module.slots() if module.token_info(slot).label == token.label)


@pytest.fixture
def key(module, session):
    return make_key(module, session)


def make_key(module, session, cka_id=b"key"):
    template = {
        A.VALUE_LEN: 32,
        A.TOKEN: True,
        A.PRIVATE: True,
        A.ENCRYPT: True,
        A.DECRYPT: True,
        A.ID: cka_id,
    }
    return module.generate_key(session, AesKeyGen(), template)


def encrypted(module, session, key, iv=IV):
    return module.encrypt(session, AesGcm(iv, b"aad"), key, DATA)


def test_every_function_of_the_list_is_there_in_its_order():
    assert functions() == tuple(name for name, _ in cryptoki._declarations.FUNCTIONS_2_40)
    assert len(functions()) == 68


def test_without_orders_it_is_the_real_module_and_counts_calls(shim, module, session, key):
    before = shim.calls("C_Encrypt"), shim.calls("C_EncryptInit"), shim.calls()
    sealed = encrypted(module, session, key)
    assert module.decrypt(session, AesGcm(IV, b"aad"), key, sealed) == DATA
    assert (shim.calls("C_Encrypt"), shim.calls("C_EncryptInit")) == (before[0] + 1, before[1] + 1)
    assert shim.calls() == before[2] + 4
    assert shim.count("unlocked_initialises") == 0


def test_the_nth_call_fails_and_no_other(shim, module, session, key):
    fault = shim.fail("C_EncryptInit", "CKR_DEVICE_ERROR", first=2, last=3)
    outcomes = []
    for _ in range(5):
        try:
            encrypted(module, session, key)
            outcomes.append("ok")
        except DeviceError:
            outcomes.append("device error")
    assert outcomes == ["ok", "device error", "device error", "ok", "ok"]
    assert fault.hits == 2


def test_a_fault_lasts_until_it_is_lifted_or_its_time_is_over(shim, module, session):
    fault = shim.fail("C_GenerateRandom", 0x8000_001A)
    for _ in range(3):
        with pytest.raises(VendorError):
            module.generate_random(session, 8)
    fault.lift()
    module.generate_random(session, 8)
    shim.fail("C_GenerateRandom", "CKR_DEVICE_MEMORY", for_s=0.05)
    time.sleep(0.06)
    module.generate_random(session, 8)


def test_faults_by_chance_strike_about_as_often_as_told_and_the_same_calls_for_one_seed(
    shim, module, session
):
    fault = shim.fail("C_GenerateRandom", "CKR_GENERAL_ERROR", chance=0.3)
    for _ in range(400):
        with contextlib.suppress(GeneralError):
            module.generate_random(session, 8)
    assert 70 < fault.hits < 170


def test_an_answer_can_be_lost_after_the_work_was_done_or_be_a_lie(shim, module, session):
    shim.fail("C_GenerateKey", "CKR_DEVICE_ERROR", last=1, after=True)
    with pytest.raises(DeviceError):
        make_key(module, session, b"lost answer")
    found = module.find_objects(session, {A.ID: b"lost answer"})
    assert len(found) == 1
    shim.fail("C_DestroyObject", "CKR_OK", last=1)
    module.destroy_object(session, found[0])
    assert module.find_objects(session, {A.ID: b"lost answer"}) == found


def test_a_call_that_failed_half_way_leaves_its_operation_active(shim, module, session, key):
    shim.fail("C_Encrypt", "CKR_GENERAL_ERROR", last=1)
    with pytest.raises(GeneralError):
        encrypted(module, session, key)
    with pytest.raises(cryptoki.OperationActiveError):
        encrypted(module, session, key)


def test_calls_take_longer_by_the_delay(shim, module, session):
    shim.delay("C_GenerateRandom", 0.05)
    started = time.monotonic()
    module.generate_random(session, 8)
    assert time.monotonic() - started >= 0.05


def test_a_call_hangs_until_it_is_released_and_others_go_on(shim, module, session, token):
    fault = shim.hang("C_GenerateRandom", last=1)
    got = []
    thread = threading.Thread(target=lambda: got.append(module.generate_random(session, 8)))
    thread.start()
    try:
        fault.wait_until_holding()
        assert module.generate_random(module.open_session(token.slot), 8)
        assert got == []
    finally:
        fault.lift()
        thread.join(30)
    assert len(got) == 1
    assert fault.holding == 0


def test_two_calls_at_once_in_one_session_are_counted(shim, module, session):
    before = shim.count("overlaps")
    started = shim.calls("C_GenerateKeyPair")
    public = {A.MODULUS_BITS: 4096, A.PUBLIC_EXPONENT: b"\x01\x00\x01", A.TOKEN: False}
    slow = {"public": public, "private": {A.TOKEN: False}}
    thread = threading.Thread(target=lambda: module.generate_key_pair(session, RsaKeyPairGen(), **slow))
    thread.start()
    while thread.is_alive():
        if shim.calls("C_GenerateKeyPair") > started:
            module.session_info(session)
        time.sleep(0.002)
    thread.join()
    assert shim.count("overlaps") > before


def test_an_iv_of_its_own_goes_into_the_parameter(shim, module, session, key):
    shim.make_own_iv("hsm-in-parameter")
    built = AesGcm(IV, b"aad").build()
    ffi = cryptoki._declarations.ffi
    assert module._c_encrypt_init(session, built[0], key) == 0
    assert bytes(built[2])[:12] == bytes(12)
    output, length = ffi.new("CK_BYTE[64]"), ffi.new("CK_ULONG *", 64)
    assert module._c_encrypt(session, DATA, len(DATA), output, length) == 0
    iv_used = bytes(built[2])[:12]
    assert iv_used not in {IV, bytes(12)}
    shim.heal()
    sealed = bytes(ffi.buffer(output, length[0]))
    assert module.decrypt(session, AesGcm(iv_used, b"aad"), key, sealed) == DATA


@pytest.mark.parametrize(("mode", "iv_len"), [("hsm-appended", 16), ("hsm-prepended", 12)])
def test_an_iv_of_its_own_comes_with_the_ciphertext(shim, module, session, key, mode, iv_len):
    shim.make_own_iv(mode, iv_len=iv_len)
    ffi = cryptoki._declarations.ffi
    built = AesGcm(IV, b"aad").build()
    length = ffi.new("CK_ULONG *", 0)
    assert module._c_encrypt_init(session, built[0], key) == 0
    assert module._c_encrypt(session, DATA, len(DATA), ffi.NULL, length) == 0
    assert length[0] == len(DATA) + 16 + iv_len
    output = ffi.new("CK_BYTE[]", length[0])
    assert module._c_encrypt(session, DATA, len(DATA), output, length) == 0
    whole = bytes(output)
    iv, sealed = (
        (whole[-iv_len:], whole[:-iv_len]) if mode == "hsm-appended" else (whole[:iv_len], whole[iv_len:])
    )
    assert module.decrypt(session, AesGcm(iv, b"aad"), key, sealed) == DATA
    built[1].ulIvLen = 0
    assert module._c_decrypt_init(session, built[0], key) == 0
    length[0] = len(whole)
    assert module._c_decrypt(session, whole, len(whole), output, length) == 0
    assert bytes(ffi.buffer(output, length[0])) == DATA


def test_sessions_are_capped_and_the_cap_is_told(shim, module, token):
    shim.cap_sessions(3, told=3)
    opened = [module.open_session(token.slot) for _ in range(3)]
    with pytest.raises(SessionCountError):
        module.open_session(token.slot)
    assert module.token_info(token.slot).max_session_count == 3
    module.close_session(opened.pop())
    module.open_session(token.slot)
    module.close_all_sessions(token.slot)
    module.open_session(token.slot)
    module.close_all_sessions(token.slot)


def test_idle_sessions_die_and_used_ones_live(shim, module, token):
    kept, idle = module.open_session(token.slot), module.open_session(token.slot)
    before = shim.count("dropped_sessions")
    shim.drop_idle_sessions(0.4)
    deadline = time.monotonic() + 30
    while shim.count("dropped_sessions") == before and time.monotonic() < deadline:
        module.session_info(kept)
        time.sleep(0.02)
    with pytest.raises(SessionHandleInvalidError):
        module.session_info(idle)


def test_slot_numbers_shift_while_sessions_stay(shim, module, token, session):
    other = shim.tokens.new()
    shim.change_slots(1)
    numbers = module.slots()
    assert sorted(numbers) == list(range(len(numbers)))
    slots = {module.token_info(slot).label: slot for slot in numbers}
    assert {token.label, other.label} <= slots.keys()
    assert module.session_info(session).slot == slots[token.label]
    shim.change_slots(2)
    assert module.token_info(slots[token.label]).label != token.label
    with pytest.raises(cryptoki.SlotIdInvalidError):
        module.token_info(500)


def test_new_keys_are_neither_found_nor_usable_for_a_while(shim, module, session):
    shim.hide_new_keys(0.5)
    hidden = make_key(module, session, b"hidden")
    assert module.get_attributes(session, hidden, [A.ID]) == {A.ID: b"hidden"}
    is_early = not module.find_objects(session, {A.ID: b"hidden"})
    with pytest.raises(KeyHandleInvalidError):
        encrypted(module, session, hidden)
    assert is_early
    deadline = time.monotonic() + 30
    while not module.find_objects(session, {A.ID: b"hidden"}):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    encrypted(module, session, hidden)


def test_operations_beyond_the_rate_are_refused(shim, module, session):
    shim.throttle(2, burst=3)
    refused = 0
    for _ in range(20):
        try:
            module.generate_random(session, 8)
        except cryptoki.FunctionFailedError:
            refused += 1
    assert refused >= 10
    module.session_info(session)
    module.find_objects(session, {A.ID: b"none"})
    shim.throttle(0)
    module.generate_random(session, 8)


def test_a_cut_link_is_mended_by_finalising_and_initialising_only(shim, module, session, token):
    shim.cut_link()
    for call in (
        lambda: module.session_info(session),
        lambda: module.open_session(token.slot),
        module.library_info,
        module.slots,
    ):
        with pytest.raises(DeviceError):
            call()
    module.finalize()
    shim.cut_link(stays_down=True)
    with pytest.raises(DeviceError):
        Module.load(str(shim.library))
    shim.restore_link()
    Module.load(str(shim.library))
    module.close_session(module.open_session(slot_of(module, token)))


def test_a_token_that_came_back_is_present_only_to_who_is_initialised_again(shim, module, session, token):
    shim.lose_token(stays_away=True)
    assert module.slots() == []
    with pytest.raises(TokenNotPresentError):
        module.open_session(token.slot)
    with pytest.raises(DeviceRemovedError):
        module.session_info(session)
    shim.return_token()
    with pytest.raises(TokenNotPresentError):
        module.token_info(token.slot)
    module.finalize()
    Module.load(str(shim.library))
    assert token.label in [module.token_info(slot).label for slot in module.slots()]


def test_logged_out_behind_our_back_until_the_next_login(shim, module, session, token, key):
    shim.log_out()
    with pytest.raises(UserNotLoggedInError):
        encrypted(module, session, key)
    assert module.session_info(session).state is SessionState.RW_PUBLIC_SESSION
    assert module.find_objects(session, {A.ID: b"key"}) == []
    module.login(session, UserType.USER, token.user_pin)
    (key,) = module.find_objects(session, {A.ID: b"key"})
    encrypted(module, session, key)


def test_wrong_pins_are_counted_shown_and_lock(shim, module, token):
    shim.count_pins(3, user_wrong=0)
    session = module.open_session(token.slot)
    before, repeated = shim.logins, shim.repeated_pins
    seen = []
    for pin in (b"wrong-1", b"wrong-2", b"wrong-2"):
        with pytest.raises(PinIncorrectError):
            module.login(session, UserType.USER, pin)
        seen.append(module.token_info(token.slot).flags)
    assert TokenFlag.USER_PIN_COUNT_LOW in seen[0]
    assert TokenFlag.USER_PIN_FINAL_TRY in seen[1]
    assert TokenFlag.USER_PIN_LOCKED in seen[2]
    with pytest.raises(PinLockedError):
        module.login(session, UserType.USER, token.user_pin)
    assert shim.logins - before == 4
    assert shim.repeated_pins - repeated == 1
    assert shim.wrong_pins == 3
    module.close_session(session)
    shim.count_pins(3, user_wrong=0)


def test_a_write_protected_token_serves_and_takes_nothing_new(shim, module, session, token, key):
    shim.protect_from_writes()
    encrypted(module, session, key)
    assert TokenFlag.WRITE_PROTECTED in module.token_info(token.slot).flags
    for call in (lambda: make_key(module, session, b"new"), lambda: module.destroy_object(session, key)):
        with pytest.raises(cryptoki.TokenWriteProtectedError):
            call()
    module.generate_key(session, AesKeyGen(), {A.VALUE_LEN: 32, A.TOKEN: False})


def test_a_vendors_narrow_rules(shim, module, session, token, key):
    shim.refuse_read_only_sessions()
    with pytest.raises(cryptoki.FunctionFailedError):
        module.open_session(token.slot, read_write=False)
    shim.limit_data(8)
    with pytest.raises(cryptoki.DataLenRangeError):
        encrypted(module, session, key)
    shim.refuse_attribute(A.ID, "CKR_TEMPLATE_INCONSISTENT")
    with pytest.raises(cryptoki.TemplateInconsistentError):
        make_key(module, session, b"refused")


_IN_A_PROCESS = """
import os, sys
from strongroom.hsm.cryptoki import CryptokiNotInitializedError, Module
module = Module.load(sys.argv[1])
session = module.open_session(module.slots()[0])
if sys.argv[2] == "fork":
    child = os.fork()
    if not child:
        try:
            module.generate_random(session, 8)
        except CryptokiNotInitializedError:
            os._exit(7)
        os._exit(0)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
for _ in range(3):
    module.generate_random(session, 8)
    print("called", flush=True)
"""


def _in_a_process(shim, what):
    command = [sys.executable, "-c", _IN_A_PROCESS, str(shim.library), what]
    return subprocess.run(
        command, env=dict(os.environ), capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("order", "status"), [("crash", -signal.SIGABRT), ("exit", 3)], ids=["abort", "exit"]
)
def test_a_process_ends_in_the_nth_call(shim, token, order, status):
    getattr(shim, order)("C_GenerateRandom", nth=3)
    ended = _in_a_process(shim, "call")
    assert ended.returncode == status
    assert ended.stdout.count("called") == 2


def test_orders_reach_other_processes_and_their_calls_are_counted(shim, token):
    before = shim.calls("C_GenerateRandom")
    shim.print_at_start()
    ended = _in_a_process(shim, "call")
    assert "Vendor PKCS#11 library" in ended.stdout
    assert shim.calls("C_GenerateRandom") == before + 3


def test_a_child_after_fork_is_not_initialised(shim, token):
    before = shim.count("foreign_calls")
    assert _in_a_process(shim, "fork").returncode == 7
    assert shim.count("foreign_calls") == before + 1


def test_many_threads_use_it_at_once(shim, module, token, session, key):
    wrong = []

    def work():
        own = module.open_session(token.slot)
        for number in range(150):
            iv = number.to_bytes(12, "big")
            sealed = module.encrypt(own, AesGcm(iv, b""), key, DATA)
            if module.decrypt(own, AesGcm(iv, b""), key, sealed) != DATA:
                wrong.append(number)
        module.close_session(own)

    shim.delay("C_Encrypt", 0.001, chance=0.1)
    before, overlaps = shim.calls("C_Encrypt"), shim.count("overlaps")
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert shim.calls("C_Encrypt") - before == 8 * 150
    assert shim.count("overlaps") == overlaps


def test_an_orders_file_that_is_none_is_refused(tmp_path):
    with FaultShim(tmp_path / "one", softhsm_library()) as shim:
        library = shim.library.rename(tmp_path / "elsewhere.so")
        with pytest.raises(cryptoki.ModuleLoadError):
            Module.load(str(library))
