"""Shares as commands are given them: in files, or typed at the terminal by one custodian after the other.

The words are never shown, and stand in this process alone, which forbids core dumps of itself first.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import click

from strongroom.backup import BackupSet, WrongSetError
from strongroom.cli._errors import CliError
from strongroom.cli._officer_files import read_private
from strongroom.core import Secret, StrongroomError
from strongroom.shares import MAX_TEXT_CHARS, Share, ShareError, combine, read_share
from strongroom.wiring.process_protection import protect_process

AT_THE_TERMINAL: Final = Path("-")

share_option = click.option(
    "--share",
    "sources",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="The words of one share, in a file that only you can read; once for each. With - they are asked for here, one after the"
    " other.",
)


def share_key_of(backup_set: BackupSet, sources: Sequence[Path], tell: Callable[[str], None]) -> Secret:
    """Return the key that the shares give. ``tell`` is told of what locks the memory of this process did not get.

    Raises ShareError, WrongSetError and CliError, which say of which share, and OSError.
    """
    for refused in protect_process():
        tell(refused)
    shares: list[Share] = []
    try:
        for source in sources:
            if source == AT_THE_TERMINAL:
                _ask_for_all(backup_set, shares)
            else:
                shares.append(_from_file(backup_set, source, len(shares) + 1))
        return combine(shares)
    finally:
        for share in shares:
            share.zeroize()


def _from_file(backup_set: BackupSet, source: Path, number: int) -> Share:
    raw = read_private(source, MAX_TEXT_CHARS)
    try:
        return _share_of(backup_set, raw.decode())
    except UnicodeDecodeError as error:
        raise CliError(f"share {number} ({source}): the file is no text") from error
    except StrongroomError as error:
        raise _named(error, f"share {number} ({source})") from error


def _ask_for_all(backup_set: BackupSet, shares: list[Share]) -> None:
    """Ask for as many shares as the set needs; whoever mistypes is told what is wrong, and asked again."""
    if not sys.stdin.isatty():
        raise CliError(
            "there is no terminal to ask for shares at", next_step="name files that hold them: --share FILE"
        )
    while len(shares) < backup_set.threshold:
        number = len(shares) + 1
        typed = str(
            click.prompt(
                f"Share {number} of {backup_set.threshold}: all its words, in their order (nothing is shown)",
                hide_input=True,
                err=True,
            )
        )
        try:
            shares.append(_share_of(backup_set, typed))
        except (ShareError, WrongSetError) as error:
            click.echo(f"  {error.message}", err=True)
            if error.next_step:
                click.echo(f"  what to do: {error.next_step}", err=True)


def _share_of(backup_set: BackupSet, text: str) -> Share:
    share = read_share(text)
    if share.set_identifier != backup_set.slip39_identifier:
        raise WrongSetError(
            f"this is a share of another set: its first words say {share.set_identifier}, and those of"
            f" {backup_set.set_id} say {backup_set.slip39_identifier}",
            next_step="bring the shares of this set: each sheet names the set that it is of",
        )
    return share


def _named(error: StrongroomError, which: str) -> StrongroomError:
    """Return an error of the same class that says of which share it is."""
    if not isinstance(error, ShareError | WrongSetError):
        return error
    named = error.__class__.__new__(error.__class__)
    StrongroomError.__init__(named, f"{which}: {error.message}", next_step=error.next_step)
    return named
