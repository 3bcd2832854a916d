"""``hsm.cryptoki`` on a real SoftHSM: tokens, sessions, login, objects, attributes, random numbers."""

from datetime import date

import pytest

from fixtures_softhsm import loaded_softhsm, user_session
from strongroom.hsm.cryptoki import (
    ActionProhibitedError,
    AesCbc,
    AesGcm,
    AesKeyGen,
    AesKeyWrap,
    Attribute,
    AttributeReadOnlyError,
    AttributeSensitiveError,
    BufferTooSmallError,
    CryptokiError,
    CryptokiNotInitializedError,
    EncryptedDataLenRangeError,
    GeneralError,
    HashAlgorithm,
    KeyHandleInvalidError,
    KeyNotWrappableError,
    KeyType,
    KeyUnextractableError,
    MechanismFlag,
    MechanismInvalidError,
    MechanismType,
    Module,
    ObjectClass,
    ObjectHandleInvalidError,
    PinIncorrectError,
    PinLenRangeError,
    RsaKeyPairGen,
    RsaOaep,
    SessionExistsError,
    SessionFlag,
    SessionHandleInvalidError,
    SessionReadOnlyError,
    SessionState,
    SlotIdInvalidError,
    TemplateIncompleteError,
    TemplateInconsistentError,
    TokenFlag,
    UserAlreadyLoggedInError,
    UserAnotherAlreadyLoggedInError,
    UserNotLoggedInError,
    UserPinNotInitializedError,
    UserType,
)

pytestmark = pytest.mark.softhsm
A = Attribute
GCM = AesGcm(b"i" * 12, b"aad")


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    with loaded_softhsm(tmp_path_factory.mktemp("softhsm")) as loaded:
        yield loaded


@pytest.fixture
def user(tokens):
    with user_session(tokens) as session:
        yield session


def aes(**changed):
    usual = {
        "CLASS": ObjectClass.SECRET_KEY, "KEY_TYPE": KeyType.AES, "VALUE_LEN": 32, "TOKEN": False,
        "PRIVATE": True, "SENSITIVE": True, "EXTRACTABLE": False, "ENCRYPT": True, "DECRYPT": True,
    }  # fmt: skip
    return {A[name]: value for name, value in (usual | changed).items() if value is not None}


def test_the_library_says_who_it_is(tokens):
    info = tokens.module.library_info()
    assert (info.manufacturer, info.cryptoki_version.major) == ("SoftHSM", 2)
    assert str(info.cryptoki_version) == "2.40"
    assert not tokens.module.has_function("C_SessionCancel")
    assert tokens.module.has_function("C_WrapKey")


def test_a_fresh_token_is_ready_for_its_user(tokens):
    token = tokens.new()
    info = tokens.module.token_info(token.slot)
    assert info.label == token.label
    assert len(info.serial) == 16
    assert info.flags & TokenFlag.TOKEN_INITIALIZED
    assert info.flags & TokenFlag.USER_PIN_INITIALIZED
    assert not info.flags & (TokenFlag.USER_PIN_LOCKED | TokenFlag.USER_PIN_COUNT_LOW)
    assert tokens.module.slot_info(token.slot).flags & 1
    assert token.slot in tokens.module.slots()


def test_mechanisms_are_listed_with_their_uses(user):
    found = user.module.mechanisms(user.token.slot)
    assert {MechanismType.AES_GCM, MechanismType.AES_KEY_WRAP, MechanismType.RSA_PKCS_OAEP} <= found
    gcm = user.module.mechanism_info(user.token.slot, MechanismType.AES_GCM)
    assert gcm.flags & MechanismFlag.ENCRYPT
    assert (gcm.min_key_size, gcm.max_key_size) == (16, 32)
    with pytest.raises(MechanismInvalidError):
        user.module.mechanism_info(user.token.slot, 0x80001234)


def test_a_slot_that_is_not_there_is_refused(tokens):
    for call in (tokens.module.token_info, tokens.module.open_session, tokens.module.mechanisms):
        with pytest.raises(SlotIdInvalidError):
            call(987654)


def test_login_takes_the_right_pin_and_user_once(tokens):
    token, module = tokens.new(), tokens.module
    session = module.open_session(token.slot)
    try:
        with pytest.raises(PinIncorrectError):
            module.login(session, UserType.USER, b"wrong-pin")
        assert module.token_info(token.slot).flags & TokenFlag.USER_PIN_COUNT_LOW
        assert module.session_info(session).state is SessionState.RW_PUBLIC_SESSION
        module.login(session, UserType.USER, token.user_pin)
        assert not module.token_info(token.slot).flags & TokenFlag.USER_PIN_COUNT_LOW
        with pytest.raises(UserAlreadyLoggedInError):
            module.login(session, UserType.USER, token.user_pin)
        with pytest.raises(UserAnotherAlreadyLoggedInError):
            module.login(session, UserType.SECURITY_OFFICER, token.so_pin)
        module.logout(session)
        with pytest.raises(UserNotLoggedInError):
            module.generate_key(session, AesKeyGen(), aes())
    finally:
        module.close_all_sessions(token.slot)


def test_a_token_without_a_user_pin_takes_no_user(tokens):
    module = tokens.module
    slot = module.slots()[-1]
    module.init_token(slot, b"so-pin-1234", "no user yet")
    session = module.open_session(slot)
    try:
        with pytest.raises(UserPinNotInitializedError):
            module.login(session, UserType.USER, b"1234")
        module.login(session, UserType.SECURITY_OFFICER, b"so-pin-1234")
        assert module.session_info(session).state is SessionState.RW_SO_FUNCTIONS
        with pytest.raises(PinLenRangeError):
            module.init_pin(session, b"123")
        module.init_pin(session, b"1234")
    finally:
        module.close_all_sessions(slot)


def test_a_pin_is_changed_by_who_knows_it(user):
    module, session = user.module, user.session
    with pytest.raises(PinIncorrectError):
        module.set_pin(session, b"wrong-pin", b"new-pin")
    module.set_pin(session, user.token.user_pin, b"new-pin")
    module.logout(session)
    with pytest.raises(PinIncorrectError):
        module.login(session, UserType.USER, user.token.user_pin)
    module.login(session, UserType.USER, b"new-pin")


def test_initialising_erases_and_wants_the_old_security_officer(tokens):
    token, module = tokens.new(), tokens.module
    session = module.open_session(token.slot)
    with pytest.raises(SessionExistsError):
        module.init_token(token.slot, token.so_pin, "again")
    module.close_session(session)
    with pytest.raises(PinIncorrectError):
        module.init_token(token.slot, b"another pin", "again")
    module.init_token(token.slot, token.so_pin, "ü" * 16)
    assert module.token_info(token.slot).label == "ü" * 16


def test_sessions_know_their_state_and_end(user):
    module, slot = user.module, user.token.slot
    reading = module.open_session(slot, read_write=False)
    assert module.session_info(reading).state is SessionState.RO_USER_FUNCTIONS
    assert module.session_info(reading).flags == SessionFlag.SERIAL_SESSION
    assert module.session_info(user.session).slot == slot
    with pytest.raises(SessionReadOnlyError):
        module.generate_key(reading, AesKeyGen(), aes(TOKEN=True))
    module.close_session(reading)
    for call in (module.session_info, module.close_session):
        with pytest.raises(SessionHandleInvalidError):
            call(reading)


def test_random_bytes_have_the_length_asked_for_and_differ(user):
    assert user.module.generate_random(user.session, 1) != b""
    long = [user.module.generate_random(user.session, 5000) for _ in range(2)]
    assert [len(item) for item in long] == [5000, 5000]
    assert long[0] != long[1]


def test_attributes_are_read_with_their_types_and_secrets_are_absent(user):
    # A public object: SoftHSM 2.6.1 answers CKR_GENERAL_ERROR when the dates of a private one are read.
    dates = {"START_DATE": date(2026, 1, 2), "END_DATE": date(2036, 11, 30), "PRIVATE": False}
    template = aes(LABEL="Schlüssel", ID=b"\x00\x01", VALUE=bytes(32), VALUE_LEN=None, **dates)
    key = user.module.create_object(user.session, template)
    wanted = [
        *template,
        A.LOCAL,
        A.ALWAYS_SENSITIVE,
        A.MODULUS,
        A.VALUE_LEN,
        A.CHECK_VALUE,
        A.ALLOWED_MECHANISMS,
    ]
    answer = user.module.get_attributes(user.session, key, wanted)
    assert A.VALUE not in answer
    assert A.MODULUS not in answer
    expected = {name: value for name, value in template.items() if name is not A.VALUE}
    assert {name: answer[name] for name in expected} == expected
    assert (answer[A.LOCAL], answer[A.VALUE_LEN], answer[A.ALLOWED_MECHANISMS]) == (False, 32, ())
    assert answer[A.CHECK_VALUE] == bytes.fromhex("dc95c0")  # AES-256 of a zero block under a zero key


def test_a_value_longer_than_usual_is_stored_and_read(user):
    long = bytes(range(256)) * 50
    template = {A.CLASS: ObjectClass.DATA, A.TOKEN: False, A.LABEL: "l" * 700, A.VALUE: long}
    data = user.module.create_object(user.session, template)
    assert user.module.get_attributes(user.session, data, [*template, A.MODULUS]) == template


def test_allowed_mechanisms_are_written_read_and_enforced(user):
    allowed = (MechanismType.AES_GCM, MechanismType.AES_CMAC)
    key = user.module.generate_key(user.session, AesKeyGen(), aes(ALLOWED_MECHANISMS=allowed))
    answer = user.module.get_attributes(user.session, key, [A.ALLOWED_MECHANISMS])
    assert set(answer[A.ALLOWED_MECHANISMS]) == set(allowed)
    assert len(user.module.encrypt(user.session, GCM, key, b"data")) == 20
    with pytest.raises(MechanismInvalidError):
        user.module.encrypt(user.session, AesCbc(bytes(16)), key, bytes(16))


def test_a_template_for_what_is_unwrapped_is_written_read_and_enforced(user):
    module, session = user.module, user.session
    inside = {A.SENSITIVE: True, A.KEY_TYPE: KeyType.AES, A.ID: b"\xa5", A.WRAP: False}
    private = {A.TOKEN: False, A.UNWRAP: True, A.UNWRAP_TEMPLATE: inside}
    public = {A.TOKEN: False, A.MODULUS_BITS: 2048, A.WRAP: True}
    wrapping, unwrapping = module.generate_key_pair(session, RsaKeyPairGen(), public=public, private=private)
    assert module.get_attributes(session, unwrapping, (A.UNWRAP_TEMPLATE, A.UNWRAP)) == {
        A.UNWRAP_TEMPLATE: inside, A.UNWRAP: True,
    }  # fmt: skip
    oaep = RsaOaep(HashAlgorithm.SHA1)
    key = module.generate_key(session, AesKeyGen(), aes(EXTRACTABLE=True))
    wrapped = module.wrap_key(session, oaep, wrapping_key=wrapping, key=key)
    obedient = {A.CLASS: ObjectClass.SECRET_KEY, A.TOKEN: False, **inside}
    for template in ({**obedient, A.SENSITIVE: False}, {n: v for n, v in obedient.items() if n != A.WRAP}):
        with pytest.raises(TemplateInconsistentError):
            module.unwrap_key(session, oaep, unwrapping_key=unwrapping, wrapped=wrapped, template=template)
    module.unwrap_key(session, oaep, unwrapping_key=unwrapping, wrapped=wrapped, template=obedient)


def test_objects_are_found_by_what_they_are_and_never_more_than_asked_for(user):
    module, session = user.module, user.session
    keys = [module.generate_key(session, AesKeyGen(), aes(LABEL="many", ID=bytes([n]))) for n in range(5)]
    assert sorted(module.find_objects(session, {A.LABEL: "many"})) == sorted(keys)
    assert module.find_objects(session, {A.LABEL: "many", A.ID: b"\x03"}) == [keys[3]]
    assert len(module.find_objects(session, {A.LABEL: "many"}, limit=2)) == 2
    assert module.find_objects(session, {A.LABEL: "none"}) == []
    assert set(keys) <= set(module.find_objects(session, {}))


def test_objects_are_copied_changed_and_destroyed(user):
    module, session = user.module, user.session
    key = module.generate_key(session, AesKeyGen(), aes(LABEL="first", COPYABLE=True))
    copied = module.copy_object(session, key, {A.LABEL: "second"})
    assert module.encrypt(session, GCM, key, b"x") == module.encrypt(session, GCM, copied, b"x")
    module.set_attributes(session, copied, {A.LABEL: "third"})
    assert module.get_attributes(session, copied, [A.LABEL]) == {A.LABEL: "third"}
    with pytest.raises((AttributeReadOnlyError, AttributeSensitiveError)):
        module.set_attributes(session, copied, {A.SENSITIVE: False})
    module.destroy_object(session, copied)
    for call in (module.destroy_object, lambda s, o: module.get_attributes(s, o, [A.ID])):
        with pytest.raises(ObjectHandleInvalidError):
            call(session, copied)
    with pytest.raises((KeyHandleInvalidError, ObjectHandleInvalidError)):
        module.encrypt(session, GCM, copied, b"x")
    assert module.encrypt(session, GCM, key, b"x")


def test_objects_that_must_not_be_destroyed_are_not(user):
    key = user.module.generate_key(user.session, AesKeyGen(), aes(DESTROYABLE=False))
    with pytest.raises(ActionProhibitedError):
        user.module.destroy_object(user.session, key)


def test_keys_that_must_stay_stay(user):
    module, session = user.module, user.session
    wrapping = module.generate_key(session, AesKeyGen(), aes(WRAP=True, UNWRAP=True))
    for changed, error in (
        ({"EXTRACTABLE": False}, KeyUnextractableError),
        ({"EXTRACTABLE": True, "WRAP_WITH_TRUSTED": True}, KeyNotWrappableError),
    ):
        key = module.generate_key(session, AesKeyGen(), aes(**changed))
        with pytest.raises(error):
            module.wrap_key(session, AesKeyWrap(), wrapping_key=wrapping, key=key)


def test_incomplete_templates_and_wrong_lengths_are_refused(user):
    module, session = user.module, user.session
    with pytest.raises(TemplateIncompleteError):
        module.generate_key(session, AesKeyGen(), aes(VALUE_LEN=None))
    key = module.generate_key(session, AesKeyGen(), aes())
    with pytest.raises(EncryptedDataLenRangeError):
        module.decrypt(session, AesCbc(bytes(16)), key, b"short")


@pytest.mark.parametrize("changed", ["ciphertext", "tag", "aad", "iv"])
def test_a_failed_decryption_ends_the_operation_and_the_session_works_on(user, changed):
    module, session = user.module, user.session
    key = module.generate_key(session, AesKeyGen(), aes())
    good = module.encrypt(session, GCM, key, b"data")
    blob = {"ciphertext": b"\x00" + good[1:], "tag": good[:-1] + bytes([good[-1] ^ 1])}.get(changed, good)
    mechanism = {"aad": AesGcm(GCM.iv, b"other"), "iv": AesGcm(b"j" * 12, b"aad")}.get(changed, GCM)
    for _ in range(3):
        with pytest.raises(GeneralError):  # SoftHSM 2.6.1; 2.7.0 raises EncryptedDataInvalidError
            module.decrypt(session, mechanism, key, blob)
        assert module.decrypt(session, GCM, key, good) == b"data"


def test_large_data_go_through_in_one_part(user):
    key = user.module.generate_key(user.session, AesKeyGen(), aes())
    data = bytes(range(256)) * 4096
    for mechanism in (AesGcm(b"i" * 12, bytes(5000)), AesCbc(bytes(16))):
        ciphertext = user.module.encrypt(user.session, mechanism, key, data)
        assert user.module.decrypt(user.session, mechanism, key, ciphertext) == data


def test_a_finalized_module_refuses_everything_until_it_is_loaded_again(tmp_path):
    with loaded_softhsm(tmp_path) as tokens:
        token, module = tokens.new(), tokens.module
        session = module.open_session(token.slot)
        serial = module.token_info(token.slot).serial
        module.finalize()
        for call in (module.slots, module.library_info, lambda: module.session_info(session)):
            with pytest.raises(CryptokiNotInitializedError):
                call()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SOFTHSM2_CONF", str(tokens.env.conf))
            again = Module.load(module.path)
            with pytest.raises(CryptokiError, match="ALREADY_INITIALIZED"):
                Module.load(module.path)
        with pytest.raises(SessionHandleInvalidError):
            again.session_info(session)
        assert serial in {again.token_info(slot).serial for slot in again.slots()}


def test_a_buffer_error_is_never_what_a_caller_sees(user):
    key = user.module.generate_key(user.session, AesKeyGen(), aes())
    try:
        for size in (0, 1, 15, 16, 17, 3055, 3056, 3057, 4096, 70000):
            ciphertext = user.module.encrypt(user.session, GCM, key, bytes(size))
            assert user.module.decrypt(user.session, GCM, key, ciphertext) == bytes(size)
    except BufferTooSmallError:
        pytest.fail("the room for the answer was too small")
