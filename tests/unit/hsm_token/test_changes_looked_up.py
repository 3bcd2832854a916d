"""What creates or destroys is made once: after a failure, the token is asked what became of it."""

import pytest

from fixtures_token import KEY, ROOT, open_token
from strongroom.core import (
    HsmOutcomeUnknownError,
    HsmRequestError,
    MemberBusyError,
    MemberFailedError,
    MemberReadOnlyError,
    RootId,
)
from strongroom.hsm import cryptoki
from strongroom.hsm.cryptoki import Attribute, KeyType, ObjectClass
from strongroom.hsm.token._work import NotDoneError

UNCERTAIN = [
    cryptoki.DeviceError,
    cryptoki.GeneralError,
    cryptoki.FunctionFailedError,
    cryptoki.SessionClosedError,
    lambda: cryptoki.VendorError("vendor error", ckr=0x8000001A),
    lambda: cryptoki.ModuleContractError("nonsense"),
]


@pytest.fixture
def token(module):
    return open_token(module)


def objects(module):
    return module.tokens[0].objects


@pytest.mark.parametrize("error", UNCERTAIN)
@pytest.mark.parametrize("when", ["faults", "late_faults"])
def test_a_creation_that_failed_leaves_nothing_whether_it_had_happened_or_not(token, module, error, when):
    getattr(module, when)["generate_key"].append(error)
    with pytest.raises(MemberFailedError):
        token.generate_root(ROOT, "root")
    assert objects(module) == {}
    assert token.recoveries.outcomes_looked_up == 1
    token.generate_root(ROOT, "root")
    assert len(objects(module)) == 1


def test_the_look_up_climbs_the_ladder_itself(token, module):
    def lose_link():
        module.dead = cryptoki.DeviceError
        return cryptoki.DeviceError()

    module.late_faults["generate_key"].append(lose_link)
    with pytest.raises(MemberFailedError):
        token.generate_root(ROOT, "root")
    assert objects(module) == {}
    assert token.recoveries.reinitialisations == 1


def test_when_nobody_can_tell_the_error_says_so(token, module):
    module.late_faults["generate_key"].append(cryptoki.DeviceError)
    module.faults["destroy_object"].extend([cryptoki.FunctionFailedError] * 9)
    with pytest.raises(HsmOutcomeUnknownError, match="cannot be told") as caught:
        token.generate_root(ROOT, "root")
    assert not caught.value.retryable
    assert "CKA_ID" in caught.value.next_step


def test_a_failure_before_anything_was_done_is_healed_and_the_change_made_once(token, module):
    module.faults["find_objects"].append(cryptoki.SessionHandleInvalidError)
    token.generate_root(ROOT, "root")
    assert len(objects(module)) == 1
    assert token.recoveries.outcomes_looked_up == 0
    module.tokens[0].user = None
    second = RootId(b"another root....")
    token.generate_root(second, "second")
    assert token.has_root(second)
    assert token.recoveries.logins == 1


def test_a_look_up_never_destroys_what_was_there_before(token, module):
    token.generate_root(ROOT, "root")
    for error in UNCERTAIN:
        module.faults["find_objects"].append(error)
        with pytest.raises((HsmRequestError, MemberFailedError)):
            token.generate_root(ROOT, "another")
    assert len(objects(module)) == 1


@pytest.mark.parametrize("error", UNCERTAIN)
def test_a_destruction_that_happened_is_one_whatever_its_answer_was(token, module, error):
    add_pair(token, module)
    module.late_faults["destroy_object"].append(error)
    token.destroy_import_pair(b"pair")
    assert objects(module) == {}


@pytest.mark.parametrize("error", UNCERTAIN)
def test_a_destruction_that_did_not_happen_is_a_failure_and_not_repeated(token, module, error):
    add_pair(token, module)
    module.faults["destroy_object"].append(error)
    with pytest.raises(MemberFailedError):
        token.destroy_import_pair(b"pair")
    assert len(objects(module)) == 1
    token.destroy_import_pair(b"pair")
    assert objects(module) == {}


def add_pair(token, module):
    """The private half of an import pair, which is all of one that a fake needs to have."""
    session = module.open_session(0)
    module.add(
        session,
        {
            Attribute.CLASS: ObjectClass.PRIVATE_KEY,
            Attribute.KEY_TYPE: KeyType.RSA,
            Attribute.TOKEN: True,
            Attribute.ID: b"pair",
            Attribute.UNWRAP: True,
            Attribute.DECRYPT: False,
            Attribute.SIGN: False,
        },
    )
    module.close_session(session)


def test_a_token_that_takes_no_writes_is_told_as_read_only_and_goes_on_serving(token, module):
    token.generate_root(ROOT, "root")
    module.faults["generate_key"].append(cryptoki.TokenWriteProtectedError)
    with pytest.raises(MemberReadOnlyError) as caught:
        token.generate_root(RootId(bytes(16)), "second")
    assert caught.value.ckr == cryptoki.TokenWriteProtectedError.code
    assert not token.is_broken
    token.wrap(ROOT, KEY, b"")


def test_a_vendors_word_for_busy_in_a_change_is_looked_up_too(module):
    token = open_token(module, throttled=("CKR_FUNCTION_FAILED",))
    module.late_faults["generate_key"].append(cryptoki.FunctionFailedError)
    with pytest.raises(MemberBusyError):
        token.generate_root(ROOT, "root")
    assert objects(module) == {}


# --- the workshop, as verbs use it -----------------------------------------------------------------------------


def failing(error, function):
    def work(_session):
        made = error()
        made.function = function
        raise made

    return work


@pytest.mark.parametrize("error", UNCERTAIN)
def test_without_a_look_up_an_uncertain_failure_is_an_unknown_outcome(token, error):
    with pytest.raises(HsmOutcomeUnknownError):
        token._workshop.change("changing", failing(error, "C_CreateObject"))


@pytest.mark.parametrize(
    "error", [cryptoki.SessionHandleInvalidError, cryptoki.SessionCountError, cryptoki.UserNotLoggedInError]
)
def test_without_a_look_up_a_certain_failure_is_the_members(token, error):
    with pytest.raises(MemberFailedError):
        token._workshop.change("changing", failing(error, "C_CreateObject"))


def test_a_look_up_that_finds_the_change_complete_is_its_result(token):
    made = token._workshop.change(
        "changing", failing(cryptoki.DeviceError, "C_CreateObject"), outcome=lambda _session: "it is there"
    )
    assert made == "it is there"


def test_a_look_up_that_finds_nothing_is_a_failure_that_may_be_repeated(token):
    def nothing(_session):
        raise NotDoneError

    with pytest.raises(MemberFailedError, match="CKR_DEVICE_ERROR") as caught:
        token._workshop.change("changing", failing(cryptoki.DeviceError, "C_CreateObject"), outcome=nothing)
    assert caught.value.retryable


@pytest.mark.parametrize("error", [cryptoki.TemplateInconsistentError, cryptoki.SessionCountError])
def test_even_a_token_that_says_that_nothing_was_done_is_looked_at(token, module, error):
    module.late_faults["generate_key"].append(error)
    with pytest.raises((HsmRequestError, MemberFailedError)):
        token.generate_root(ROOT, "root")
    assert objects(module) == {}
