"""The PIN in recovery: sent once when the token says that the login is gone, and never again once it was refused."""

import pytest

from fixtures_token import AAD, KEY, PIN, ROOT, open_token
from strongroom.core import MemberFailedError, PinRefusedError, Secret
from strongroom.hsm import cryptoki
from strongroom.hsm.cryptoki import TokenFlag


@pytest.mark.parametrize("lose", ["login", "link"])
def test_a_pin_refused_in_recovery_is_told_once_and_never_sent_again(module, lose):
    refused = []
    token = open_token(module, pin_refused=lambda pin: refused.append(pin.reveal()))
    module.pin = b"changed"
    if lose == "login":
        module.tokens[0].user = None
        module.faults["generate_random"].append(cryptoki.UserNotLoggedInError)
    else:
        module.dead = cryptoki.DeviceError
    for _ in range(3):
        with pytest.raises(MemberFailedError):
            token.random(8)
    assert token.is_broken
    assert refused == [PIN.reveal()]
    assert module.login_tries == 2  # at the start, and the one that was refused
    assert PIN.reveal().decode() not in token.broken_because


def test_a_pin_near_its_lock_is_not_tried_in_recovery(token, module):
    module.tokens[0].user = None
    module.tokens[0].flags |= TokenFlag.USER_PIN_FINAL_TRY
    with pytest.raises(MemberFailedError):
        token.wrap(ROOT, KEY, AAD)
    assert token.is_broken
    assert module.login_tries == 1


def test_an_unclear_answer_to_a_pin_that_was_right_before_is_left_to_the_next_process(module):
    refused = []
    token = open_token(module, pin_refused=refused.append)
    module.tokens[0].user = None
    module.faults["login"].append(cryptoki.GeneralError)
    with pytest.raises(MemberFailedError):
        token.has_root(ROOT)
    assert token.is_broken
    assert refused == []
    assert module.login_tries == 2


def test_a_pin_that_was_refused_at_the_start_is_told_and_overwritten(module):
    refused = []
    with pytest.raises(PinRefusedError):
        open_token(module, pin=Secret(b"9999"), pin_refused=lambda pin: refused.append(pin.reveal()))
    assert refused == [b"9999"]


class Journal:
    """What was noted of tries, in order; ``refuses`` makes ``begin`` raise."""

    def __init__(self):
        self.noted, self.refuses = [], False

    def begin(self, pin, *, is_count_low):
        assert pin.reveal() == PIN.reveal()
        self.noted.append(("begin", is_count_low))
        if self.refuses:
            raise PinRefusedError("it was not tried again")

    def accepted(self):
        self.noted.append("accepted")

    def not_tried(self):
        self.noted.append("not tried")


def test_every_try_is_noted_before_it_and_its_outcome_after_it(module):
    journal = Journal()
    token = open_token(module, pin_attempts=journal)
    assert journal.noted == [("begin", False), "accepted"]
    module.tokens[0].user = None
    module.tokens[0].flags |= TokenFlag.USER_PIN_COUNT_LOW
    module.faults["generate_random"].append(cryptoki.UserNotLoggedInError)
    token.random(8)
    assert journal.noted[2:] == [("begin", True), "accepted"]
    token.close()


@pytest.mark.parametrize("method", ["open_session", "login"])
def test_a_try_that_got_nowhere_is_noted_as_such(module, method):
    journal = Journal()
    module.faults[method].append(cryptoki.DeviceRemovedError)
    with pytest.raises(MemberFailedError):
        open_token(module, pin_attempts=journal)
    assert journal.noted == [("begin", False), "not tried"]


@pytest.mark.parametrize("error", [cryptoki.PinIncorrectError, cryptoki.GeneralError])
def test_a_refusal_and_an_unclear_answer_leave_the_try_noted(module, error):
    journal, refused = Journal(), []
    module.faults["login"].append(error)
    with pytest.raises(PinRefusedError):
        open_token(module, pin_attempts=journal, pin_refused=refused.append)
    assert journal.noted == [("begin", False)]
    assert len(refused) == 1


def test_a_try_that_is_not_to_be_risked_is_a_refusal_without_a_login(module):
    journal, refused = Journal(), []
    journal.refuses = True
    with pytest.raises(PinRefusedError, match="not tried again"):
        open_token(module, pin_attempts=journal, pin_refused=refused.append)
    assert (module.login_tries, len(refused)) == (0, 1)


def test_a_pin_near_its_lock_is_not_even_noted_as_tried(module):
    journal = Journal()
    module.tokens[0].flags |= TokenFlag.USER_PIN_FINAL_TRY
    with pytest.raises(PinRefusedError):
        open_token(module, pin_attempts=journal)
    assert journal.noted == []


def test_a_closed_token_knows_no_pin(token):
    token.close()
    assert token._ladder._link._pin._secret.reveal() == bytes(4)
