"""The PINs of security officers, presented for one command: from files, at the terminal, or from a development home."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import click

from strongroom.cli._errors import CliError
from strongroom.cli._officer_files import read_private
from strongroom.config import Home, MemberConfig, PinSource, read_pin
from strongroom.core import ConfigError, Secret

_MAX_BYTES: Final = 1024


def so_pin_source(home: Home, named: Sequence[str]) -> Callable[[MemberConfig], Secret]:
    """Return what presents the PIN of a member's security officer. ``named``: ``MEMBER=PATH`` of each file.

    Raises CliError for a name that is none; what is returned raises ConfigError where nobody presents it.
    """
    files = dict(_split(one) for one in named)

    def present(member: MemberConfig) -> Secret:
        if member.name in files:
            return _first_line(files[member.name])
        lying = PinSource(file=f"pins/{member.name}-so")
        if (home.pins / f"{member.name}-so").exists() or not sys.stdin.isatty():
            try:
                return read_pin(lying, home.root)
            except ConfigError as error:
                raise ConfigError(
                    error.message, next_step=f"name a file that holds it: --so-pin-file {member.name}=PATH"
                ) from error
        typed = click.prompt(
            f"PIN of the security officer of member {member.name}", hide_input=True, err=True
        )
        return Secret.from_text(str(typed))

    return present


def _split(named: str) -> tuple[str, Path]:
    member, equals, path = named.partition("=")
    if not (member and equals and path):
        raise CliError("--so-pin-file wants MEMBER=PATH", next_step="such as alpha=/run/user/1000/alpha.so")
    return member, Path(path)


def _first_line(path: Path) -> Secret:
    line = read_private(path, _MAX_BYTES).split(b"\n", 1)[0].rstrip(b"\r")
    if not 1 <= len(line) <= _MAX_BYTES:
        raise CliError(f"the PIN in {path} is empty or too long", next_step="it stands on the first line")
    return Secret(line)
