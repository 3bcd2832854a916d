"""What people see of domains."""

from enum import StrEnum
from typing import NamedTuple


class DomainKind(StrEnum):
    """What a domain is for."""

    SHARD = "shard"
    NAMED = "named"
    DEDICATED = "dedicated"
    CREDENTIALS = "credentials"


class Replacement(NamedTuple):
    """A rotation that goes on."""

    domain_id: str
    """The domain whose place is taken; it is removed when nothing is under its KEK any more."""
    started_at: float
    n_left: int
    """Keys (access keys, where it is theirs) that are still under the old KEK."""
    n_total: int


class DomainInfo(NamedTuple):
    """A domain, as people see it."""

    domain_id: str
    kind: DomainKind
    name: str | None
    n_keys: int
    """Keys that are not destroyed, with those that are still under the KEK which this one replaces."""
    max_keys: int | None
    """None for the domain of access keys."""
    created_at: float
    """When its KEK was made."""
    root_id: bytes
    replaces: Replacement | None = None


class DomainPage(NamedTuple):
    """Domains in the order of their ids; ``next_after`` is where to go on, None at the end."""

    domains: tuple[DomainInfo, ...]
    next_after: str | None
