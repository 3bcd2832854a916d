"""The copy of token.object that a killed SoftHSM is brought back from."""

import stat
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.core import ConfigError
from strongroom.hsm.token import protect_softhsm_store, sync_softhsm_store, write_softhsm_config
from strongroom.hsm.token._softhsm_store import has_user_pin, is_whole_token_object


def _attribute_bytes(attribute_type, value):
    return struct.pack(">QQQ", attribute_type, 3, len(value)) + value


def token_object(label=b"kms", *, generation=9, flags=0x42D, has_user_pin=True):
    return b"".join(
        (
            struct.pack(">Q", generation),
            _attribute_bytes(0x80005349, label.ljust(32)),
            _attribute_bytes(0x8000534A, b"28760419"),
            struct.pack(">QQQ", 0x8000534B, 2, flags),
            _attribute_bytes(0x8000534C, bytes(72)),
            _attribute_bytes(0x8000534D, bytes(72)) if has_user_pin else b"",
        )
    )


CUT_BEFORE_USER_PIN = token_object(has_user_pin=False)
WITHOUT_USER = token_object(flags=0x425, has_user_pin=False)


@pytest.fixture
def token_dir(tmp_path):
    folder = tmp_path / "tokens" / "one"
    folder.mkdir(parents=True)
    (folder / "token.object").write_bytes(token_object())
    return tmp_path / "tokens"


def test_the_layout_that_softhsm_writes_is_recognised():
    assert is_whole_token_object(token_object())


@given(st.integers(0, len(token_object()) - 1))
def test_no_truncated_file_counts_as_whole(length):
    assert not is_whole_token_object(token_object()[:length])


def test_a_file_cut_just_before_the_pin_of_the_user_is_told_from_a_token_without_a_user():
    assert token_object().startswith(CUT_BEFORE_USER_PIN)
    assert not is_whole_token_object(CUT_BEFORE_USER_PIN)
    assert is_whole_token_object(WITHOUT_USER)
    assert not has_user_pin(WITHOUT_USER)


@given(st.binary(max_size=400))
def test_foreign_bytes_are_never_a_token(content):
    assert not is_whole_token_object(content)


@given(st.integers(0, len(token_object()) - 1), st.binary(min_size=1, max_size=9))
def test_damaged_bytes_never_crash_the_check(at, damage):
    content = bytearray(token_object())
    content[at : at + len(damage)] = damage
    assert is_whole_token_object(bytes(content)) in {True, False}


def test_the_copy_lies_outside_every_token_folder_and_is_private(token_dir):
    report = protect_softhsm_store(token_dir)
    copy = token_dir.parent / "tokens.protected" / "one" / "token.object.protected"
    assert report.copied == ("one",)
    assert copy.read_bytes() == token_object()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert stat.S_IMODE(copy.parent.parent.stat().st_mode) == 0o700
    assert [path.name for path in (token_dir / "one").iterdir()] == ["token.object"]


@pytest.mark.parametrize(
    "left",
    [b"", token_object()[:100], CUT_BEFORE_USER_PIN, bytes(320)],
    ids=["empty", "cut", "cut before the user's PIN", "zeros"],
)
def test_a_file_that_is_not_whole_is_put_back(token_dir, left):
    protect_softhsm_store(token_dir)
    (token_dir / "one" / "token.object").write_bytes(left)
    assert protect_softhsm_store(token_dir).restored == ("one",)
    assert (token_dir / "one" / "token.object").read_bytes() == token_object()


def test_a_token_without_a_user_is_left_alone_and_never_replaces_the_copy(token_dir):
    protect_softhsm_store(token_dir)
    live = token_dir / "one" / "token.object"
    live.write_bytes(WITHOUT_USER)
    assert protect_softhsm_store(token_dir) == ((), (), ())
    assert live.read_bytes() == WITHOUT_USER
    live.write_bytes(b"")
    assert protect_softhsm_store(token_dir).restored == ("one",)
    assert live.read_bytes() == token_object()


def test_a_file_that_vanished_is_put_back(token_dir):
    protect_softhsm_store(token_dir)
    (token_dir / "one" / "token.object").unlink()
    assert protect_softhsm_store(token_dir).restored == ("one",)


def test_a_file_that_changed_is_copied_again(token_dir):
    protect_softhsm_store(token_dir)
    (token_dir / "one" / "token.object").write_bytes(token_object(generation=10))
    assert protect_softhsm_store(token_dir).copied == ("one",)
    (token_dir / "one" / "token.object").write_bytes(b"")
    protect_softhsm_store(token_dir)
    assert (token_dir / "one" / "token.object").read_bytes() == token_object(generation=10)


def test_a_broken_file_never_replaces_the_copy_and_one_without_a_copy_is_reported(token_dir):
    (token_dir / "one" / "token.object").write_bytes(b"")
    assert protect_softhsm_store(token_dir).lost == ("one",)
    assert not (token_dir.parent / "tokens.protected").exists()


def test_a_store_that_does_not_exist_holds_no_tokens(tmp_path):
    assert protect_softhsm_store(tmp_path / "absent") == ((), (), ())


def test_syncing_takes_a_whole_store(token_dir):
    sync_softhsm_store(token_dir)


def test_syncing_passes_over_what_another_process_destroyed_meanwhile(token_dir):
    (token_dir / "gone.lock").symlink_to(token_dir / "destroyed")
    sync_softhsm_store(token_dir)


def test_the_configuration_names_the_directory_and_makes_it(tmp_path):
    write_softhsm_config(tmp_path / "softhsm2.conf", tmp_path / "home" / "tokens")
    assert f"directories.tokendir = {tmp_path}/home/tokens\n" in (tmp_path / "softhsm2.conf").read_text()
    assert stat.S_IMODE((tmp_path / "home" / "tokens").stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["a#b", "a\nlog.level = DEBUG", "trailing "])
def test_a_path_that_the_configuration_cannot_express_is_refused(tmp_path, name):
    with pytest.raises(ConfigError):
        write_softhsm_config(tmp_path / "softhsm2.conf", tmp_path / name)
