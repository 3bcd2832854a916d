"""Callers of the configuration: one list of roles for certificates and tokens, one principal for both."""

from msgspec.structs import replace

from oidc_support import CALLERS
from strongroom.config import (
    ClientConfig,
    ClusterConfig,
    Config,
    Home,
    MemberConfig,
    OidcConfig,
    PinSource,
    ServiceConfig,
    TokenCallerConfig,
)
from strongroom.core import SystemClock
from strongroom.service import Held
from strongroom.wiring.configured_callers import (
    bearer_tokens,
    client_identities,
    configured_callers,
    token_rules,
)

PLAIN = Config(
    version=1,
    cluster=ClusterConfig(members=[MemberConfig(name="a", profile="softhsm2", pin=PinSource(file="x"), token_label="l")]),
)  # fmt: skip
OIDC = OidcConfig(
    issuer="https://i.example",
    audience="a",
    jwks_file="keys.json",
    callers=[
        TokenCallerConfig(value="alice", principal="user/alice", roles=["operator"]),
        TokenCallerConfig(value="kms-officers", claim=["realm_access", "roles"], principal="role/officers", roles=["crypto-officer"]),
        TokenCallerConfig(value="operators", claim="groups", principal="role/operators", roles=[]),
    ],
)  # fmt: skip
SERVICE = ServiceConfig(
    tls_client_ca="ca.pem",
    client_region="eu-central-1",
    clients=[ClientConfig(identity="dns:app.internal", principal="user/alice", roles=["crypto-user"])],
)
BOTH = replace(PLAIN, oidc=OIDC, service=SERVICE)


def test_each_identity_has_its_own_roles():
    assert set(configured_callers(BOTH)) == {
        Held("dns:app.internal", "user/alice", frozenset({"crypto-user"})),
        Held("oidc:sub=alice", "user/alice", frozenset({"operator"})),
        Held("oidc:realm_access.roles=kms-officers", "role/officers", frozenset({"crypto-officer"})),
        Held("oidc:groups=operators", "role/operators", frozenset()),
    }


def test_what_is_not_configured_is_not_there(tmp_path):
    assert configured_callers(PLAIN) == ()
    assert client_identities(PLAIN) is None
    assert bearer_tokens(PLAIN, Home(tmp_path), SystemClock()) == (None, None)


def test_the_rules_for_tokens_are_those_of_the_configuration():
    rules = token_rules(OIDC, region="eu-central-1")
    assert [caller._replace(roles=frozenset()) for caller in rules.callers] == list(CALLERS)
    assert [set(caller.roles) for caller in rules.callers] == [{"operator"}, {"crypto-officer"}, set()]
    assert (rules.issuer, rules.audience, rules.region) == ("https://i.example", "a", "eu-central-1")
