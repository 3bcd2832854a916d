"""Who may do what: roles and verbs, deny by default.

Roles separate duties: who manages keys need not be able to use them, and the other way round.
"""

from enum import StrEnum
from typing import Final

from strongroom.service._errors import AccessDeniedError


class Role(StrEnum):
    """What a principal may be. One principal may hold several."""

    CRYPTO_OFFICER = "crypto-officer"
    """Manages keys and aliases."""
    CRYPTO_USER = "crypto-user"
    """Uses keys."""
    OPERATOR = "operator"
    """Looks after the health of the service."""


_LOOKING: Final = frozenset({Role.CRYPTO_OFFICER, Role.CRYPTO_USER, Role.OPERATOR})
_MANAGING: Final = frozenset({Role.CRYPTO_OFFICER})
_USING: Final = frozenset({Role.CRYPTO_USER})

ROLES_FOR: Final = {
    "CreateKey": _MANAGING,
    "CreateAlias": _MANAGING,
    "EnableKey": _MANAGING,
    "DisableKey": _MANAGING,
    "DescribeKey": _LOOKING,
    "ListKeys": _LOOKING,
    "ListAliases": _LOOKING,
    "GenerateDataKey": _USING,
    "Encrypt": _USING,
    "Decrypt": _USING,
    "ReadStatus": frozenset({Role.OPERATOR}),
}
"""Verb to the roles that allow it. A verb that does not stand here is allowed to nobody."""


class RolePolicy:
    """Decides by the roles of each principal. Immutable: a change of roles makes a new policy."""

    def __init__(self, roles_of: dict[str, frozenset[str]]) -> None:
        self._roles_of = dict(roles_of)

    def require(self, principal: str, verb: str) -> None:
        """Return if the principal may. Raises AccessDeniedError."""
        held = self._roles_of.get(principal, frozenset())
        if not held & ROLES_FOR.get(verb, frozenset()):
            raise AccessDeniedError(principal, verb)
