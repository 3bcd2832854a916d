"""A PIN comes from a private file or a systemd credential, whole, and is never shown."""

import os
import stat

import pytest

from strongroom.config import PinSource, read_pin
from strongroom.core import ConfigError

PIN = b"83920174"
IN_FILE = PinSource(file="pins/hsm-a")


@pytest.fixture
def put(tmp_path):
    def write(content, mode=0o400):
        path = tmp_path / "pins" / "hsm-a"
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        path.chmod(mode)
        return path

    return write


def refused(tmp_path, source=IN_FILE):
    with pytest.raises(ConfigError) as error:
        read_pin(source, tmp_path)
    assert PIN.decode() not in str(error.value)
    assert error.value.__context__ is None or PIN.decode() not in str(error.value.__context__)
    return str(error.value)


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o500])
def test_a_private_file_gives_the_pin(tmp_path, put, mode):
    put(PIN, mode)
    assert read_pin(IN_FILE, tmp_path).reveal() == PIN


@pytest.mark.parametrize("bit", [0o040, 0o004, 0o020, 0o002, 0o010, 0o001])
def test_a_file_that_others_may_touch_in_any_way_is_refused(tmp_path, put, bit):
    path = put(PIN, 0o400 | bit)
    assert f"chmod 0400 {path}" in refused(tmp_path)


def test_the_mode_that_counts_is_that_of_the_file_behind_a_link(tmp_path, put):
    path = put(PIN, 0o440)
    (tmp_path / "link").symlink_to(path)
    assert "others may read" in refused(tmp_path, PinSource(file="link"))


def test_an_absolute_path_leads_out_of_the_home(tmp_path, put):
    assert read_pin(PinSource(file=str(put(PIN))), tmp_path / "elsewhere").reveal() == PIN


def test_an_absent_file_is_refused_with_what_to_do(tmp_path):
    assert "mode 0400" in refused(tmp_path)


def test_a_folder_is_no_pin(tmp_path):
    (tmp_path / "pins" / "hsm-a").mkdir(parents=True)
    assert "cannot read" in refused(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_we_may_not_read_is_refused(tmp_path, put):
    put(PIN, 0o000)
    assert "cannot read" in refused(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 1025, b"x" * 1025 + b"\n", b"x" * 1024 + b"\n\n"])
def test_an_empty_or_over_long_pin_is_refused(tmp_path, put, content):
    put(content)
    assert "empty or over 1024 bytes" in refused(tmp_path)


@pytest.mark.parametrize(
    ("content", "pin"),
    [
        (PIN + b"\n", PIN),
        (PIN + b"\n\n", PIN + b"\n"),
        (PIN + b"\r\n", PIN + b"\r"),
        (b" " + PIN + b" ", b" " + PIN + b" "),
        (b"x" * 1024 + b"\n", b"x" * 1024),
        (b"p\0in\xff", b"p\0in\xff"),
    ],
)
def test_one_line_feed_at_the_end_is_no_part_of_the_pin_and_all_else_is(tmp_path, put, content, pin):
    put(content)
    assert read_pin(IN_FILE, tmp_path).reveal() == pin


def test_a_systemd_credential_gives_the_pin_whatever_its_mode(tmp_path, monkeypatch):
    path = tmp_path / "hsm-pin"
    path.write_bytes(PIN + b"\n")
    path.chmod(0o440)  # as systemd makes them
    assert stat.S_IMODE(path.stat().st_mode) == 0o440
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_pin(PinSource(credential="hsm-pin"), tmp_path / "home").reveal() == PIN


def test_a_credential_that_systemd_did_not_give_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert "cannot read" in refused(tmp_path, PinSource(credential="hsm-pin"))


def test_without_a_credentials_directory_the_error_names_it(tmp_path, monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert "CREDENTIALS_DIRECTORY" in refused(tmp_path, PinSource(credential="hsm-pin"))


def test_a_source_that_names_nothing_is_refused(tmp_path):
    assert "names no PIN" in refused(tmp_path, PinSource())
