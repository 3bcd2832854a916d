"""The states into which the fault shim brings a device: link, token, login, PINs, sessions, keys, limits."""

import time

import pytest

from faults.shimmed_softhsm import DATA, IV, A, encrypted, make_key, slot_of
from strongroom.hsm import cryptoki
from strongroom.hsm.cryptoki import (
    AesGcm,
    AesKeyGen,
    DeviceError,
    DeviceRemovedError,
    KeyHandleInvalidError,
    Module,
    PinIncorrectError,
    PinLockedError,
    SessionCountError,
    SessionHandleInvalidError,
    SessionState,
    TokenFlag,
    TokenNotPresentError,
    UserNotLoggedInError,
    UserType,
)

pytestmark = pytest.mark.softhsm


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
