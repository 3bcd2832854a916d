"""Direct keys on tokens that lack something, lie, or lose an answer: nothing half made counts, nothing is left."""

import hashlib

import pytest

from fixtures_direct_keys import a_key, made, token_maker
from strongroom.core import (
    HsmError,
    HsmIntegrityError,
    HsmRequestError,
    KeySpec,
    KeyUsage,
    MemberFailedError,
    OaepAlgorithm,
    Secret,
    random_bytes,
)
from strongroom.hsm import cryptoki
from strongroom.hsm.cryptoki import Attribute, MechanismType, RsaRaw
from strongroom.hsm.public_keys import encrypt_oaep

pytestmark = pytest.mark.softhsm
A = Attribute


@pytest.fixture(scope="module")
def open_new(module):
    with token_maker(module) as make:
        yield make


def test_a_missing_mechanism_is_named_and_nothing_is_made(open_new):
    lacking = {MechanismType.ECDSA, MechanismType.SHA256_HMAC, MechanismType.EC_EDWARDS_KEY_PAIR_GEN}
    token = open_new(mechanisms=lambda real, slot: real(slot) - lacking)
    for spec, usage, name in (
        (KeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY, "CKM_ECDSA"),
        (KeySpec.HMAC_256, None, "CKM_SHA256_HMAC"),
        (KeySpec.ECC_NIST_EDWARDS25519, None, "CKM_EC_EDWARDS_KEY_PAIR_GEN"),
    ):
        with pytest.raises(HsmRequestError, match=f"{name}$|{name} "):
            made(token, spec, usage)
    assert token.list_objects() == []
    assert made(token, KeySpec.ECC_NIST_P256, KeyUsage.KEY_AGREEMENT)


def test_a_curve_that_the_token_does_not_have_is_told_at_creation(open_new):
    def no_curve(real, *args, **kwargs):
        raise cryptoki.CurveNotSupportedError(function="C_GenerateKeyPair")

    token = open_new(generate_key_pair=no_curve)
    with pytest.raises(HsmRequestError, match="makes no key of ECC_SECG_P256K1"):
        made(token, KeySpec.ECC_SECG_P256K1)


def lies_about_extractable(real, session, handle, names):
    found = real(session, handle, names)
    return {**found, A.EXTRACTABLE: True} if A.EXTRACTABLE in found else found


@pytest.mark.parametrize("spec", [KeySpec.AES_256, KeySpec.ECC_NIST_P256])
def test_a_key_with_other_attributes_than_it_was_told_is_destroyed(open_new, spec):
    token = open_new(get_attributes=lies_about_extractable)
    with pytest.raises(HsmError, match="CKA_EXTRACTABLE"):
        made(token, spec, may_leave=False)
    assert token.list_objects() == []


def flipped(real, *args):
    answer = real(*args)
    return answer[:-1] + bytes([answer[-1] ^ 1])


@pytest.mark.parametrize(
    ("spec", "usage", "method", "override"),
    [
        (KeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY, "sign", flipped),
        (KeySpec.ECC_NIST_EDWARDS25519, None, "sign", flipped),
        (KeySpec.RSA_2048, KeyUsage.SIGN_VERIFY, "sign", flipped),
        (KeySpec.HMAC_256, None, "sign", lambda real, *args: bytes(32)),
        (KeySpec.HMAC_256, None, "sign", lambda real, s, m, k, data: hashlib.sha256(data).digest()),
        (KeySpec.HMAC_256, None, "sign", lambda real, *args: random_bytes(32)),
        (KeySpec.AES_256, None, "decrypt", flipped),
        (KeySpec.RSA_2048, KeyUsage.ENCRYPT_DECRYPT, "decrypt", flipped),
    ],
)
def test_a_key_whose_answers_are_wrong_does_not_count_as_made(open_new, spec, usage, method, override):
    token = open_new(**{method: override})
    with pytest.raises(HsmError, match="wrong answers"):
        made(token, spec, usage)
    assert token.list_objects() == []


def test_an_agreement_that_is_wrong_does_not_count_as_made(open_new):
    def other_secret(real, session, handle, names):
        return {A.VALUE: bytes(32)} if names == (A.VALUE,) else real(session, handle, names)

    token = open_new(get_attributes=other_secret)
    with pytest.raises(HsmError, match="wrong answers"):
        made(token, KeySpec.ECC_NIST_P256, KeyUsage.KEY_AGREEMENT)
    assert token.list_objects() == []


def test_a_key_that_the_token_only_says_it_destroyed_is_told(open_new):
    token = open_new(destroy_object=lambda real, session, handle: None)
    key, _ = made(token, KeySpec.AES_256)
    with pytest.raises(HsmError, match="still shows it"):
        token.direct.destroy(key)


def then_fail_once(error):
    """Do the work, and say once that it failed: the answer got lost."""
    failed = []

    def override(real, *args, **kwargs):
        answer = real(*args, **kwargs)
        if not failed:
            failed.append(True)
            raise error
        return answer

    return override


@pytest.mark.parametrize("error", [cryptoki.SessionClosedError, cryptoki.GeneralError])
def test_a_key_whose_making_was_not_confirmed_is_undone(open_new, error):
    token = open_new(generate_key_pair=then_fail_once(error(function="C_GenerateKeyPair")))
    key = a_key(KeySpec.ECC_NIST_P256)
    with pytest.raises(HsmError):
        token.direct.generate(key, "test", may_leave=True)
    assert token.list_objects() == []
    assert token.direct.generate(key, "test", may_leave=True)


@pytest.mark.parametrize("error", [cryptoki.GeneralError, cryptoki.DeviceMemoryError])
def test_making_a_key_again_that_fails_half_way_does_no_harm_to_the_one_that_is_there(open_new, error):
    failing = []

    def mechanisms(real, slot):
        if failing:
            raise error(function="C_GetMechanismList")
        return real(slot)

    token = open_new(mechanisms=mechanisms)
    key, _ = made(token, KeySpec.HMAC_256)
    failing.append(True)
    with pytest.raises(HsmError):
        token.direct.generate(key, "again", may_leave=True)
    assert token.direct.holds(key)


@pytest.mark.parametrize("error", [cryptoki.SessionClosedError, cryptoki.GeneralError])
def test_what_is_left_when_destroying_broke_off_can_be_destroyed(open_new, error):
    token = open_new(destroy_object=then_fail_once(error(function="C_DestroyObject")))
    key, _ = made(token, KeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY)
    with pytest.raises(HsmError):
        token.direct.destroy(key)
    token.direct.destroy(key)
    assert token.list_objects() == []


def test_a_destruction_whose_answer_got_lost_is_looked_up(open_new):
    token = open_new(destroy_object=then_fail_once(cryptoki.SessionClosedError(function="C_DestroyObject")))
    key, _ = made(token, KeySpec.AES_256)
    token.direct.destroy(key)
    assert token.list_objects() == []


def test_oaep_is_refused_where_the_token_has_neither_it_nor_plain_rsa(open_new):
    def no_raw(real, session, mechanism, key, data):
        if isinstance(mechanism, RsaRaw):
            raise cryptoki.MechanismInvalidError(function="C_DecryptInit")
        return real(session, mechanism, key, data)

    token = open_new(decrypt=no_raw)  # SoftHSM 2.6.1 has no OAEP with SHA-256
    with pytest.raises(HsmRequestError, match="CKR_MECHANISM_INVALID"):
        made(token, KeySpec.RSA_2048, KeyUsage.ENCRYPT_DECRYPT)
    assert token.list_objects() == []


@pytest.mark.parametrize(
    ("error", "gives_up"), [(cryptoki.GeneralError, True), (cryptoki.FunctionFailedError, False)]
)
@pytest.mark.parametrize("spec", [KeySpec.RSA_2048, KeySpec.AES_256])
def test_a_token_that_decrypts_nothing_is_to_blame_not_the_ciphertext(open_new, spec, error, gives_up):
    failing = []

    def decrypt(real, *args):
        if failing:
            raise error(function="C_Decrypt")
        return real(*args)

    token = open_new(decrypt=decrypt)
    key, spki = made(token, spec, KeyUsage.ENCRYPT_DECRYPT)
    secret, algorithm = Secret(b"secret"), OaepAlgorithm.RSAES_OAEP_SHA_256
    if spec.is_rsa:
        ciphertext = encrypt_oaep(spec, spki, algorithm, secret)
        call = lambda: token.direct.decrypt_oaep(key, algorithm, ciphertext)  # noqa: E731
    else:
        sealed = token.direct.encrypt(key, secret, b"")
        call = lambda: token.direct.decrypt(key, sealed, b"")  # noqa: E731
    failing.append(True)
    with pytest.raises(MemberFailedError):
        call()
    assert token.is_broken is gives_up
    failing.clear()
    if not gives_up:
        assert call().matches(secret)


def test_a_ciphertext_with_an_iv_of_a_length_that_the_token_refuses_costs_no_member_its_good_name(open_new):
    def refuses_16(real, session, mechanism, *args):
        if len(mechanism.iv) == 16:
            raise cryptoki.MechanismParamInvalidError(function="C_DecryptInit")
        return real(session, mechanism, *args)

    token = open_new(decrypt=refuses_16)
    key, _ = made(token, KeySpec.AES_256)
    sealed = token.direct.encrypt(key, Secret(b"payload"), b"")
    with pytest.raises(HsmIntegrityError, match="does not decrypt"):
        token.direct.decrypt(key, sealed._replace(iv=bytes(16)), b"")
    assert not token.is_broken
    assert token.direct.decrypt(key, sealed, b"").matches(Secret(b"payload"))


def test_a_lost_login_does_not_make_a_key_that_is_there_look_absent(module, open_new):
    token = open_new()
    key, _ = made(token, KeySpec.HMAC_256)
    slot = next(s for s in module.slots() if module.token_info(s).serial == token.identity.serial)
    session = module.open_session(slot)
    module.logout(session)  # of the whole process: PKCS#11 2.40, section 5.6
    module.close_session(session)
    with pytest.raises(HsmRequestError, match="already holds"):
        token.direct.generate(key, "again", may_leave=True)
    assert token.direct.holds(key)
