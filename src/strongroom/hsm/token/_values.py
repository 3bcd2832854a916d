"""The values this room takes and gives."""

from enum import Enum
from typing import NamedTuple


class TokenSelector(NamedTuple):
    """Names a token by its serial number (better) or its label; exactly one must be given.

    Slot numbers are no way to name a token: they move when a token is initialised or a module restarts.
    """

    serial: str | None = None
    label: str | None = None

    def __str__(self) -> str:
        return f"serial {self.serial!r}" if self.serial is not None else f"label {self.label!r}"


class TokenIdentity(NamedTuple):
    """What a token says of itself (CK_TOKEN_INFO), without padding."""

    serial: str
    label: str
    manufacturer: str
    model: str
    firmware: str
    """``major.minor``."""


class KeyCheckValue(NamedTuple):
    """Bytes by which people compare keys; they spot mix-ups and prove nothing against an attacker."""

    kind: str
    """``CKA_CHECK_VALUE`` (first 3 bytes of an encrypted zero block) or ``CMAC-5``."""
    value: str
    """Lower-case hex digits."""


class Role(Enum):
    """As whom a token is opened. One process can hold a token as one of the two only."""

    USER = "user"
    """CKU_USER: may use and make keys."""
    SECURITY_OFFICER = "security officer"
    """CKU_SO: sees public objects only, and alone may mark a key as trusted."""


class ObjectSummary(NamedTuple):
    """One object as a list shows it."""

    object_class: str
    """Name of the CKO_ class in lower case, ``0x…`` for a class this code does not know, ``-`` for a ghost."""
    cka_id: bytes
    label: str
    is_ghost: bool
    """Half-written: the token lists it but cannot read its attributes."""
