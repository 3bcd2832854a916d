"""``doctor`` on users: what a token shows without a login, against what its profile expects; and what it says it cannot see."""

import pytest

from cli_support import make_home, record_cluster
from strongroom.cli._checks_duties import check_duties
from strongroom.cli._checks_home import recorded_serials
from strongroom.cli._token_probe import FoundToken
from strongroom.config import Home, MemberConfig, PinSource

USABLE = ["LOGIN_REQUIRED", "USER_PIN_INITIALIZED", "TOKEN_INITIALIZED"]


@pytest.fixture
def home(tmp_path):
    """As much of a home as these checks look at."""
    home = Home(tmp_path)
    home.pins.mkdir()
    (home.pins / "alpha").write_bytes(b"secret")
    return home


def _found(home, flags, profile="softhsm2", *, pin_form="password", pin=None, serial=None, source=None):
    member = MemberConfig(
        name="alpha", profile=profile, pin=source or PinSource(file="pins/alpha"), token_label="alpha"
    )
    if pin is not None:
        (home.pins / "alpha").write_bytes(pin)
    token = FoundToken("0123", "alpha", list(flags))
    found = list(check_duties(home, member, token, pin_form=pin_form, recorded_serial=serial))
    assert all(b"secret" not in f"{finding}".encode() for finding in found)
    assert {finding.name for finding in found} == {"member alpha"}
    return found


def _levels(found):
    return [finding.level for finding in found]


def test_a_token_whose_user_can_log_in_is_well(home):
    assert _levels(_found(home, USABLE)) == ["ok"]
    assert _levels(_found(home, USABLE, serial="0123")) == ["ok"]


@pytest.mark.parametrize(
    ("flag", "level", "words"),
    [
        ("USER_PIN_LOCKED", "fail", "the user is locked"),
        ("USER_PIN_FINAL_TRY", "fail", "one more wrong PIN"),
        ("USER_PIN_COUNT_LOW", "warn", "since the last login"),
        ("USER_PIN_TO_BE_CHANGED", "warn", "to be changed"),
        ("SO_PIN_LOCKED", "warn", "security officer is locked"),
        ("SO_PIN_FINAL_TRY", "warn", "locks the security officer"),
        ("SO_PIN_COUNT_LOW", "warn", "of the security officer was sent"),
        ("SO_PIN_TO_BE_CHANGED", "warn", "the vendor's own"),
        ("WRITE_PROTECTED", "warn", "write-protected"),
        ("ERROR_STATE", "fail", "error state"),
    ],
)
def test_each_flag_that_means_trouble_is_named_with_what_to_do(home, flag, level, words):
    [finding] = _found(home, [*USABLE, flag])
    assert finding.level == level
    assert words in finding.message
    assert finding.next_step


def test_how_many_wrong_pins_are_left_to_lose_is_said_where_the_vendor_says_it(home):
    user, so, note = _found(home, [*USABLE, "USER_PIN_COUNT_LOW", "SO_PIN_COUNT_LOW"], "luna")
    assert "10 wrong ones in a row lock it" in user.message
    assert "10 wrong ones in a row erase the token" in so.message
    assert note.level == "note"


@pytest.mark.parametrize("missing", ["LOGIN_REQUIRED", "USER_PIN_INITIALIZED"])
def test_a_token_without_a_login_or_without_a_user_pin_fails_where_the_profile_expects_them(home, missing):
    flags = [flag for flag in USABLE if flag != missing]
    assert _levels(_found(home, flags)) == ["fail"]
    assert _levels(_found(home, flags, "google-kmsp11")) == ["ok", "note"]


def test_another_token_than_the_one_that_was_taken_in_fails(home):
    first, *_ = _found(home, USABLE, serial="9999")
    assert first.level == "fail"
    assert "it is another token" in first.message


def test_the_serials_of_members_are_those_of_the_database(tmp_path):
    home = make_home(tmp_path / "home")
    record_cluster(home)
    assert recorded_serials(home) == {"alpha": "0" * 16, "beta": "0" * 15 + "1"}
    home.database.unlink()
    assert recorded_serials(home) == {}


def test_what_cannot_be_seen_is_said_with_the_command_that_shows_it(home):
    *_, note = _found(home, USABLE, "nshield")
    assert note.level == "note"
    assert "cannot be seen from here" in note.message
    assert "nfkminfo" in note.next_step


@pytest.mark.parametrize(
    ("profile", "pin_form", "pin", "level"),
    [
        ("aws-cloudhsm", "user:password", b"cu1:secret", "ok"),
        ("aws-cloudhsm", "user:password", b"Admin:secret\n", "warn"),
        ("aws-cloudhsm", "user:password", b"secret-without-a-user", "fail"),
        ("aws-cloudhsm", "user:password", b":secret", "fail"),
        ("aws-cloudhsm", "user:password", b"cu1:", "fail"),
        ("azure-cloud-hsm", "user:password", b"cu1:secret:more", "ok"),
        ("yubihsm2", "auth-key-id+password", b"0002secret", "ok"),
        ("yubihsm2", "auth-key-id+password", b"0001secret", "warn"),
        ("yubihsm2", "auth-key-id+password", b"secretsecret", "fail"),
        ("yubihsm2", "auth-key-id+password", b"0002", "fail"),
    ],
)
def test_the_user_in_a_pin_is_judged_and_nothing_of_the_pin_told(home, profile, pin_form, pin, level):
    found = _found(home, USABLE, profile, pin_form=pin_form, pin=pin)
    assert found[0].level == level
    assert not any("cu1" in finding.message for finding in found)


@pytest.mark.parametrize("source", [PinSource(credential="pin-alpha"), PinSource(sealed="pins/alpha.sealed")])
def test_a_pin_that_is_no_file_is_not_looked_at(home, source):
    found = _found(home, USABLE, "aws-cloudhsm", pin_form="user:password", source=source)
    assert _levels(found) == ["ok", "note"]
    assert "as whom the worker logs in" in found[-1].message
