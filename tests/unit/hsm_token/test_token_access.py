"""Selecting a token, and the one try that its PIN gets."""

import pytest

from fixtures_token import PIN, FakeModule, open_token
from strongroom.core import HsmRequestError, MemberFailedError, PinRefusedError, Secret, TokenNotFoundError
from strongroom.hsm import cryptoki
from strongroom.hsm.cryptoki import TokenFlag
from strongroom.hsm.token import Token, TokenSelector, load_profile


@pytest.mark.parametrize("selector", [TokenSelector(), TokenSelector(serial="1", label="a")])
def test_a_selector_must_give_exactly_one_name(module, selector):
    with pytest.raises(TokenNotFoundError, match="exactly one"):
        Token.open(module, selector, PIN, profile=load_profile("softhsm2"))


def test_an_absent_token_is_reported_with_those_that_are_there(module):
    with pytest.raises(TokenNotFoundError, match="'a' \\(serial 0000"):
        open_token(module, label="b")


def test_two_tokens_of_one_label_are_refused_and_the_serial_number_tells_them_apart():
    module = FakeModule("a", "a")
    with pytest.raises(TokenNotFoundError, match="2 tokens"):
        open_token(module)
    assert open_token(module, serial=f"{1:016x}").identity.serial == f"{1:016x}"


def test_a_refused_pin_is_tried_once_and_leaves_no_session(module):
    with pytest.raises(PinRefusedError) as caught:
        open_token(module, pin=Secret(b"9999"))
    assert module.login_tries == 1
    assert module.sessions == {}
    assert caught.value.next_step
    assert "9999" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        cryptoki.GeneralError,
        cryptoki.FunctionFailedError,
        cryptoki.ArgumentsBadError,
        cryptoki.OperationActiveError,
        cryptoki.TokenWriteProtectedError,
        lambda: cryptoki.VendorError("vendor error", ckr=0x80000384),
        lambda: cryptoki.UnknownReturnValueError("unknown", ckr=0x7FFFFFFF),
        lambda: cryptoki.ModuleContractError("nonsense"),
    ],
)
def test_a_pin_that_may_have_counted_as_wrong_is_not_sent_again_by_itself(module, error):
    module.faults["login"].append(error)
    with pytest.raises(PinRefusedError, match="unclear whether the PIN counted") as caught:
        open_token(module)
    assert caught.value.ckr == error().ckr
    assert caught.value.next_step
    assert (module.login_tries, module.sessions) == (1, {})


@pytest.mark.parametrize(
    "error",
    [
        cryptoki.DeviceError,
        cryptoki.DeviceRemovedError,
        cryptoki.TokenNotPresentError,
        cryptoki.SessionHandleInvalidError,
        cryptoki.SessionClosedError,
        cryptoki.CryptokiNotInitializedError,
        cryptoki.DeviceMemoryError,
        cryptoki.HostMemoryError,
    ],
)
def test_a_login_that_fails_for_want_of_a_connection_is_the_members_failure(module, error):
    module.faults["login"].append(error)
    with pytest.raises(MemberFailedError) as caught:
        open_token(module)
    assert caught.value.ckr == error.code
    assert (module.login_tries, module.sessions) == (1, {})


@pytest.mark.parametrize("flag", [TokenFlag.USER_PIN_LOCKED, TokenFlag.USER_PIN_FINAL_TRY])
def test_a_pin_near_its_lock_is_not_tried(module, flag):
    module.tokens[0].flags |= flag
    with pytest.raises(PinRefusedError, match=flag.name):
        open_token(module)
    assert module.login_tries == 0


def test_a_token_without_a_user_pin_is_reported(module):
    module.tokens[0].flags &= ~TokenFlag.USER_PIN_INITIALIZED
    with pytest.raises(PinRefusedError, match="no user PIN"):
        open_token(module)


def test_already_logged_in_counts_only_when_the_token_says_so(module):
    module.faults["login"].append(cryptoki.UserAlreadyLoggedInError)
    with pytest.raises(HsmRequestError):
        open_token(module)
    session = module.open_session(0)
    module.tokens[0].user = cryptoki.UserType.USER
    open_token(module).random(8)
    module.close_session(session)
