"""Fixtures of the command line's tests: an environment without surprises, and homes."""

import shutil

import pytest

from cli_support import make_home, served
from strongroom.config import Home


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    """No AWS variable of whoever runs the tests, and a home that is not theirs."""
    for name in (
        "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE",
        "AWS_DEFAULT_REGION", "STRONGROOM_PORT",
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STRONGROOM_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session")
def home_template(tmp_path_factory):
    """Made once: keys and a database take a while."""
    return make_home(tmp_path_factory.mktemp("cli") / "home").root


@pytest.fixture
def home(tmp_path, home_template):
    """A complete home at STRONGROOM_HOME, whose tokens are absent."""
    return Home(shutil.copytree(home_template, tmp_path / "home"))


@pytest.fixture(scope="session")
def server(home_template):
    with served(Home(home_template)) as running:
        yield running


@pytest.fixture
def api(home, server, monkeypatch):
    """The API of ``home``, running, with no keys in it."""
    server.reset()
    monkeypatch.setenv("STRONGROOM_PORT", str(server.port))
    return server
