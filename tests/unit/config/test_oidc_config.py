"""``[oidc]``: what is taken, what is refused, and that it is written as it is read."""

import pytest

from strongroom.config import load_config, render_config
from strongroom.core import ConfigError

MEMBERS = 'version = 1\n[[cluster.members]]\nname = "alpha"\nprofile = "softhsm2"\ntoken_label = "x"\npin = { file = "p" }\n'
GOOD = (
    'issuer = "https://login.example.com/"\naudience = "strongroom"\njwks_file = "oidc/keys.json"\n'
    'callers = [{ value = "alice", principal = "user/alice", roles = ["operator"] },'
    ' { claim = ["realm_access", "roles"], value = "kms", principal = "role/kms", roles = [] }]\n'
)


def written(home, oidc):
    (home / "strongroom.toml").write_text(f"{MEMBERS}\n[oidc]\n{oidc}")
    return load_config(home)


def test_what_is_read_is_written_the_same(tmp_path):
    config = written(tmp_path, GOOD)
    assert [caller.identity for caller in config.oidc.callers] == [
        "oidc:sub=alice",
        "oidc:realm_access.roles=kms",
    ]
    assert config.oidc.callers[1].path == ("realm_access", "roles")
    assert config.oidc.algorithms == ("RS256", "ES256", "EdDSA")
    (tmp_path / "strongroom.toml").write_text(render_config(config))
    assert load_config(tmp_path) == config


def test_without_the_section_no_tokens_are_taken(tmp_path):
    (tmp_path / "strongroom.toml").write_text(MEMBERS)
    assert load_config(tmp_path).oidc is None


@pytest.mark.parametrize(("change", "words"), [
    (('jwks_file = "oidc/keys.json"', ""), "exactly one"),
    (('jwks_file = "oidc/keys.json"', 'jwks_file = "x"\njwks_url = "https://a/b"'), "exactly one"),
    (('jwks_file = "oidc/keys.json"', 'jwks_url = "http://a/b"'), "https"),
    (('jwks_file = "oidc/keys.json"', 'jwks_url = "https://user:secret@a/b"'), "https"),
    (('jwks_file = "oidc/keys.json"', 'jwks_url = "https:///b"'), "https"),
    (('jwks_file = "oidc/keys.json"', 'jwks_url = "https://a:99999/b"'), "https"),
    (('jwks_file = "oidc/keys.json"', 'jwks_url = "https://a/b c"'), "https"),
    (('jwks_file = "oidc/keys.json"', 'jwks_file = "x"\njwks_ca_file = "y"'), "jwks_ca_file"),
    (('issuer = "https://', 'issuer = "http://'), "issuer"),
    (('"alice"', '""'), "value"),
    (('claim = ["realm_access", "roles"], value = "kms"', 'value = "alice"'), "same claim"),
    (('"operator"', '"root"'), "roles"),
    (('audience = "strongroom"', 'audience = "strongroom"\nalgorithms = ["none"]'), "algorithms"),
    (('audience = "strongroom"', 'audience = "strongroom"\nalgorithms = ["HS256"]'), "algorithms"),
    (('audience = "strongroom"', 'audience = "strongroom"\nalgorithms = []'), "algorithms"),
    (('audience = "strongroom"', 'audience = ""'), "audience"),
    (('audience = "strongroom"', 'audience = "strongroom"\nleeway_s = 301'), "leeway_s"),
    (('audience = "strongroom"', 'audience = "strongroom"\nverify = false'), "verify"),
])  # fmt: skip
def test_what_cannot_be_meant_is_refused_by_name(tmp_path, change, words):
    assert change[0] in GOOD
    with pytest.raises(ConfigError, match=words):
        written(tmp_path, GOOD.replace(*change))


def test_an_issuer_needs_callers(tmp_path):
    with pytest.raises(ConfigError, match="callers"):
        written(tmp_path, GOOD.split("callers", maxsplit=1)[0])
