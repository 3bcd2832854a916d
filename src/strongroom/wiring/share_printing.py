"""A share sheet goes to a printer through a program that reads PDF from its standard input, such as ``/usr/bin/lp``.

We write it to no file. What the program and the printer keep is theirs: docs/printing.md says what to look after.
"""

import asyncio
import contextlib
import datetime as dt
from collections.abc import Sequence
from typing import Final

from strongroom.ceremony import Participant
from strongroom.core import Clock, StrongroomError
from strongroom.paper import PaperError, ShareSheet, share_sheet_pdf
from strongroom.shares import Share
from strongroom.wiring.printing_fonts import printing_fonts
from strongroom.wiring.share_delivery import ShareAddress, share_sheet

PRINT_LIMIT_S: Final = 120.0


class PrintingError(StrongroomError):
    """The program did not take the sheet. Nothing of the share is in the message."""


class SheetPrinter:
    """Prints the sheets of one ceremony."""

    def __init__(self, command: Sequence[str], *, ceremony: str, is_rehearsal: bool, clock: Clock) -> None:
        """``command``: a program and its arguments; ``ceremony``: its id, as it stands on the sheets."""
        self._command = command
        self._ceremony = ceremony
        self._is_rehearsal = is_rehearsal
        self._clock = clock

    async def print_share(self, share: Share, address: ShareAddress, person: Participant) -> None:
        """Print a share for its custodian. Raises PrintingError."""
        made = dt.datetime.fromtimestamp(self._clock.now(), dt.UTC)
        sheet = share_sheet(
            share,
            address,
            custodian_name=person.name,
            made_at=made.strftime("%Y-%m-%d %H:%M"),
            is_rehearsal=self._is_rehearsal,
            organisation=person.organisation,
            location=person.location,
            ceremony=self._ceremony,
        )
        await print_share_sheet(sheet, self._command)


async def print_share_sheet(
    sheet: ShareSheet, command: Sequence[str], *, limit_s: float = PRINT_LIMIT_S
) -> None:
    """Hand a sheet to a program (no shell), and return once it ended well. What it prints is thrown away.

    Raises PrintingError: there is no such sheet, or the program could not be started, failed, or took longer than ``limit_s``.
    """
    try:
        pdf = share_sheet_pdf(sheet, printing_fonts())
    except PaperError as error:
        raise _failed(command, error.message) from error
    quiet = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=quiet, stderr=quiet
        )
    except OSError as error:
        pdf.zeroize()
        raise _failed(command, error.strerror or "it could not be started") from None
    try:
        async with asyncio.timeout(limit_s):
            await process.communicate(pdf.reveal())
    except TimeoutError:
        raise _failed(command, f"it took longer than {limit_s:.0f} s") from None
    finally:
        pdf.zeroize()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        raise _failed(command, f"it ended with {process.returncode}")


def _failed(command: Sequence[str], why: str) -> PrintingError:
    return PrintingError(f"the sheet was not printed by {command[0]}: {why}", next_step="copy the words from the screen instead")  # fmt: skip
