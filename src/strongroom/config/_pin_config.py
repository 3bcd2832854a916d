"""Where PINs come from, and ``[pins]``: what they are sealed under, and how often they change."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

from strongroom.core import ConfigError


class _Section(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A table of the file."""


class SecretSource(_Section, frozen=True):
    """Where a secret comes from: exactly one of the two."""

    file: str | None = None
    """Path, relative to the home; mode 0400."""
    credential: str | None = None
    """Name of a systemd credential."""


class PinSource(SecretSource, frozen=True):
    """Where a PIN comes from: exactly one of the three."""

    sealed: str | None = None
    """Path, relative to the home, of a PIN that is sealed under ``pins.sealing_key``; the only kind that Strongroom changes."""


class PinsConfig(_Section, frozen=True):
    """``[pins]``."""

    sealing_key: SecretSource | None = None
    """The 32 bytes, as 64 hex digits, under which the sealed PINs of the home lie."""
    rotate_every_days: Annotated[int, Meta(ge=0, le=3_650)] = 90
    """After so many days a PIN is due to be changed; 0: never."""


class PinUse(NamedTuple):
    """A member's name and where its PIN comes from."""

    member: str
    source: PinSource


def check_pins(pins: PinsConfig, uses: Sequence[PinUse], path: Path) -> None:
    """Refuse sources that are none or two at once, and sealed PINs without a key. Raises ConfigError."""
    for use in uses:
        named = (use.source.file, use.source.credential, use.source.sealed)
        if sum(one is not None for one in named) != 1:
            raise ConfigError(
                f"{path}: the pin of member {use.member} needs exactly one of file, credential and sealed"
            )
        if use.source.sealed is not None and pins.sealing_key is None:
            raise ConfigError(
                f"{path}: the pin of member {use.member} is sealed, and pins.sealing_key is not set",
                next_step='name the key: [pins] sealing_key = { credential = "…" } or { file = "…" }',
            )
    sealed = [use.source.sealed for use in uses if use.source.sealed is not None]
    if len(set(sealed)) != len(sealed):
        raise ConfigError(f"{path}: two members have the same sealed PIN file")
    key = pins.sealing_key
    if key is not None and (key.file is None) == (key.credential is None):
        raise ConfigError(f"{path}: pins.sealing_key needs exactly one of file and credential")
