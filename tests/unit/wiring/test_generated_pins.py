"""New PINs are random, of the length and characters of the profile, and keep the account that the vendor wants."""

import pytest

from strongroom.core import ConfigError, Secret
from strongroom.hsm.token import known_profiles, load_profile
from strongroom.wiring.pin_making import generate_pin

CURRENT = {
    "user:password": b"cu1:old-password",
    "auth-key-id+password": b"0001old-password",
    "password": b"old",
}


def of(profile, **changes):
    return load_profile(profile, changes)


@pytest.mark.parametrize("name", known_profiles())
def test_every_profile_gets_a_pin_that_it_says_it_takes(name):
    profile = load_profile(name)
    if profile.pin_form in {"api-key", "ignored"}:
        with pytest.raises(ConfigError, match="no PIN that could be generated"):
            generate_pin(profile)
        return
    account = {"user:password": "cu1:", "auth-key-id+password": "0001", "password": ""}[profile.pin_form]
    text = generate_pin(profile, Secret(CURRENT[profile.pin_form])).reveal().decode()
    assert text.startswith(account)
    password = text.removeprefix(account)
    assert len(password) == profile.pin_length
    assert password.isalnum()
    assert password.isascii()


def test_letters_of_both_cases_and_digits_all_occur():
    for _ in range(200):
        text = generate_pin(of("softhsm2", pin_length=8)).reveal().decode()
        assert any(map(str.islower, text))
        assert any(map(str.isupper, text))
        assert any(map(str.isdigit, text))


def test_a_pin_pad_s_token_gets_digits():
    text = generate_pin(of("softhsm2", pin_length=16, pin_characters="digits")).reveal().decode()
    assert len(text) == 16
    assert text.isdigit()


def test_no_two_are_the_same_and_every_character_occurs():
    made = [generate_pin(of("softhsm2")).reveal() for _ in range(200)]
    assert len(set(made)) == 200
    assert len(set(b"".join(made))) == 62


@pytest.mark.parametrize("current", [None, b"no-colon", b":password", b""])
def test_without_an_account_there_is_no_new_pin(current):
    with pytest.raises(ConfigError):
        generate_pin(of("softhsm2", pin_form="user:password"), None if current is None else Secret(current))
