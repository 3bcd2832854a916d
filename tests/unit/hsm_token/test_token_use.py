"""Use verbs on a module that breaks on command: what heals, what condemns the process, who gets the blame."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures_token import AAD, KEY, ROOT, FakeModule, open_token
from strongroom.core import (
    HsmError,
    HsmIntegrityError,
    HsmKeyNotFoundError,
    HsmRequestError,
    MemberFailedError,
    RootId,
    Secret,
    WrapAlgorithm,
    WrappedBytes,
)
from strongroom.hsm import cryptoki
from strongroom.hsm.cryptoki import Attribute
from strongroom.hsm.token import KeyCheckValue


def only_work_session(module):
    return max(module.sessions)


def test_what_was_wrapped_unwraps_and_every_wrap_has_its_own_iv(token):
    first, second = token.wrap(ROOT, KEY, AAD), token.wrap(ROOT, KEY, AAD)
    assert first.iv != second.iv
    assert (len(first.iv), len(first.tag), len(first.ciphertext)) == (12, 16, 32)
    assert token.unwrap(ROOT, first, AAD).matches(KEY)


@pytest.mark.parametrize("field", ["iv", "ciphertext", "tag"])
def test_a_changed_blob_is_an_integrity_error_and_the_token_stays_in_service(token, field):
    wrapped = token.wrap(ROOT, KEY, AAD)
    value = bytearray(getattr(wrapped, field))
    value[0] ^= 1
    with pytest.raises(HsmIntegrityError):
        token.unwrap(ROOT, wrapped._replace(**{field: bytes(value)}), AAD)
    assert not token.is_broken
    assert token.unwrap(ROOT, wrapped, AAD).matches(KEY)


def test_another_aad_is_an_integrity_error(token):
    with pytest.raises(HsmIntegrityError):
        token.unwrap(ROOT, token.wrap(ROOT, KEY, AAD), AAD + b"!")


def test_a_named_bad_tag_is_an_integrity_error_without_a_probe(token, module):
    wrapped = token.wrap(ROOT, KEY, AAD)
    module.faults["decrypt"].append(cryptoki.EncryptedDataInvalidError)
    module.faults["encrypt"].append(cryptoki.DeviceError)  # a probe would trip over it
    with pytest.raises(HsmIntegrityError):
        token.unwrap(ROOT, wrapped, AAD)


def test_one_stray_general_error_on_a_decryption_is_no_tampering(token, module):
    wrapped = token.wrap(ROOT, KEY, AAD)
    module.faults["decrypt"].append(cryptoki.GeneralError)
    assert token.unwrap(ROOT, wrapped, AAD).matches(KEY)


def test_a_member_that_fails_the_known_answer_is_blamed_instead_of_the_blob(token, module):
    wrapped = token.wrap(ROOT, KEY, AAD)
    module.faults["decrypt"].extend([cryptoki.GeneralError] * 9)
    with pytest.raises(MemberFailedError):
        token.unwrap(ROOT, wrapped, AAD)
    assert token.is_broken


def test_a_probe_that_cannot_run_blames_the_member(token, module):
    wrapped = token.wrap(ROOT, KEY, AAD)
    module.faults["decrypt"].extend([cryptoki.GeneralError] * 2)
    module.faults["encrypt"].extend([cryptoki.DeviceError] * 3)
    with pytest.raises(MemberFailedError):
        token.unwrap(ROOT, wrapped, AAD)
    assert token.is_broken


@pytest.mark.parametrize(
    "error", [cryptoki.FunctionFailedError, cryptoki.DeviceMemoryError, cryptoki.SessionCountError]
)
def test_a_busy_member_is_not_condemned(token, module, error):
    module.faults["generate_random"].append(error)
    with pytest.raises(MemberFailedError) as caught:
        token.random(8)
    assert caught.value.ckr == error.code
    assert not token.is_broken


@pytest.mark.parametrize(
    "error",
    [
        cryptoki.MechanismInvalidError,
        cryptoki.MechanismParamInvalidError,
        cryptoki.KeyFunctionNotPermittedError,
        cryptoki.KeySizeRangeError,
        cryptoki.DataLenRangeError,
        cryptoki.ArgumentsBadError,
        cryptoki.FunctionNotSupportedError,
        cryptoki.ActionProhibitedError,
    ],
)
@pytest.mark.parametrize("is_second_try", [False, True])
def test_a_sound_request_that_a_member_calls_wrong_is_for_another_member(token, module, error, is_second_try):
    wrapped = token.wrap(ROOT, KEY, AAD)
    for fault, call in (
        ("encrypt", lambda: token.wrap(ROOT, KEY, AAD)),
        ("decrypt", lambda: token.unwrap(ROOT, wrapped, AAD)),
        ("generate_random", lambda: token.random(8)),
        ("find_objects", lambda: token.has_root(ROOT)),
    ):
        module.faults[fault].extend([cryptoki.SessionHandleInvalidError, error] if is_second_try else [error])
        with pytest.raises(MemberFailedError) as caught:
            call()
        assert caught.value.ckr == error.code
        assert "other members" in caught.value.next_step
    assert not token.is_broken


def test_a_wrong_admin_request_is_wrong_on_every_member(module):
    module.faults["generate_key"].append(cryptoki.TemplateInconsistentError)
    token = open_token(module)
    with pytest.raises(HsmRequestError):
        token.generate_root(ROOT, "root")
    assert not token.is_broken


def test_a_blob_that_does_not_authenticate_stays_final(token, module):
    wrapped = token.wrap(ROOT, KEY, AAD)
    for error in (
        cryptoki.EncryptedDataInvalidError,
        cryptoki.EncryptedDataLenRangeError,
        cryptoki.AeadDecryptFailedError,
    ):
        module.faults["decrypt"].append(error)
        with pytest.raises(HsmIntegrityError):
            token.unwrap(ROOT, wrapped, AAD)


def test_any_error_throws_the_session_away(token, module):
    token.random(8)
    opened = module.opened
    module.faults["generate_random"].append(cryptoki.FunctionFailedError)
    with pytest.raises(MemberFailedError):
        token.random(8)
    token.random(8)
    token.random(8)
    assert module.opened == opened + 1


def test_a_session_closed_by_somebody_else_heals(token, module):
    token.random(8)
    module.close_session(only_work_session(module))
    token.wrap(ROOT, KEY, AAD)
    assert not token.is_broken


def test_a_root_that_got_another_handle_is_found_again(token, module):
    wrapped = token.wrap(ROOT, KEY, AAD)
    objects = module.tokens[0].objects
    objects[999] = objects.pop(min(objects))
    assert token.unwrap(ROOT, wrapped, AAD).matches(KEY)


def test_an_absent_root_and_a_root_held_twice_are_told_apart(token, module):
    with pytest.raises(HsmKeyNotFoundError):
        token.wrap(RootId(bytes(16)), KEY, AAD)
    assert not token.has_root(RootId(bytes(16)))
    assert token.has_root(ROOT)
    objects = module.tokens[0].objects
    objects[999] = dict(objects[min(objects)])
    for call in (lambda: token.has_root(ROOT), lambda: token.root_check_value(ROOT)):
        with pytest.raises(MemberFailedError, match="more than one"):
            call()
    assert not token.is_broken


def test_a_lost_login_is_not_mistaken_for_a_missing_root(token, module):
    module.tokens[0].user = None
    assert token.has_root(ROOT)
    assert not token.has_root(RootId(bytes(16)))


def test_a_ghost_is_listed_and_harms_nothing(token, module):
    module.tokens[0].objects[999] = {Attribute.TOKEN: True, "ghost": True}
    assert [(found.object_class, found.is_ghost) for found in token.list_objects()] == [
        ("secret_key", False),
        ("-", True),
    ]


@pytest.mark.parametrize(
    "wrapped",
    [
        WrappedBytes(WrapAlgorithm.HSM_AES_GCM, b"i" * 11, b"c", b"t" * 16),
        WrappedBytes(WrapAlgorithm.HSM_AES_GCM, b"i" * 12, b"c", b"t" * 15),
        WrappedBytes(WrapAlgorithm.HSM_AES_GCM, b"i" * 12, b"", b"t" * 16),
        WrappedBytes(WrapAlgorithm.HSM_AES_GCM, b"i" * 12, b"c" * 4097, b"t" * 16),
        WrappedBytes(WrapAlgorithm.XAES_256_GCM, b"i" * 12, b"c", b"t" * 16),
    ],
)
def test_a_blob_of_impossible_shape_never_reaches_the_module(token, module, wrapped):
    module.faults["decrypt"].append(AssertionError)
    with pytest.raises(HsmRequestError):
        token.unwrap(ROOT, wrapped, AAD)


@given(
    blob=st.tuples(st.binary(max_size=20), st.binary(max_size=64), st.binary(max_size=20)), aad=st.binary()
)
def test_no_foreign_blob_ever_unwraps_or_condemns_the_token(blob, aad):
    token = open_token(FakeModule("a"))
    token.generate_root(ROOT, "root")
    with pytest.raises(HsmRequestError):
        token.unwrap(ROOT, WrappedBytes(WrapAlgorithm.HSM_AES_GCM, *blob), aad)
    assert not token.is_broken


@pytest.mark.parametrize("n_bytes", [0, 1025, -1])
def test_random_of_an_impossible_size_is_refused(token, n_bytes):
    with pytest.raises(HsmRequestError):
        token.random(n_bytes)


def test_empty_and_over_long_keys_and_wrong_root_ids_are_refused(token):
    for root_id, key, aad in (
        (ROOT, Secret(b""), AAD),
        (ROOT, Secret(bytes(4097)), AAD),
        (ROOT, KEY, bytes(8193)),
        (RootId(b"short"), KEY, AAD),
    ):
        with pytest.raises(HsmRequestError):
            token.wrap(root_id, key, aad)


def test_a_root_is_never_generated_over_another(token):
    with pytest.raises(HsmRequestError, match="already holds"):
        token.generate_root(ROOT, "again")


def test_generating_is_never_repeated(module):
    token = open_token(module)
    module.faults["generate_key"].append(cryptoki.SessionHandleInvalidError)
    with pytest.raises(MemberFailedError):
        token.generate_root(ROOT, "root")
    assert module.tokens[0].objects == {}
    assert not token.is_broken


def test_a_root_with_another_attribute_than_told_is_destroyed(module):
    token = open_token(module)
    keep = module.generate_key
    module.generate_key = lambda session, mechanism, template: keep(
        session, mechanism, {**template, Attribute.SENSITIVE: False}
    )
    with pytest.raises(HsmError, match="CKA_SENSITIVE"):
        token.generate_root(ROOT, "root")
    assert module.tokens[0].objects == {}


def test_a_root_whose_attributes_cannot_be_read_back_is_destroyed(module):
    token = open_token(module)
    module.faults["get_attributes"].append(cryptoki.FunctionFailedError)
    with pytest.raises(MemberFailedError):
        token.generate_root(ROOT, "root")
    assert module.tokens[0].objects == {}


def test_the_check_value_names_its_kind(token, module):
    (root,) = module.tokens[0].objects.values()
    assert token.root_check_value(ROOT) == KeyCheckValue("CKA_CHECK_VALUE", root["key"][:3].hex())
