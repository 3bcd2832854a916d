"""The self-test on a real token: it proves a profile that fits, and names the field of one that does not."""

import msgspec
import pytest

from fixtures_two_tokens import PIN, PROFILE, new_token
from strongroom.core import HsmError, MemberFailedError, WrapAlgorithm
from strongroom.hsm.token import WRAP_PREFERENCE, Token, TokenSelector

pytestmark = pytest.mark.softhsm

GCM, CBC, OAEP = WRAP_PREFERENCE


@pytest.fixture(scope="module")
def label(module):
    return new_token(module)


@pytest.fixture
def open_token(module, label):
    opened = []

    def open_one(algorithm=None, **changes):
        profile = msgspec.structs.replace(PROFILE, **changes)
        token = Token.open(module, TokenSelector(label=label), PIN, profile=profile, wrap_algorithm=algorithm)
        opened.append(token)
        return token

    yield open_one
    for token in opened:
        token.close()


@pytest.mark.parametrize("session_keys", [True, False])
@pytest.mark.parametrize("algorithm", [GCM, CBC])
def test_a_profile_that_fits_is_proved_and_nothing_is_left(open_token, algorithm, session_keys):
    token = open_token(algorithm, session_keys=session_keys)
    token.prove_profile()
    assert token.list_objects() == []


def test_all_that_softhsm_can_is_found(open_token):
    token = open_token()
    abilities = token.wrap_abilities()
    assert [(one.algorithm, one.variant, one.missing) for one in abilities] == [
        (GCM, "", None),
        (CBC, "", None),
        (OAEP, "sha1", None),
    ]
    assert [one.algorithm for one in token.wrap_abilities(until_first=True)] == [GCM]
    assert token.list_objects() == []


@pytest.mark.parametrize(
    ("algorithm", "changes", "field"),
    [
        (GCM, {"iv_rule": "hsm-in-parameter"}, "iv_rule"),
        (GCM, {"iv_rule": "hsm-appended", "iv_len": 16}, "iv_rule"),
        (GCM, {"iv_rule": "hsm-prepended"}, "iv_rule"),
        (GCM, {"gcm_mechanism": 0x80001087}, "0x80001087"),
        (GCM, {"general_error_is_bad_tag": False}, "general_error_is_bad_tag"),
        (CBC, {"mac_key_gen": 0xDE436997}, "0xde436997"),
        (CBC, {"mac_key_type": 0x2B}, "unknown_attributes|mac_key_type"),
        (OAEP, {"oaep_hash": "sha256"}, "oaep_hash"),
    ],
)
def test_the_field_that_is_wrong_is_named_and_nothing_is_left(open_token, algorithm, changes, field):
    token = open_token(algorithm, **changes)
    with pytest.raises(HsmError, match=field) as refused:
        token.prove_profile()
    assert algorithm.name in refused.value.message
    assert not isinstance(refused.value, MemberFailedError)
    assert token.list_objects() == []
    assert not token.is_broken


@pytest.mark.parametrize(
    ("algorithm", "changes", "advice"),
    [
        (GCM, {"iv_rule": "hsm-in-parameter"}, 'profile_changes = { iv_rule = "caller", iv_len = 12 }'),
        (GCM, {"general_error_is_bad_tag": False}, "profile_changes = { general_error_is_bad_tag = true }"),
        (OAEP, {"oaep_hash": "sha512"}, 'profile_changes = { oaep_hash = "sha1" }'),
    ],
)
def test_the_change_that_fits_is_found_on_the_token(open_token, algorithm, changes, advice):
    token = open_token(algorithm, **changes)
    with pytest.raises(HsmError) as refused:
        token.prove_profile()
    assert advice in refused.value.next_step
    assert token.list_objects() == []


def test_what_a_token_lacks_is_said_of_each_algorithm(open_token):
    token = open_token(gcm_mechanism=0x80001087, mac_key_gen=0xDE436997, oaep_hash="sha512")
    reasons = {one.algorithm: one.missing for one in token.wrap_abilities()}
    assert "does not offer mechanism 0x80001087" in reasons[WrapAlgorithm.HSM_AES_GCM]
    assert "does not offer mechanism 0xde436997" in reasons[WrapAlgorithm.HSM_AES_CBC_HMAC]
    assert "oaep_hash" in reasons[WrapAlgorithm.HSM_RSA_OAEP]


def test_a_token_that_does_not_answer_is_no_misfit_of_the_profile(open_token):
    token = open_token()
    token.close()
    with pytest.raises(MemberFailedError):
        token.prove_profile()
