"""A sealed PIN opens under its key, for its member, role and token, and for nothing else; it is replaced whole."""

import os
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.config import Home, MemberConfig, PinsConfig, PinSource, SecretSource
from strongroom.core import ConfigError, Secret
from strongroom.wiring.pin_sealing import (
    PinBinding,
    SealedPinError,
    SealingKey,
    make_sealing_key,
    read_pin,
    read_sealed_pin,
    seal_pin,
    sealed_at,
    write_sealed_pin,
)

KEY = SealingKey(Secret(bytes(range(32))))
OTHER_KEY = SealingKey(Secret(bytes(32)))
BINDING = PinBinding("alpha", "user", "serial", "0123456789abcdef")
PIN = Secret(b"Zu9hG3kq")

pins = st.binary(min_size=1, max_size=255)
names = st.from_regex(r"[a-z][a-z0-9-]{0,30}", fullmatch=True)
bindings = st.builds(
    PinBinding,
    names,
    st.sampled_from(["user", "so"]),
    st.sampled_from(["serial", "label"]),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=60),
)


@settings(deadline=None)
@given(pin=pins, binding=bindings, at=st.floats(0, 10**11))
def test_what_is_sealed_opens_again(pin, binding, at):
    line = seal_pin(KEY, Secret(pin), binding, at=at)
    assert KEY.open(line, binding).reveal() == pin
    assert sealed_at(line) == int(at)
    assert len(line) <= 2_048
    assert line.isascii()


@settings(deadline=None)
@given(binding=bindings, other=bindings)
def test_it_opens_for_no_other_member_role_or_token(binding, other):
    line = seal_pin(KEY, PIN, binding, at=1)
    if other != binding:
        with pytest.raises(SealedPinError, match="of another"):
            KEY.open(line, other)


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_no_changed_byte_opens(data):
    line = bytearray(seal_pin(KEY, PIN, BINDING, at=1_790_000_000))
    place = data.draw(st.integers(0, len(line) - 1))
    line[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealedPinError):
        KEY.open(bytes(line), BINDING)


@settings(deadline=None)
@given(
    line=st.binary(max_size=3_000)
    | st.text("0123456789abcdef strongoled-pinv1uso\n", max_size=300).map(str.encode)
)
def test_any_other_bytes_are_refused(line):
    with pytest.raises(SealedPinError):
        KEY.open(line, BINDING)
    assert sealed_at(line) is None


def test_every_cut_is_refused():
    line = seal_pin(KEY, PIN, BINDING, at=1)
    for end in range(len(line)):
        with pytest.raises(SealedPinError):
            KEY.open(line[:end], BINDING)


@pytest.mark.parametrize(
    ("key", "binding", "why"),
    [
        (OTHER_KEY, BINDING, "sealed under the key"),
        (KEY, BINDING._replace(member="beta"), "another member"),
        (KEY, BINDING._replace(role="so"), "another role"),
        (KEY, BINDING._replace(kind="label"), "another kind of token name"),
        (KEY, BINDING._replace(selector="fedc"), "another token"),
    ],
)
def test_the_refusal_says_what_is_wrong(key, binding, why):
    with pytest.raises(SealedPinError, match=why):
        key.open(seal_pin(KEY, PIN, BINDING, at=1), binding)


def test_damage_is_named():
    line = seal_pin(KEY, PIN, BINDING, at=1)
    flipped = line[:-2] + (b"0" if line[-2:-1] != b"0" else b"1") + b"\n"
    with pytest.raises(SealedPinError, match="is damaged"):
        KEY.open(flipped, BINDING)


def test_the_same_pin_is_sealed_differently_each_time():
    assert seal_pin(KEY, PIN, BINDING, at=1) != seal_pin(KEY, PIN, BINDING, at=1)


@pytest.mark.parametrize("pin", [b"", b"1" * 256])
def test_a_pin_of_no_possible_length_is_not_sealed(pin):
    with pytest.raises(ValueError, match="1 to 255 bytes"):
        seal_pin(KEY, Secret(pin), BINDING, at=1)


def test_the_line_and_the_key_id_tell_nothing_of_pin_and_key():
    line = seal_pin(KEY, PIN, BINDING, at=1)
    assert PIN.reveal() not in line
    assert PIN.reveal().hex().encode() not in line
    assert KEY.key_id not in bytes(range(32)).hex()


def test_it_is_stored_for_its_owner_alone_and_replaced_whole(tmp_path):
    path = tmp_path / "pins" / "alpha.sealed"
    first, second = (seal_pin(KEY, PIN, BINDING, at=at) for at in (1, 2))
    write_sealed_pin(path, first)
    write_sealed_pin(path, second)
    assert read_sealed_pin(path) == second
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert os.listdir(path.parent) == ["alpha.sealed"]


def test_an_absent_one_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(SealedPinError) as error:
        read_sealed_pin(tmp_path / "none")
    assert "pin seal" in (error.value.next_step or "")


def test_a_member_s_pin_comes_from_its_sealed_file(tmp_path):
    member = MemberConfig(
        name="alpha", profile="softhsm2", pin=PinSource(sealed="pins/a.sealed"), token_serial=BINDING.selector
    )
    key = make_sealing_key(tmp_path / "pins" / "sealing-key")
    write_sealed_pin(tmp_path / "pins" / "a.sealed", seal_pin(key, PIN, PinBinding.of(member), at=1))
    config = PinsConfig(sealing_key=SecretSource(file="pins/sealing-key"))
    assert read_pin(member, Home(tmp_path), config).matches(PIN)


def test_a_sealing_key_is_not_overwritten(tmp_path):
    make_sealing_key(tmp_path / "key")
    before = (tmp_path / "key").read_bytes()
    with pytest.raises(FileExistsError):
        make_sealing_key(tmp_path / "key")
    assert (tmp_path / "key").read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["key"]


def test_sealed_pins_without_a_key_are_a_mistake_of_the_configuration(tmp_path):
    member = MemberConfig(name="a", profile="softhsm2", pin=PinSource(sealed="s"), token_label="t")
    (tmp_path / "s").write_bytes(seal_pin(KEY, PIN, PinBinding.of(member), at=1))
    with pytest.raises(ConfigError, match="names no key"):
        read_pin(member, Home(tmp_path), PinsConfig())
