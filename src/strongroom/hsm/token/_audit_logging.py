"""What the HSM of a profile logs itself, and what can be known of it from here, as data (``audit_logging.toml``), strictly read.

No HSM that has a profile tells by PKCS#11 whether it logs. So the state is what the vendor's documents make certain, and ``unknown`` else.
"""

import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Annotated, Literal

import msgspec

from strongroom.core import ConfigError

_Words = Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)]


class AuditLogging(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The log of one vendor's HSM."""

    records: Literal["all", "management", "nothing", "unknown"]
    """What it can log: uses of keys too, only what makes and destroys keys and users, or nothing."""
    state: Literal["on", "off", "unknown"]
    """Whether it does, as far as the vendor's documents make that certain."""
    known_by: _Words
    """Why that is so, in a sentence."""
    checkable: bool = False
    """Whether the interface that we have tells; so far none does."""
    how_to_check: _Words
    """What an administrator of the HSM looks at."""
    switch_on: _Words
    forward: _Words
    """How records leave it."""
    format: Literal["", "luna-syslog", "cloudhsm-cloudwatch", "yubihsm"] = ""
    """Which format of ``audit hsm import`` its records have; empty: they cannot be imported."""
    sources: Annotated[tuple[_Words, ...], msgspec.Meta(max_length=8)] = ()
    """The vendor's documents."""
    not_verified: Annotated[str, msgspec.Meta(max_length=1_000)] = ""
    """What of all this was not found in them."""


def known_audit_logging() -> tuple[str, ...]:
    """Return the names that ``load_audit_logging`` takes, sorted: those of all profiles."""
    return tuple(sorted(_table()))


def load_audit_logging(name: str) -> AuditLogging:
    """Return what is known for a profile. Raises ConfigError for a name that is not known."""
    return parse_audit_logging(_table(), name)


def parse_audit_logging(table: Mapping[str, Mapping[str, object]], name: str) -> AuditLogging:
    """Read one entry; ``same_as`` alone stands for another one. Raises ConfigError."""
    entry = table.get(name)
    if entry is not None and set(entry) == {"same_as"}:
        entry = table.get(str(entry["same_as"]))
    if entry is None:
        raise ConfigError(f"there is nothing about the audit log of {name!r}")
    try:
        return msgspec.convert(entry, AuditLogging)
    except msgspec.ValidationError as error:
        raise ConfigError(f"what stands about the audit log of {name!r} is wrong: {error}") from error


def _table() -> dict[str, dict[str, object]]:
    return tomllib.loads((resources.files(__package__) / "audit_logging.toml").read_text())
