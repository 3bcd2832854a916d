"""[pins] names the key that PINs are sealed under, and how often they change; a PIN has exactly one source."""

import pytest

from strongroom.config import (
    CONFIG_FILE,
    ClusterConfig,
    Config,
    MemberConfig,
    PinsConfig,
    PinSource,
    SecretSource,
    load_config,
    read_pin,
    read_sealing_key,
    render_config,
)
from strongroom.core import ConfigError

KEY = SecretSource(file="pins/sealing-key")
SEALED = PinSource(sealed="pins/alpha.sealed")


def config_of(pins, *sources):
    members = [
        MemberConfig(name=f"m{number}", profile="softhsm2", pin=source, token_label=f"t{number}")
        for number, source in enumerate(sources)
    ]
    return Config(version=1, cluster=ClusterConfig(members=members), pins=pins)


def loaded(tmp_path, config):
    (tmp_path / CONFIG_FILE).write_text(render_config(config))
    return load_config(tmp_path)


def test_pins_are_due_after_ninety_days_unless_the_file_says_otherwise(tmp_path):
    assert loaded(tmp_path, config_of(PinsConfig(), PinSource(file="p"))).pins.rotate_every_days == 90
    never = config_of(PinsConfig(rotate_every_days=0), PinSource(file="p"))
    assert loaded(tmp_path, never).pins.rotate_every_days == 0


def test_a_sealed_pin_and_its_key_are_read_back(tmp_path):
    config = config_of(PinsConfig(sealing_key=KEY), SEALED)
    assert loaded(tmp_path, config) == config


@pytest.mark.parametrize(
    ("pins", "sources", "why"),
    [
        (PinsConfig(), [SEALED], "sealing_key is not set"),
        (PinsConfig(sealing_key=SecretSource()), [PinSource(file="p")], "exactly one of file and credential"),
        (PinsConfig(sealing_key=SecretSource("a", "b")), [SEALED], "exactly one of file and credential"),
        (PinsConfig(), [PinSource()], "exactly one of file, credential and sealed"),
        (
            PinsConfig(sealing_key=KEY),
            [PinSource("p", None, "s")],
            "exactly one of file, credential and sealed",
        ),
        (PinsConfig(sealing_key=KEY), [SEALED, SEALED], "the same sealed PIN file"),
    ],
)
def test_sources_that_are_none_or_two_are_refused(tmp_path, pins, sources, why):
    with pytest.raises(ConfigError, match=why):
        loaded(tmp_path, config_of(pins, *sources))


def put(tmp_path, text, mode=0o400):
    path = tmp_path / "key"
    path.write_bytes(text)
    path.chmod(mode)
    return SecretSource(file="key")


def test_the_sealing_key_is_64_hex_digits(tmp_path):
    assert read_sealing_key(put(tmp_path, b"ab" * 32 + b"\n"), tmp_path).reveal() == b"\xab" * 32


@pytest.mark.parametrize(
    "text", [b"ab" * 31, b"ab" * 33, b"ab " * 32, b"xy" * 32, b"\xff" * 64, b"ab" * 32 + b" ", b"\n"]
)
def test_anything_else_is_refused_and_not_shown(tmp_path, text):
    with pytest.raises(ConfigError) as error:
        read_sealing_key(put(tmp_path, text), tmp_path)
    assert "abab" not in str(error.value)


def test_a_key_file_that_others_may_read_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="others may read the sealing key file"):
        read_sealing_key(put(tmp_path, b"ab" * 32, 0o440), tmp_path)


@pytest.mark.parametrize("source", [None, SecretSource()])
def test_without_a_source_it_says_what_to_set(tmp_path, source):
    with pytest.raises(ConfigError) as error:
        read_sealing_key(source, tmp_path)
    assert "sealing_key" in (error.value.next_step or "")


def test_a_sealed_pin_is_not_read_as_if_it_were_clear(tmp_path):
    with pytest.raises(ConfigError, match="is sealed"):
        read_pin(SEALED, tmp_path)
