"""Who our officers are to the HSM of a profile, and the vendor's own quorum, as data (``vendor_duties.toml``), strictly read.

Words are for people: the pages of documentation and ``strongroom doctor``. The few fields that a program can compare with
what a token shows are typed.
"""

import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Annotated, Literal

import msgspec

from strongroom.core import ConfigError

_Words = Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)]
_Tries = Annotated[int, msgspec.Meta(ge=0, le=255)]


class VendorDuties(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Our roles in the words of one vendor."""

    title: str = ""
    """Name for people, of an HSM that has no profile."""
    worker: _Words
    """As whom a worker logs in."""
    security_officer: _Words
    crypto_officer: _Words
    auditor: _Words
    custodian: _Words
    backup: _Words
    """How the vendor's own means back keys up."""
    backup_kind: Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9-]{0,60}\Z")] = ""
    """What such a backup is called in ``backup record-vendor``; empty where there is none to make."""
    quorum: _Words
    """The vendor's own quorum: what it covers, and how ours stands beside it."""
    check_with: str = ""
    """What shows users and quorum of the vendor, for people to compare; empty where there are none."""
    login_required: Literal["yes", "no", "unknown"]
    """Whether the token asks for a login (CKF_LOGIN_REQUIRED)."""
    user_locks_after: _Tries = 0
    """Wrong PINs in a row until the user is locked; 0: never, or not known."""
    so_locks_after: _Tries = 0
    """The same of the security officer of the token."""
    so_lock_erases: bool = False
    """Whether so many wrong PINs of the security officer erase the token."""
    not_as: Annotated[tuple[str, ...], msgspec.Meta(max_length=16)] = ()
    """Users in a PIN (``user:password``, or the id of an authentication key) as whom no worker should log in."""


def known_duties() -> tuple[str, ...]:
    """Return the names that ``load_duties`` takes, sorted: those of all profiles, and of HSMs that have none."""
    return tuple(sorted(_table()))


def load_duties(name: str) -> VendorDuties:
    """Return the mapping for a profile. Raises ConfigError for a name that is not known."""
    return parse_duties(_table(), name)


def parse_duties(table: Mapping[str, Mapping[str, object]], name: str) -> VendorDuties:
    """Read one entry; ``same_as`` alone stands for another one. Raises ConfigError."""
    entry = table.get(name)
    if entry is not None and set(entry) == {"same_as"}:
        entry = table.get(str(entry["same_as"]))
    if entry is None:
        raise ConfigError(f"there is no mapping of duties for {name!r}")
    try:
        return msgspec.convert(
            {key: value.strip() if isinstance(value, str) else value for key, value in entry.items()},
            VendorDuties,
        )
    except msgspec.ValidationError as error:
        raise ConfigError(f"the mapping of duties for {name!r} is wrong: {error}") from error


def _table() -> dict[str, dict[str, object]]:
    return tomllib.loads((resources.files(__package__) / "vendor_duties.toml").read_text())
