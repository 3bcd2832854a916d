"""Callers that stand in the configuration and not in the database: by client certificate and by bearer token."""

from strongroom.api import BearerTokens, ClientIdentities, TokenCaller, TokenRules
from strongroom.config import ClientConfig, Config, Home, OidcConfig, TokenCallerConfig
from strongroom.core import Clock
from strongroom.service import ChainDocuments, CustodyBook, Held
from strongroom.wiring.issuer_keys import IssuerKeys


def configured_callers(config: Config) -> tuple[Held, ...]:
    """Return each identity, as audit log and policies know it, with its principal and roles."""
    callers: list[ClientConfig | TokenCallerConfig] = [*config.service.clients]
    if config.oidc is not None:
        callers += config.oidc.callers
    return tuple(Held(caller.identity, caller.principal, frozenset[str](caller.roles)) for caller in callers)


def officers_of(config: Config, documents: ChainDocuments) -> CustodyBook | None:
    """Return who the officers are as the chain has them; None where the home has no custody."""
    return None if config.custody is None else CustodyBook(documents, config.custody.genesis_sha256)


def client_identities(config: Config) -> ClientIdentities | None:
    """Return who is known by a client certificate; None when nobody is."""
    clients = {client.identity: client.principal for client in config.service.clients}
    return ClientIdentities(clients, region=config.service.client_region) if clients else None


def bearer_tokens(config: Config, home: Home, clock: Clock) -> tuple[IssuerKeys | None, BearerTokens | None]:
    """Return who keeps the issuer's keys, and who verifies tokens with them; nobody when no tokens are taken."""
    if config.oidc is None:
        return None, None
    issuer = IssuerKeys(config.oidc, home, clock=clock)
    rules = token_rules(config.oidc, region=config.service.client_region)
    return issuer, BearerTokens(rules, issuer.find, clock=clock)


def token_rules(oidc: OidcConfig, *, region: str) -> TokenRules:
    """Return which bearer tokens count, and for whom."""
    callers = [
        TokenCaller(caller.identity, caller.path, caller.value, caller.principal, frozenset(caller.roles))
        for caller in oidc.callers
    ]
    return TokenRules(
        issuer=oidc.issuer,
        audience=oidc.audience,
        algorithms=oidc.algorithms,
        leeway_s=oidc.leeway_s,
        max_lifetime_s=oidc.max_lifetime_s,
        callers=tuple(callers),
        region=region,
    )
