"""Which roles nobody holds together."""

from itertools import combinations
from typing import get_args

import pytest

from strongroom import custody
from strongroom.core import RoleName, conflict_of

ROLES = sorted(get_args(RoleName))


@pytest.mark.parametrize("pair", list(combinations(ROLES, 2)), ids=" x ".join)
def test_an_auditor_is_nothing_else_and_who_decides_of_officers_does_not_of_keys(pair):
    expected = "auditor" in pair or set(pair) == {"crypto-officer", "security-officer"}
    assert (conflict_of(pair) is not None) is expected


def test_officers_are_all_that_a_principal_can_be_but_a_user():
    assert set(custody.Role) == set(ROLES) - {"crypto-user"}


def test_what_could_be_held_together_before_still_can():
    assert conflict_of(["operator", "crypto-user", "crypto-officer"]) is None
    assert conflict_of(["crypto-user", "crypto-user"]) is None
    assert conflict_of([]) is None


def test_the_first_two_that_do_not_agree_are_named_in_order():
    assert conflict_of(["witness", "security-officer", "crypto-officer"]) == (
        "crypto-officer",
        "security-officer",
    )
