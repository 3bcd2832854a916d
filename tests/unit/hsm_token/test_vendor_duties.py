"""Who our officers are to each kind of HSM: every profile says, and says it in the form that is asked for."""

import pytest

from strongroom.core import ConfigError
from strongroom.hsm.token import known_duties, known_profiles, load_duties, load_profile
from strongroom.hsm.token._vendor_duties import parse_duties

GOOD = dict.fromkeys(
    ("worker", "security_officer", "crypto_officer", "auditor", "backup", "custodian", "quorum"), "x"
) | {"login_required": "yes"}


@pytest.mark.parametrize("name", known_profiles())
def test_every_profile_says_who_our_officers_are_there(name):
    duties = load_duties(name)
    profile = load_profile(name)
    assert duties.quorum.endswith(".")
    assert bool(duties.not_as) <= (profile.pin_form in {"user:password", "auth-key-id+password"})
    if profile.evidence == "documents":
        assert duties.check_with


def test_what_has_no_profile_has_a_title():
    others = set(known_duties()) - set(known_profiles())
    assert others == {"azure-managed-hsm"}
    assert all(load_duties(name).title for name in others)


def test_one_entry_may_stand_for_another():
    assert load_duties("luna-ibm-cloud") == load_duties("luna")
    assert parse_duties({"a": {"same_as": "b"}, "b": GOOD}, "a").worker == "x"


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"a": {}},
        {"a": {"same_as": "b"}},
        {"a": {"same_as": "b", "worker": "x"}, "b": GOOD},
        {"a": GOOD | {"wroker": "x"}},
        {"a": GOOD | {"worker": ""}},
        {"a": GOOD | {"worker": 1}},
        {"a": GOOD | {"login_required": "perhaps"}},
        {"a": GOOD | {"user_locks_after": -1}},
    ],
)
def test_an_entry_that_is_wrong_is_refused(table):
    with pytest.raises(ConfigError, match="duties for 'a'"):
        parse_duties(table, "a")
