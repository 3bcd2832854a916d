"""The public keys of a token issuer, out of a JSON Web Key Set (RFC 7517), read strictly and within bounds.

What is no key for checking signatures by an allowed algorithm is left out: issuers publish keys for other uses too. What
can only be a mistake is refused as a whole: a private key, symmetric keys beside public ones, one ``kid`` for two keys.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from strongroom.core import StrongroomError

if TYPE_CHECKING:
    from jwt import PyJWK

MAX_KEY_SET_BYTES: Final = 256 * 1024
MAX_KEYS: Final = 64
MAX_KEY_ID_LEN: Final = 256
_MAX_NUMBER_LEN: Final = 1_400
"""Characters of a modulus: 8,192 bits have 1,366 in base64url."""
_FAMILIES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"RSA": ("RS", "PS"), "EC": ("ES",), "OKP": ("EdDSA",)}
)
_SECRET: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""Members of private and symmetric keys (RFC 7518, section 6)."""


class KeySetError(StrongroomError):
    """A key set cannot be used; the message says why and quotes nothing of it."""


class BadTokenError(StrongroomError):
    """A token that a key did not sign, or that is none."""


class IssuerKey:
    """A public key of the issuer, for one algorithm. Immutable."""

    __slots__ = ("_key", "algorithm")

    def __init__(self, key: "PyJWK") -> None:
        self._key = key
        self.algorithm: Final[str] = key.algorithm_name

    def payload(self, token: str) -> bytes:
        """Return the payload of a token that was signed with this key. Raises BadTokenError, which quotes nothing of it."""
        from jwt.api_jws import decode

        try:
            payload: bytes = decode(
                token,
                key=self._key,
                algorithms=[self.algorithm],
                options={"verify_signature": True, "enforce_minimum_key_length": True},
            )
        except Exception:  # noqa: BLE001  # whatever the library finds wrong with it; its words quote the token
            raise BadTokenError("the token was not signed with this key") from None
        return payload


class _KeySet(Struct, frozen=True):
    keys: list[dict[str, Any]]


def read_key_set(data: bytes, algorithms: Sequence[str]) -> Mapping[str, IssuerKey]:
    """Return the keys for the allowed algorithms by their ``kid``. Raises KeySetError.

    Each key has its algorithm with it: its own ``alg``, else the first of the allowed ones that fits its type.
    """
    if len(data) > MAX_KEY_SET_BYTES:
        raise KeySetError(f"the key set has more than {MAX_KEY_SET_BYTES:,} bytes")
    try:
        listed = msgspec.json.decode(data, type=_KeySet).keys
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise KeySetError("the key set is not a JSON object with a list 'keys'") from None
    if len(listed) > MAX_KEYS:
        raise KeySetError(f"the key set has more than {MAX_KEYS} keys")
    found: dict[str, IssuerKey] = {}
    for members in listed:
        if not _SECRET.isdisjoint(members):
            raise KeySetError(
                "the key set has a private or symmetric key",
                next_step="treat that key as compromised; a key set has public keys only",
            )
        key_id, algorithm = members.get("kid"), _algorithm_of(members, algorithms)
        if not isinstance(key_id, str) or not 0 < len(key_id) <= MAX_KEY_ID_LEN or algorithm is None:
            continue
        if key_id in found:
            raise KeySetError("two keys of the key set have the same kid")
        key = _key_of(members, algorithm)
        if key is not None:
            found[key_id] = key
    if not found:
        raise KeySetError("the key set has no key with a kid for any of the allowed algorithms")
    return MappingProxyType(found)


def _algorithm_of(members: Mapping[str, Any], algorithms: Sequence[str]) -> str | None:
    """Return by which allowed algorithm a key verifies signatures; None when by none."""
    if members.get("use", "sig") != "sig":
        return None
    operations = members.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    kind = members.get("kty")
    families = _FAMILIES.get(kind, ()) if isinstance(kind, str) else ()
    fitting = [name for name in algorithms if name.startswith(families)] if families else []
    own = members.get("alg")
    if own is not None:
        return own if isinstance(own, str) and own in fitting else None
    if kind == "EC":
        fitting = [name for name in fitting if _CURVES.get(name) == members.get("crv")]
    return fitting[0] if fitting else None


_CURVES: Final[Mapping[str, str]] = MappingProxyType({"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"})


def _key_of(members: Mapping[str, Any], algorithm: str) -> IssuerKey | None:
    from jwt import PyJWK  # late: a service without token issuer never needs it
    from jwt.exceptions import PyJWTError

    if any(isinstance(value, str) and len(value) > _MAX_NUMBER_LEN for value in members.values()):
        return None
    if members.get("kty") == "EC" and members.get("crv") != _CURVES.get(algorithm):
        return None
    named = {name: members[name] for name in ("kty", "crv", "n", "e", "x", "y") if name in members}
    try:
        key = PyJWK({**named, "kid": members["kid"]}, algorithm)
    except (PyJWTError, ValueError, TypeError, KeyError, OverflowError):
        return None
    return IssuerKey(key)
