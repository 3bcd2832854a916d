"""The PINs of security officers, presented for one command: from files, at the terminal, or from a development home."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from strongroom.cli._errors import CliError
from strongroom.cli._officer_files import ask_pin
from strongroom.config import Home, MemberConfig, PinSource, read_pin
from strongroom.core import ConfigError, Secret


def so_pin_source(home: Home, named: Sequence[str]) -> Callable[[MemberConfig], Secret]:
    """Return what presents the PIN of a member's security officer. ``named``: ``MEMBER=PATH`` of each file.

    Raises CliError for a name that is none; what is returned raises ConfigError where nobody presents it.
    """
    files = dict(_split(one) for one in named)

    def present(member: MemberConfig) -> Secret:
        file = files.get(member.name)
        is_here = (home.pins / f"{member.name}-so").exists()
        if file is None and (is_here or not sys.stdin.isatty()):
            try:
                return read_pin(PinSource(file=f"pins/{member.name}-so"), home.root)
            except ConfigError as error:
                raise ConfigError(
                    error.message, next_step=f"name a file that holds it: --so-pin-file {member.name}=PATH"
                ) from error
        return ask_pin(file, f"PIN of the security officer of member {member.name}")

    return present


def _split(named: str) -> tuple[str, Path]:
    member, equals, path = named.partition("=")
    if not (member and equals and path):
        raise CliError("--so-pin-file wants MEMBER=PATH", next_step="such as alpha=/run/user/1000/alpha.so")
    return member, Path(path)
