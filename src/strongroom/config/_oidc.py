"""``[oidc]``: whose bearer tokens the admin API takes, and whom they stand for."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from strongroom.core import ConfigError, RoleName

_Principal = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9/_.@-]{1,128}\Z")]
_Text = Annotated[str, Meta(min_length=1, max_length=250)]
Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]  # fmt: skip
"""JWS algorithms with public keys; none of those with a shared secret, nor ``none``, can be configured."""


class _Section(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A table of the file."""


class TokenCallerConfig(_Section, frozen=True):
    """A caller, or all of a group, known by what a claim of the token says."""

    value: _Text
    """What the claim is; of a claim with several values, one of them. Compared character by character."""
    principal: _Principal
    roles: list[RoleName]
    claim: (
        Annotated[str, Meta(min_length=1, max_length=100)]
        | Annotated[list[_Text], Meta(min_length=1, max_length=8)]
    ) = "sub"
    """Name of the claim; for one within objects a list of names, such as ["realm_access", "roles"]."""

    @property
    def path(self) -> tuple[str, ...]:
        """The names that lead to the claim."""
        return (self.claim,) if isinstance(self.claim, str) else tuple(self.claim)

    @property
    def identity(self) -> str:
        """What the audit log calls callers of this kind."""
        return f"oidc:{'.'.join(self.path)}={self.value}"


class OidcConfig(_Section, frozen=True):
    """The issuer of the tokens, as OpenID Connect calls it. There is one."""

    issuer: Annotated[str, Meta(pattern=r"^https://[!-~]{1,500}\Z")]
    """Exactly as the tokens have it in ``iss``."""
    audience: _Text
    """What tokens for this service have in ``aud``; an audience that no other service has."""
    callers: Annotated[list[TokenCallerConfig], Meta(min_length=1, max_length=1_000)]
    """The first that fits a token is it; a token that none fits is nobody's."""
    jwks_file: str = ""
    """The issuer's public keys as a JSON Web Key Set: a file (path, relative to the home), read again when it changes."""
    jwks_url: str = ""
    """Or where they are fetched from by HTTPS, such as the issuer's ``jwks_uri``. Exactly one of the two."""
    jwks_ca_file: str = ""
    """CA file (path, relative to the home) for ``jwks_url``; that of the system when empty."""
    algorithms: Annotated[tuple[Algorithm, ...], Meta(min_length=1)] = ("RS256", "ES256", "EdDSA")
    leeway_s: Annotated[float, Meta(ge=0, le=300)] = 30.0
    """How far the clocks of issuer and service may be apart."""
    max_lifetime_s: Annotated[float, Meta(ge=1, le=604_800)] = 86_400.0
    """How long a token may live, from ``iat`` to ``exp``."""
    refresh_s: Annotated[float, Meta(ge=1, le=86_400)] = 300.0
    """How often the keys are looked for anew; sooner, but not within ``retry_s``, when a token names one that is not known."""
    retry_s: Annotated[float, Meta(ge=0.1, le=3_600)] = 30.0
    """How soon after an attempt there may be another."""
    max_stale_s: Annotated[float, Meta(ge=1, le=2_592_000)] = 86_400.0
    """How long the keys that were read last count while they cannot be read again."""


def check_oidc(oidc: OidcConfig, path: Path) -> None:
    """Check what the types do not say. Raises ConfigError."""
    if bool(oidc.jwks_file) == bool(oidc.jwks_url):
        raise ConfigError(f"{path}: oidc needs exactly one of jwks_file and jwks_url")
    if oidc.jwks_url:
        _check_url(oidc.jwks_url, path)
    elif oidc.jwks_ca_file:
        raise ConfigError(f"{path}: oidc.jwks_ca_file means nothing without jwks_url")
    identities = [caller.identity for caller in oidc.callers]
    if len(set(identities)) != len(identities):
        raise ConfigError(f"{path}: two of oidc.callers have the same claim and value")


def _check_url(url: str, path: Path) -> None:
    try:
        parts = urlsplit(url)
        is_good = (
            parts.scheme == "https"
            and bool(parts.hostname)
            and parts.port != 0
            and parts.username is None
            and not parts.fragment
            and url.isascii()
            and url.isprintable()
            and " " not in url
        )
    except ValueError:
        is_good = False
    if not is_good:
        raise ConfigError(f"{path}: oidc.jwks_url must be an https address without user and fragment")
