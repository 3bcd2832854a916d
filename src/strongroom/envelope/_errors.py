"""What can be wrong with stored or received bytes.

StrongroomError
└── EnvelopeError
    ├── MalformedBlobError            the bytes are no blob of ours: refused before any cryptography
    ├── MalformedFileError            the bytes do not begin as a file of ours does
    ├── EnvelopeIntegrityError        something well formed that does not authenticate
    │   └── KeyCommitmentError        a chunked message, but of another key, header or context
    └── TruncatedMessageError         a chunked message that ends before its last chunk
"""

from strongroom.core import StrongroomError


class EnvelopeError(StrongroomError):
    """Root of the errors of this room."""


class MalformedBlobError(EnvelopeError):
    """The bytes are not a blob of a version, purpose and algorithm that this software knows."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"not a Strongroom blob: {reason}")


class MalformedFileError(EnvelopeError):
    """The bytes do not begin with a header of a version and algorithm that this software knows."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"not a file that Strongroom encrypted: {reason}")


class EnvelopeIntegrityError(EnvelopeError):
    """The ciphertext does not authenticate: it was altered, or key, header or binding are others."""

    def __init__(
        self, message: str = "the ciphertext does not authenticate under this key and binding"
    ) -> None:
        super().__init__(message)


class KeyCommitmentError(EnvelopeIntegrityError):
    """A chunked message was made with another key or context; nothing of it was decrypted."""

    def __init__(self) -> None:
        super().__init__("the data key does not fit: the header was altered, or belongs to another message")


class TruncatedMessageError(EnvelopeError):
    """A chunked message ends before its last chunk; what came of it so far is authentic, but not all."""

    def __init__(self) -> None:
        super().__init__("the message is cut off: its last chunk is missing or not whole")
