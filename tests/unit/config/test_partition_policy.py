"""``[policy]``, and that the configuration gives nobody roles that are kept apart."""

import pytest

from strongroom.config import CONFIG_FILE, PolicyConfig, load_config
from strongroom.core import ConfigError

MEMBER = """\
version = 1

[[cluster.members]]
name = "hsm-a"
profile = "softhsm2"
token_label = "strongroom-a"
pin = { file = "pins/a" }
"""
CLIENTS = """
[service]
tls_client_ca = "tls/client-ca.pem"
clients = [
  { identity = "dns:one", principal = "user/a", roles = ["%s"] },
  { identity = "dns:two", principal = "%s", roles = ["%s"] },
]
"""
OIDC = """
[oidc]
issuer = "https://login.example"
audience = "strongroom"
jwks_file = "keys.json"

[[oidc.callers]]
value = "a"
principal = "user/a"
roles = ["%s"]
"""


@pytest.fixture
def load(tmp_path):
    def load_text(text):
        (tmp_path / CONFIG_FILE).write_text(text)
        return load_config(tmp_path)

    return load_text


def test_no_home_is_in_fips_mode_unless_it_says_so(load):
    assert load(MEMBER).policy == PolicyConfig(fips=False, audit_required=True)
    assert load(MEMBER + "[policy]\nfips = true\n").policy.fips


def test_the_audit_log_cannot_be_switched_off(load):
    load(MEMBER + "[policy]\naudit_required = true\n")
    with pytest.raises(ConfigError, match="audit_required = false"):
        load(MEMBER + "[policy]\naudit_required = false\n")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("security-officer", "crypto-officer"),
        ("auditor", "crypto-officer"),
        ("auditor", "security-officer"),
        ("auditor", "crypto-user"),
        ("auditor", "operator"),
        ("witness", "auditor"),
    ],
)
def test_no_principal_gets_incompatible_roles_from_two_certificates(load, one, other):
    with pytest.raises(ConfigError, match=r"user/a cannot be .* these duties are separate"):
        load(MEMBER + CLIENTS % (one, "user/a", other))
    load(MEMBER + CLIENTS % (one, "user/b", other))


def test_nor_from_a_certificate_and_a_claim_of_tokens(load):
    with pytest.raises(ConfigError, match="crypto-officer and security-officer"):
        load(MEMBER + CLIENTS % ("crypto-user", "user/a", "crypto-officer") + OIDC % "security-officer")
    load(MEMBER + CLIENTS % ("crypto-user", "user/a", "crypto-officer") + OIDC % "operator")
