"""What can be wrong with stored or received bytes.

StrongroomError
└── EnvelopeError
    ├── MalformedBlobError       the bytes are no blob of ours: refused before any cryptography
    └── EnvelopeIntegrityError   a well-formed blob that does not authenticate
"""

from strongroom.core import StrongroomError


class EnvelopeError(StrongroomError):
    """Root of the errors of this room."""


class MalformedBlobError(EnvelopeError):
    """The bytes are not a blob of a version, purpose and algorithm that this software knows."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"not a Strongroom blob: {reason}")


class EnvelopeIntegrityError(EnvelopeError):
    """The ciphertext does not authenticate: it was altered, or key, header or binding are others."""

    def __init__(self) -> None:
        super().__init__("the ciphertext does not authenticate under this key and binding")
