"""The duties that are kept apart: roles of the service and of officers, and which of them nobody holds together.

Separation of duties as NIST SP 800-53 Rev. 5, control AC-5, asks for it. ``config`` and ``service`` hold principals to this, ``custody`` officers.
"""

from collections.abc import Iterable
from itertools import combinations
from typing import Final, Literal

RoleName = Literal[
    "security-officer", "crypto-officer", "crypto-user", "auditor", "operator", "custodian", "witness"
]  # fmt: skip
"""What a principal may be to the service; officers are any of these but ``crypto-user``."""

_APART: Final = ("auditor", "crypto-officer", "security-officer")
"""Nobody is two of these. An auditor reads logs and is nothing else besides, whatever it is."""


def conflict_of(roles: Iterable[str]) -> tuple[str, str] | None:
    """Return the first two roles, in the order of their names, that nobody may hold together; None when all agree."""
    for one, other in combinations(sorted(set(roles)), 2):
        if "auditor" in {one, other} or {one, other} <= set(_APART):
            return one, other
    return None
