"""What is read from the environment, and what a child process gets of it."""

import os
from pathlib import Path

import pytest

from strongroom.config import (
    Home,
    client_environment,
    default_port,
    home_from_environment,
    port_override,
    runtime_base,
    softhsm_module,
    worker_environment,
)
from strongroom.core import ConfigError


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    for name in (
        "STRONGROOM_HOME", "STRONGROOM_PORT", "STRONGROOM_SOFTHSM_MODULE", "RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR",
        "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_CA_BUNDLE", "AWS_DEFAULT_REGION",
        "AWS_SESSION_TOKEN",
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "name",
    [
        "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "CREDENTIALS_DIRECTORY", "HSM_PIN",
        "PGPASSWORD", "GITHUB_TOKEN", "VAULT_TOKEN", "SSH_AUTH_SOCK", "HOME", "PYTHONSTARTUP", "PYTHONINSPECT",
        "XSTRONGROOM_PIN",
    ],
)  # fmt: skip
def test_a_child_gets_nothing_that_could_hold_a_credential(monkeypatch, name):
    monkeypatch.setenv(name, "do-not-pass-on")
    passed = worker_environment({})
    assert name not in passed
    assert "do-not-pass-on" not in passed.values()


def test_a_child_gets_what_it_needs_and_what_it_is_given(monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setenv("STRONGROOM_SOFTHSM_MODULE", "/lib/softhsm.so")
    passed = worker_environment({"SOFTHSM2_CONF": "/x", "PATH": "/mine"})
    assert passed["STRONGROOM_SOFTHSM_MODULE"] == "/lib/softhsm.so"
    assert passed["SOFTHSM2_CONF"] == "/x"
    assert passed["PATH"] == "/mine"


def test_the_home_is_the_one_named_else_that_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home_from_environment() == tmp_path / ".local" / "share" / "strongroom"
    monkeypatch.setenv("STRONGROOM_HOME", "")
    assert home_from_environment() == tmp_path / ".local" / "share" / "strongroom"
    monkeypatch.setenv("STRONGROOM_HOME", "relative/home")
    assert home_from_environment() == Path.cwd() / "relative" / "home"


def test_the_port_is_8443_unless_named(monkeypatch):
    assert (default_port(), port_override()) == (8443, None)
    monkeypatch.setenv("STRONGROOM_PORT", "9443")
    assert (default_port(), port_override()) == (9443, 9443)


@pytest.mark.parametrize("text", ["0", "65536", "-1", "8443 ", "http", "8_443", "1e3", "²"])
def test_what_is_no_port_is_refused(monkeypatch, text):
    monkeypatch.setenv("STRONGROOM_PORT", text)
    with pytest.raises(ConfigError, match="STRONGROOM_PORT"):
        port_override()


def test_sockets_live_where_systemd_says_else_in_the_session_else_in_the_temporary_folder(
    monkeypatch, tmp_path
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert runtime_base() == tmp_path
    (tmp_path / "session").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "session"))
    assert runtime_base() == tmp_path / "session"
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "absent"))
    assert runtime_base() == tmp_path / "session"
    (tmp_path / "absent").mkdir()
    assert runtime_base() == tmp_path / "absent"


@pytest.mark.parametrize("name", ["XDG_RUNTIME_DIR", "RUNTIME_DIRECTORY"])
def test_a_folder_that_another_user_owns_or_may_write_to_is_no_place_for_sockets(monkeypatch, tmp_path, name):
    """As with sudo, which may leave the variable of whoever called it."""
    monkeypatch.setenv("TMPDIR", "/tmp")
    monkeypatch.setattr("tempfile.tempdir", None)
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv(name, str(folder))
    assert runtime_base() == folder
    for mode in (0o770, 0o707, 0o720):
        folder.chmod(mode)
        assert runtime_base() == Path("/tmp")
    folder.chmod(0o700)
    real = os.geteuid()
    monkeypatch.setattr("os.geteuid", lambda: real + 1)
    assert runtime_base() == Path("/tmp")


def test_softhsm_may_lie_elsewhere(monkeypatch):
    assert softhsm_module() is None
    monkeypatch.setenv("STRONGROOM_SOFTHSM_MODULE", "/lib/softhsm.so")
    assert softhsm_module() == "/lib/softhsm.so"


def test_half_an_access_key_counts_as_none_and_the_secret_is_not_shown(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush")
    assert client_environment()[:3] == (None, None, None)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    found = client_environment()
    assert found.access_key_id == "AKIA"
    assert found.secret_access_key.reveal() == b"hush-hush"
    assert "hush-hush" not in repr(found)


def test_nothing_in_the_home_lies_outside_it(tmp_path):
    home = Home(tmp_path)
    places = [getattr(home, name) for name, found in vars(Home).items() if isinstance(found, property)]
    assert len(places) == len(set(places)) > 8
    assert all(place.is_relative_to(tmp_path) and place != tmp_path for place in places)
