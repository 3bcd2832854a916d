"""A PIN that a token refused is known again, without being kept; any other PIN or token is not mistaken for it."""

import hashlib

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strongroom.config import Home, MemberConfig, PinSource
from strongroom.core import PinRefusedError, Secret, encode_fields
from strongroom.wiring.pin_refusals import SaltedPin, leave_marker, refuse_known_pin, remember_refused_pin

PIN = Secret(b"83920174")
MEMBER = MemberConfig(name="alpha", profile="softhsm2", pin=PinSource(file="x"), token_serial="0123")


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


@pytest.fixture
def marker(home):
    remember_refused_pin(home, MEMBER, PIN)
    return home.pin_refused / "alpha"


def test_without_a_marker_every_pin_may_be_tried(home):
    refuse_known_pin(home, MEMBER, PIN)


def test_the_same_pin_is_refused_again_and_again_with_what_to_do(home, marker):
    for _ in range(2):
        with pytest.raises(PinRefusedError, match="refused this PIN before") as refused:
            refuse_known_pin(home, MEMBER, PIN)
    assert f"remove {marker}" in refused.value.next_step
    assert marker.exists()


def test_removing_the_marker_allows_another_try(home, marker):
    marker.unlink()
    refuse_known_pin(home, MEMBER, PIN)


@pytest.mark.parametrize("pin", [b"8392017", b"839201740", b"83920175", b"83920174\0"])
def test_another_pin_may_be_tried_and_removes_the_marker(home, marker, pin):
    refuse_known_pin(home, MEMBER, Secret(pin))
    assert not marker.exists()


@pytest.mark.parametrize(
    "selector",
    [
        {"token_serial": "01234"},
        {"token_serial": None, "token_label": "0123"},
    ],
)
def test_another_token_may_be_tried(home, marker, selector):
    refuse_known_pin(home, msgspec.structs.replace(MEMBER, **selector), PIN)
    assert not marker.exists()


def test_another_member_is_not_concerned(home, marker):
    refuse_known_pin(home, msgspec.structs.replace(MEMBER, name="beta"), PIN)
    assert marker.exists()


def test_a_marker_is_private_replaces_an_earlier_one_and_does_not_tell_the_pin(home, marker):
    first = marker.read_bytes()
    assert marker.stat().st_mode & 0o777 == 0o600
    assert marker.parent.stat().st_mode & 0o777 == 0o700
    remember_refused_pin(home, MEMBER, PIN)
    assert marker.read_bytes() != first, "a salt of its own each time"
    assert [path.name for path in marker.parent.iterdir()] == ["alpha"]
    assert PIN.reveal() not in first
    assert PIN.reveal().hex().encode() not in first


def test_what_an_interrupted_writing_left_is_no_obstacle(home, marker):
    (marker.parent / ".alpha.new").write_text("half")
    remember_refused_pin(home, MEMBER, PIN)
    with pytest.raises(PinRefusedError):
        refuse_known_pin(home, MEMBER, PIN)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(max_size=400) | st.from_regex(rb"strongroom-refused-pin-v[0-9] [0-9a-f]{0,40}"))
def test_a_marker_that_is_not_understood_counts_as_one_of_this_pin(home, content):
    home.pin_refused.mkdir(exist_ok=True)
    (home.pin_refused / "alpha").write_bytes(content)
    with pytest.raises(PinRefusedError, match="damaged"):
        refuse_known_pin(home, MEMBER, PIN)


def test_a_marker_that_cannot_be_read_counts_as_one_of_this_pin(home):
    (home.pin_refused / "alpha").mkdir(parents=True)
    with pytest.raises(PinRefusedError, match="refused this PIN before"):
        refuse_known_pin(home, MEMBER, PIN)


def test_guessing_a_pin_by_its_marker_costs_what_the_format_says(marker):
    _, salt, hashed = marker.read_text().split()
    told = encode_fields("strongroom refused pin v1", [PIN.reveal(), b"serial", b"0123"])
    made = hashlib.scrypt(told, salt=bytes.fromhex(salt), n=1 << 15, r=8, p=1, maxmem=64 << 20, dklen=32)
    assert made.hex() == hashed


def test_a_marker_left_by_a_worker_is_one_that_main_knows(home):
    path = home.pin_refused / MEMBER.name
    leave_marker(path, SaltedPin.of(PIN, token_serial=MEMBER.token_serial, token_label=MEMBER.token_label))
    with pytest.raises(PinRefusedError):
        refuse_known_pin(home, MEMBER, PIN)
