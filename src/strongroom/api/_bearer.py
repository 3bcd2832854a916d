"""Callers of the admin API known by a bearer token (RFC 6750): a signed JWT of the configured OpenID Connect issuer.

The signature is checked by PyJWT with a key of the issuer's key set, whose algorithm goes with the key, never with the
token (RFC 8725, section 3.1). Everything around that is decided here: the form, the header, the claims, by our clock.

    Authorization: Bearer TOKEN ─► three parts, within 8 KiB ─► header: alg allowed, kid known, nothing critical
        ─► signature ─► iss, aud, exp, nbf, iat ─► the first caller of the configuration that a claim names

No part of a token is quoted in an answer, an error or a log. What was wrong with its claims is told only when its signature is good.
"""

import hashlib
import re
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from strongroom.api._errors import ApiError
from strongroom.api._http import Request
from strongroom.api._json import require_single_members
from strongroom.api._jwks import BadTokenError, IssuerKey
from strongroom.core import Clock, conflict_of

MAX_TOKEN_LEN: Final = 8_192
MAX_NESTING: Final = 8
_MAX_CREDENTIAL_LEN: Final = 500
"""Of what the record of a refusal says of the callers that a token stands for."""
_SCHEME: Final = re.compile(r"bearer ", re.IGNORECASE)
_TOKEN: Final = re.compile(r"([A-Za-z0-9_-]{1,2048})\.([A-Za-z0-9_-]{1,8192})\.([A-Za-z0-9_-]{1,2048})")
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})
"""Of tokens that say who somebody is or what it may (RFC 7519, 5.1; RFC 9068, 2.1), in lower case; logout tokens and their like are others."""
_NAME: Final = re.compile(r"[!-~]{1,255}")
_SUBJECT: Final = re.compile(r"[!-~](?:[ -~]{0,253}[!-~])?")
"""Distinguished names have blanks within."""
_HELP: Final = "The bearer token is not valid."


class TokenCaller(NamedTuple):
    """A caller of the configuration."""

    identity: str
    """What the audit log calls the credential, and roles are looked up by."""
    claim: tuple[str, ...]
    """Where the claim stands: one name, or those of the objects around it first."""
    value: str
    """What the claim is, or has among its values."""
    principal: str
    roles: frozenset[str] = frozenset()
    """As configured: whoever shows one token for several callers may not be two that are kept apart."""


class TokenRules(NamedTuple):
    """Which tokens count, and for whom. From the configuration."""

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    leeway_s: float
    max_lifetime_s: float
    """From ``iat`` to ``exp``."""
    callers: tuple[TokenCaller, ...]
    """The first that fits is it, unless the roles of all that fit are kept apart."""
    region: str
    """In the ARNs of callers known by a token, which names none."""


class TokenBearer(NamedTuple):
    """Who showed a token."""

    principal: str
    identity: str
    region: str
    credential_detail: Mapping[str, str]
    """For the audit log: the subject, and what tells the token from others (its ``jti``, else its hash)."""


class _Header(Struct, frozen=True):
    alg: str
    kid: str
    typ: str = "JWT"
    crit: Any = None
    cty: Any = None
    b64: Any = None


class _Claims(Struct, frozen=True):
    iss: str
    sub: str
    aud: str | list[str]
    exp: float
    iat: float
    nbf: float = 0.0
    jti: str = ""
    cnf: Any = None


class BearerTokens:
    """Verifies tokens. For one event loop; holds nothing of a token."""

    def __init__(
        self, rules: TokenRules, find_key: Callable[[str], IssuerKey | None], *, clock: Clock
    ) -> None:
        """``find_key`` returns the issuer's key of a ``kid``, from memory."""
        self._rules = rules
        self._find_key = find_key
        self._clock = clock

    def shown(self, request: Request) -> bool:
        """Whether a request shows a bearer token."""
        return _SCHEME.match(request.by_name.get("authorization", "")) is not None

    def verify(self, request: Request) -> TokenBearer:
        """Return who shows the token of a request. Raises ApiError."""
        shown = [value for name, value in request.headers if name == "authorization"]
        token = _SCHEME.sub("", shown[-1], count=1).strip(" ")
        if len(shown) != 1 or len(token) > MAX_TOKEN_LEN:
            raise _invalid()
        parts = _TOKEN.fullmatch(token)
        if parts is None:
            raise _invalid()
        header = _header(parts[1])
        key = self._find_key(header.kid)
        if key is None or header.alg != key.algorithm or header.alg not in self._rules.algorithms:
            raise _invalid()
        try:
            payload = key.payload(token)
        except BadTokenError:
            raise _invalid() from None
        claims = self._checked(payload)
        return self._bearer(claims, payload, token)

    def _checked(self, payload: bytes) -> _Claims:
        try:
            claims = msgspec.json.decode(payload, type=_Claims)
            require_single_members(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ApiError):
            raise _invalid(
                "Its claims cannot be read, or it lacks one of iss, sub, aud, exp and iat."
            ) from None
        rules, now = self._rules, self._clock.now()
        audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        if claims.iss != rules.issuer:
            raise _invalid("It is of another issuer.")
        if rules.audience not in audiences:
            raise _invalid("It is for another audience.")
        if claims.exp <= now - rules.leeway_s:
            raise _invalid("It has expired.")
        if max(claims.nbf, claims.iat) > now + rules.leeway_s:
            raise _invalid("It is not valid yet.")
        if not 0 <= claims.exp - claims.iat <= rules.max_lifetime_s:
            raise _invalid("It lives too long.")
        if claims.cnf is not None:
            raise _invalid("It is bound to a key, whose possession cannot be shown here.")
        if _SUBJECT.fullmatch(claims.sub) is None:
            raise _invalid("Its subject is not of 1 to 255 printable ASCII characters.")
        return claims

    def _bearer(self, claims: _Claims, payload: bytes, token: str) -> TokenBearer:
        document = msgspec.json.decode(payload)
        fitting = [
            caller for caller in self._rules.callers if caller.value in _values_of(document, caller.claim)
        ]
        if not fitting:
            raise ApiError("UnrecognizedClientException", "The bearer token is of nobody who is known here.")
        _require_one_duty(fitting)
        name = claims.jti
        if _NAME.fullmatch(name) is None:
            name = "sha256:" + hashlib.sha256(token.encode("ascii")).hexdigest()
        credential_detail = MappingProxyType({"token_subject": claims.sub, "token": name})
        first = fitting[0]
        return TokenBearer(first.principal, first.identity, self._rules.region, credential_detail)


def _require_one_duty(fitting: list[TokenCaller]) -> None:
    """Refuse a token whose claims stand for duties that nobody holds together. Raises ApiError."""
    conflict = conflict_of(role for caller in fitting for role in caller.roles)
    if conflict is not None:
        raise ApiError(
            "AccessDeniedException",
            f"The bearer token stands for {conflict[0]} and {conflict[1]} at once: these duties are separate.",
            credential=" ".join(caller.identity for caller in fitting)[:_MAX_CREDENTIAL_LEN],
        )


def _header(part: str) -> _Header:
    """Read the header, of which nothing is verified."""
    try:
        data = urlsafe_b64decode(part + "=" * (-len(part) % 4))
        header = msgspec.json.decode(data, type=_Header)
        require_single_members(data)
    except (Base64Error, ValueError, msgspec.MsgspecError, RecursionError, ApiError):
        raise _invalid() from None
    is_usual = header.crit is None and header.cty is None and header.b64 is None
    if not is_usual or header.typ.lower() not in _TYPES:
        raise _invalid()
    return header


def _values_of(document: object, claim: tuple[str, ...]) -> list[Any]:
    """Return the values of a claim: a text, or a list of which texts count."""
    found = document
    for name in claim:
        found = found.get(name) if isinstance(found, dict) else None
    if isinstance(found, str):
        return [found]
    return [value for value in found if isinstance(value, str)] if isinstance(found, list) else []


def _invalid(why: str = "") -> ApiError:
    return ApiError(
        "InvalidBearerTokenException",
        f"{_HELP} {why}".rstrip(),
        status=401,
        header='www-authenticate: Bearer error="invalid_token"',
    )
