"""What main may have done to the keys of a member that serves, and what nobody may."""

from typing import get_args

import pytest

from strongroom.core import ApprovalRequiredError
from strongroom.hsm.wire import AdminCall, HoldsDirect, InspectDirect, ListObjects, Ping, RootCheck
from strongroom.wiring.standing_gate import StandingGate

STANDING = {"GenerateDirect", "DestroyDirect", "WrapOut", "TakeInRoot", "TakeInKey"}
STANDING |= {"GenerateRoot", "DestroyRoot"}
READING = {Ping, ListObjects, RootCheck, HoldsDirect, InspectDirect}
CHANGING = [call for call in get_args(AdminCall) if call not in READING]


@pytest.mark.parametrize("call", CHANGING, ids=lambda call: call.__name__)
def test_direct_keys_copies_and_rotations_of_the_root_pass_and_nothing_else(call):
    if call.__name__ in STANDING:
        StandingGate().check(call.__name__, {})
        return
    with pytest.raises(ApprovalRequiredError, match=call.__name__):
        StandingGate().check(call.__name__, {})


def test_all_that_pass_are_calls():
    assert {call.__name__ for call in CHANGING} >= STANDING
