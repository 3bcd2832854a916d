"""PINs of security officers are presented from a file that is named, else from the home, else not at all without a terminal."""

import io

import pytest

from strongroom.cli._errors import CliError
from strongroom.cli._so_pins import so_pin_source
from strongroom.config import Home, MemberConfig, PinSource
from strongroom.core import ConfigError

_ALPHA = MemberConfig(name="alpha", profile="softhsm2", pin=PinSource(file="pins/alpha"), token_serial="01")


@pytest.fixture
def home(tmp_path):
    (tmp_path / "pins").mkdir()
    return Home(tmp_path)


def _private(path, content):
    path.touch(mode=0o600)
    path.write_bytes(content)
    path.chmod(0o400)
    return path


def test_a_file_that_is_named_goes_before_the_one_in_the_home(home, tmp_path):
    _private(home.pins / "alpha-so", b"of-the-home")
    named = _private(tmp_path / "named", b"of-the-officer\nand no more")
    assert so_pin_source(home, [])(_ALPHA).reveal() == b"of-the-home"
    assert so_pin_source(home, [f"alpha={named}"])(_ALPHA).reveal() == b"of-the-officer"
    assert so_pin_source(home, [f"beta={named}"])(_ALPHA).reveal() == b"of-the-home"


def test_a_file_that_others_can_read_or_that_is_empty_is_refused(home, tmp_path):
    named = tmp_path / "named"
    named.write_bytes(b"\n")
    named.chmod(0o644)
    with pytest.raises(CliError, match="others can read"):
        so_pin_source(home, [f"alpha={named}"])(_ALPHA)
    named.chmod(0o600)
    with pytest.raises(CliError, match="the PIN is empty"):
        so_pin_source(home, [f"alpha={named}"])(_ALPHA)


def test_without_a_file_and_a_terminal_the_option_is_named(home, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(ConfigError) as failure:
        so_pin_source(home, [])(_ALPHA)
    assert "--so-pin-file alpha=PATH" in str(failure.value.next_step)


@pytest.mark.parametrize("named", ["alpha", "=x", "alpha="])
def test_what_names_no_member_and_no_file_is_refused(home, named):
    with pytest.raises(CliError, match="MEMBER=PATH"):
        so_pin_source(home, [named])
