"""Shares as commands are given them that open a backup: in files, or typed unseen by one custodian after the other.

The words are never shown, and stand in this process alone, which keeps its memory to itself first.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import click

from strongroom.backup import AlteredShareError, BackupSet, WrongSetError, custodian_of_share
from strongroom.cli._errors import CliError
from strongroom.cli._officer_files import read_private
from strongroom.cli._output import visible
from strongroom.cli._share_source import typed_share
from strongroom.core import Secret, StrongroomError
from strongroom.shares import MAX_TEXT_CHARS, Share, ShareError, read_share
from strongroom.wiring.process_protection import protect_process
from strongroom.wiring.restore_shares import combined_share_key

AT_THE_TERMINAL: Final = Path("-")

share_option = click.option(
    "--share",
    "sources",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="The words of one share, in a file that only you can read; once for each. With - they are asked for here, unseen, one after"
    " the other.",
)


class ShareRefusedError(CliError):
    """One of several shares is not what it should be; the message says which, and why."""


def share_key_of(backup_set: BackupSet, sources: Sequence[Path], tell: Callable[[str], None]) -> Secret:
    """Return the key that the shares give. ``tell`` is told what the system refused of the protection of this process.

    Raises ShareRefusedError, ShareError, WrongSetError and CliError, and OSError.
    """
    for refused in protect_process():
        tell(refused)
    shares: list[Share] = []
    try:
        for source in sources:
            if source == AT_THE_TERMINAL:
                _ask_for_all(backup_set, shares, tell)
            else:
                shares.append(_from_file(backup_set, source, len(shares) + 1))
        return combined_share_key(backup_set, shares)
    finally:
        for share in shares:
            share.zeroize()


def _from_file(backup_set: BackupSet, source: Path, number: int) -> Share:
    raw = read_private(source, MAX_TEXT_CHARS)
    try:
        share = read_share(raw.decode("utf-8", "replace"))
        custodian_of_share(backup_set, share)
    except StrongroomError as error:
        raise ShareRefusedError(
            f"share {number} ({source}): {error.message}", next_step=error.next_step
        ) from error
    return share


def _ask_for_all(backup_set: BackupSet, shares: list[Share], tell: Callable[[str], None]) -> None:
    """Ask for as many shares as the set needs; whoever mistypes is told what is wrong, and asked again."""
    if not sys.stdin.isatty():
        raise CliError(
            "there is no terminal to ask for shares at", next_step="name files that hold them: --share FILE"
        )
    while len(shares) < backup_set.threshold:
        tell(f"share {len(shares) + 1} of {backup_set.threshold}")
        try:
            share = typed_share(is_alone=False)  # others are in the room
            custodian = custodian_of_share(backup_set, share)
            if share.index in {other.index for other in shares}:
                raise WrongSetError(f"share {share.index} was typed already")
        except (ShareError, WrongSetError, AlteredShareError) as error:
            tell(error.message)
            if error.next_step:
                tell(f"what to do: {error.next_step}")
            continue
        shares.append(share)
        tell(f"this is share {share.index}, of {visible(custodian.name)}")
