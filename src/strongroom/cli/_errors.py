"""What only the command line can meet, and the exit status of every failure.

CliError (StrongroomError)
├── ServiceUnreachableError    nothing answers, or not in time: exit status 3
├── NotReadyError              it answers that it is not ready: exit status 3
├── NotDevelopmentError        the command is for development homes only
├── ForeignAnswerError         what answers is not a Strongroom
├── RequestRefusedError        the service answered with an error; ``code`` is AWS's
└── NotDoneError               the command ran and found that something is wrong
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from strongroom.core import StrongroomError

EXIT_FAILED = 1
EXIT_NOT_READY = 3
EXIT_INTERRUPTED = 130
"""128 + SIGINT, as shells count."""


class CliError(StrongroomError):
    """Root of the errors of the command line."""

    exit_status: ClassVar[int] = EXIT_FAILED


class ServiceUnreachableError(CliError):
    """Nothing answers at the endpoint, or not in time, or not by TLS that we trust."""

    exit_status = EXIT_NOT_READY


class NotReadyError(CliError):
    """The service answers, and says that it is not ready."""

    exit_status = EXIT_NOT_READY


class NotDevelopmentError(CliError):
    """The home is not a development home: its members may be real HSMs."""


class ForeignAnswerError(CliError):
    """The answer is not one that a Strongroom gives."""


class NotDoneError(CliError):
    """The command ran, and what it looked at or did is not as it should be."""


class RequestRefusedError(CliError):
    """The service refused a request. ``code`` is the error code of AWS, ``status`` that of HTTP."""

    def __init__(self, code: str, message: str, *, status: int) -> None:
        words, next_step = _WORDS.get(code, ("the service refused the request", None))
        super().__init__(
            f"{words}: {message} [{code}]" if message else f"{words} [{code}]", next_step=next_step
        )
        self.code = code
        self.status = status


_CREDENTIALS = "unset AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or set them with: strongroom env"
_MEMBERS = "see the members with: strongroom status"

_WORDS: Mapping[str, tuple[str, str | None]] = MappingProxyType(
    {
        "NotFoundException": ("there is no such key or alias", "list the keys with: strongroom keys list"),
        "AlreadyExistsException": ("the alias is taken", "choose another alias"),
        "DisabledException": ("the key is disabled", "enable it with the AWS call EnableKey"),
        "InvalidCiphertextException": ("the ciphertext or its encryption context is not what was made", None),
        "IncorrectKeyException": ("the ciphertext belongs to another key", None),
        "AccessDeniedException": ("this access key may not do that", None),
        "NotAuthorizedException": ("names that begin with alias/aws/ are reserved", "choose another alias"),
        "ValidationException": ("the request holds a value that is not allowed", None),
        "UnsupportedOperationException": ("this Strongroom does not do that yet", None),
        "UnrecognizedClientException": ("the service does not know this access key", _CREDENTIALS),
        "InvalidSignatureException": (
            "the signature does not fit: wrong secret access key, or clocks that differ by over 5 minutes",
            _CREDENTIALS,
        ),
        "MissingAuthenticationTokenException": ("the request was not signed", _CREDENTIALS),
        "DependencyTimeoutException": ("no HSM could serve the request", _MEMBERS),
        "KMSInternalException": ("the service failed", "look at its log"),
    }
)
"""AWS error code to words and what to do."""


def exit_status_of(error: StrongroomError) -> int:
    """Return the exit status that an error ends the command with."""
    return error.exit_status if isinstance(error, CliError) else EXIT_FAILED
