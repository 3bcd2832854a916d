"""What can go wrong between us and a key service.

ClientError (StrongroomError)
├── ServiceUnreachableError    nothing answers, or not in time, or not by TLS that we trust
│   └── ServiceNotTrustedError the certificate is not one to trust: trying again does not help
├── ForeignAnswerError         what answers is not a key service that we know
│   └── GatewayError           a proxy or load balancer answers that there is no service behind it
├── RequestRefusedError        the service answered with an error; ``code`` is AWS's
│   └── ItemRefusedError       one item of a batch has no result; ``position`` is its place
├── ContextMismatchError       the data was encrypted with another context than the caller expects
└── OutputExistsError          a file stands where the output would go, and may not be overwritten

A data key source that is passed in, such as a boto3 client, raises its own errors; they are not translated.
"""

from collections.abc import Mapping
from types import MappingProxyType

from strongroom.core import StrongroomError


class ClientError(StrongroomError):
    """Root of the errors of this room."""


class ServiceUnreachableError(ClientError):
    """Nothing answers at the endpoint, or not in time, or not by TLS that we trust."""


class ServiceNotTrustedError(ServiceUnreachableError):
    """What answers shows a certificate that no CA we trust vouches for."""


class ForeignAnswerError(ClientError):
    """The answer is not one that a key service gives."""


class GatewayError(ForeignAnswerError):
    """Something between us and the service answers in its place. ``status`` is 502, 503 or 504."""

    def __init__(self, status: int) -> None:
        super().__init__(
            f"a gateway answers HTTP {status} in place of the service",
            next_step="look at the load balancer and at the service behind it",
        )
        self.status = status


class ContextMismatchError(ClientError):
    """An expected pair is not in the encryption context that the data was encrypted with."""


class OutputExistsError(ClientError):
    """Something stands where the output would go: nothing was written."""


class RequestRefusedError(ClientError):
    """The service refused a request. ``code`` is the error code of AWS, ``status`` that of HTTP."""

    def __init__(self, code: str, message: str, *, status: int) -> None:
        words, next_step = _WORDS.get(code, ("the service refused the request", None))
        super().__init__(
            f"{words}: {message} [{code}]" if message else f"{words} [{code}]", next_step=next_step
        )
        self.code = code
        self.status = status


class ItemRefusedError(RequestRefusedError):
    """One item of a batch was refused; the others have their results. ``position`` counts from 0."""

    def __init__(self, position: int, code: str, message: str) -> None:
        super().__init__(code, message, status=400)
        self.position = position
        self.reason = self.message
        """The message without the position."""
        self.message = f"item {position}: {self.reason}"


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
        "ThrottlingException": ("the service has too much to do at the moment", "try again later"),
        "DependencyTimeoutException": ("no HSM could serve the request", _MEMBERS),
        "KMSInternalException": ("the service failed", "look at its log"),
    }
)
"""AWS error code to words and what to do."""
