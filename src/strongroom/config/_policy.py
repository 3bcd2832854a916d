"""``[policy]``: what holds for the whole partition, whatever a caller may do."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from strongroom.core import ConfigError, conflict_of


class PolicyConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The policy of the partition."""

    fips: bool = False
    """Only approved mechanisms and key sizes (``core.APPROVED_SPECS``), at every place where a key is made or used."""
    audit_required: bool = True
    """No intent in the audit log, no effect; no outcome in it, no answer. It is always so: false is refused."""


def check_policy(policy: PolicyConfig, path: Path) -> None:
    """Check what the types do not say. Raises ConfigError."""
    if not policy.audit_required:
        raise ConfigError(
            f"{path}: policy.audit_required = false: nothing is done here without an entry in the audit log",
            next_step="leave audit_required out",
        )


def check_duties(callers: Iterable[tuple[str, Iterable[str]]], path: Path) -> None:
    """Check that no principal is given roles that nobody holds together, by all that stands for it. Raises ConfigError.

    ``callers``: principals with roles; a principal may come several times.
    """
    held: dict[str, set[str]] = {}
    for principal, roles in callers:
        held.setdefault(principal, set()).update(roles)
    for principal, together in held.items():
        conflict = conflict_of(together)
        if conflict is not None:
            raise ConfigError(
                f"{path}: {principal} cannot be {conflict[0]} and {conflict[1]}: these duties are separate",
                next_step="give one of the roles to another principal",
            )
