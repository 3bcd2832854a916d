"""What only the command line can meet, and the exit status of every failure.

CliError (StrongroomError)
├── NotReadyError              the service answers that it is not ready: exit status 3
├── NotDevelopmentError        the command is for development homes only
└── NotDoneError               the command ran and found that something is wrong

Errors of ``strongroom.client`` end with 1, but ServiceUnreachableError with 3.
"""

from typing import ClassVar

from strongroom.client import ServiceUnreachableError
from strongroom.core import StrongroomError

EXIT_FAILED = 1
EXIT_NOT_READY = 3
EXIT_INTERRUPTED = 130
"""128 + SIGINT, as shells count."""


class CliError(StrongroomError):
    """Root of the errors of the command line."""

    exit_status: ClassVar[int] = EXIT_FAILED


class NotReadyError(CliError):
    """The service answers, and says that it is not ready."""

    exit_status = EXIT_NOT_READY


class NotDevelopmentError(CliError):
    """The home is not a development home: its members may be real HSMs."""


class NotDoneError(CliError):
    """The command ran, and what it looked at or did is not as it should be."""


def exit_status_of(error: StrongroomError) -> int:
    """Return the exit status that an error ends the command with."""
    if isinstance(error, ServiceUnreachableError):
        return EXIT_NOT_READY
    return error.exit_status if isinstance(error, CliError) else EXIT_FAILED
