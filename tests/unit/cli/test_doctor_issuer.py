"""``doctor`` on the issuer of bearer tokens: its keys can be read, or it says why not."""

import msgspec
import pytest

from cli_support import make_home, run
from oidc_support import Issuer
from strongroom.cli._checks import findings_of
from strongroom.cli._checks_home import check_issuer
from strongroom.config import OidcConfig, TokenCallerConfig, load_config, render_config
from strongroom.core import SystemClock

CALLER = TokenCallerConfig(value="alice", principal="user/alice", roles=[])


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path / "home")


def findings(home, **source):
    oidc = OidcConfig(issuer="https://i.example", audience="a", callers=[CALLER], **source)
    home.config_file.write_text(render_config(msgspec.structs.replace(load_config(home.root), oidc=oidc)))
    config = load_config(home.root)
    return [
        (finding.level, finding.message)
        for finding in findings_of("token issuer", lambda: check_issuer(home, config, SystemClock()))
    ]


def test_without_an_issuer_there_is_nothing_to_say(home):
    assert not list(check_issuer(home, load_config(home.root), SystemClock()))


def test_keys_that_can_be_read_are_counted(home):
    (home.root / "keys.json").write_bytes(Issuer().key_set())
    assert findings(home, jwks_file="keys.json") == [("ok", "3 keys of https://i.example can be read")]


@pytest.mark.parametrize("content", [None, b"", b'{"keys": []}'])
def test_keys_that_cannot_be_read_fail(home, content):
    if content is not None:
        (home.root / "keys.json").write_bytes(content)
    ((level, _),) = findings(home, jwks_file="keys.json")
    assert level == "fail"
    assert "token issuer" in run("doctor").stdout


def test_an_issuer_that_is_away_fails(home):
    ((level, message),) = findings(home, jwks_url="https://localhost:1/keys", jwks_ca_file="tls/ca.pem")
    assert (level, message) == ("fail", "the issuer's keys cannot be read: ConnectionRefusedError")
