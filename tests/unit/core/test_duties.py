"""Which roles nobody holds together: one rule, in ``core`` and in ``custody``."""

from itertools import combinations
from typing import get_args

import pytest

from strongroom import custody
from strongroom.core import RoleName, conflict_of

ROLES = sorted(get_args(RoleName))


@pytest.mark.parametrize("pair", list(combinations(ROLES, 2)), ids=" x ".join)
def test_principals_and_officers_are_held_to_the_same_separation(pair):
    officers = set(custody.Role)
    expected = "auditor" in pair if "crypto-user" in pair else frozenset(pair) in custody.INCOMPATIBLE
    assert set(pair) - {"crypto-user"} <= officers
    assert (conflict_of(pair) is not None) is expected


def test_what_could_be_held_together_before_still_can():
    assert conflict_of(["operator", "crypto-user", "crypto-officer"]) is None
    assert conflict_of(["crypto-user", "crypto-user"]) is None
    assert conflict_of([]) is None


def test_the_first_two_that_do_not_agree_are_named_in_order():
    assert conflict_of(["witness", "security-officer", "crypto-officer"]) == (
        "crypto-officer",
        "security-officer",
    )
