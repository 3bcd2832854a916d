"""Errors keep their type and their words across the socket, and never bring words of unknown errors along."""

import inspect

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom import core
from strongroom.hsm.wire import Failure, failure_from, raise_failure

HSM_ERRORS = sorted(
    (
        error
        for error in vars(core).values()
        if inspect.isclass(error) and issubclass(error, core.HsmError) and error is not core.NoMemberError
    ),
    key=lambda error: error.__name__,
)


def over_the_wire(failure):
    return msgspec.msgpack.decode(msgspec.msgpack.encode(failure), type=Failure)


@pytest.mark.parametrize("error_class", HSM_ERRORS, ids=lambda error: error.__name__)
@pytest.mark.parametrize(("ckr", "next_step"), [(0x30, "look at the HSM"), (None, None)])
def test_every_hsm_error_of_core_arrives_as_itself(error_class, ckr, next_step):
    sent = error_class("what happened", ckr=ckr, next_step=next_step)
    with pytest.raises(core.HsmError) as caught:
        raise_failure(over_the_wire(failure_from(sent)))
    arrived = caught.value
    assert type(arrived) is error_class
    assert (arrived.message, arrived.ckr, arrived.next_step) == ("what happened", ckr, next_step)


def test_the_refusal_of_the_gate_arrives_as_itself():
    with pytest.raises(core.ApprovalRequiredError, match="needs approval") as caught:
        raise_failure(
            over_the_wire(failure_from(core.ApprovalRequiredError("x", next_step="needs approval")))
        )
    assert caught.value.next_step == "needs approval"


def test_an_error_of_a_room_arrives_as_the_nearest_class_of_core():
    class TokenIsMeltingError(core.HsmKeyNotFoundError):
        pass

    assert failure_from(TokenIsMeltingError("hot", ckr=5)) == Failure("HsmKeyNotFoundError", "hot", 5, None)


@pytest.mark.parametrize("error", [core.StorageError("full"), core.NoMemberError("none")])
def test_an_error_that_is_no_members_word_still_is_an_hsm_error(error):
    with pytest.raises(core.HsmError, match=error.message):
        raise_failure(failure_from(error))


def test_an_unknown_error_is_told_by_its_type_alone():
    failure = failure_from(ValueError("the PIN is 1234"))
    assert "1234" not in repr(failure)
    assert "ValueError" in failure.message
    with pytest.raises(core.MemberFailedError):
        raise_failure(failure)


@given(st.text(), st.text(), st.none() | st.integers(0, 2**64 - 1), st.none() | st.text())
def test_whatever_a_failure_says_an_error_of_ours_is_raised(kind, message, ckr, next_step):
    with pytest.raises(core.StrongroomError):
        raise_failure(Failure(kind, message, ckr, next_step))
