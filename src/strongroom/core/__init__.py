"""What every room shares: values, errors, clock, deadlines, ``Secret`` and the Protocols that cross rooms.

Nothing here does I/O, starts a thread or keeps state. Everything is safe to use from any thread, except
that a ``Secret`` must not be zeroized by one thread while another reads it.

    >>> from strongroom.core import Secret
    >>> Secret(b"not for logs")
    Secret(<12 bytes>)
"""

from strongroom.core._clock import Clock, Deadline, SystemClock
from strongroom.core._encoding import encode_fields, encode_pairs
from strongroom.core._errors import (
    ApprovalRequiredError,
    AuditUnavailableError,
    ConfigError,
    HomeError,
    HsmError,
    HsmIntegrityError,
    HsmKeyNotFoundError,
    HsmRequestError,
    MemberDeadlineError,
    MemberFailedError,
    NoMemberError,
    PinRefusedError,
    StorageError,
    StrongroomError,
    TokenNotFoundError,
)
from strongroom.core._protocols import ApprovalGate, ClosedGate, EventSink, HsmMember, HsmUse
from strongroom.core._random import RandomPool, random_bytes
from strongroom.core._secret import Secret
from strongroom.core._values import KeyState, RootId, WrapAlgorithm, WrappedBytes

__all__ = [
    "ApprovalGate",
    "ApprovalRequiredError",
    "AuditUnavailableError",
    "Clock",
    "ClosedGate",
    "ConfigError",
    "Deadline",
    "EventSink",
    "HomeError",
    "HsmError",
    "HsmIntegrityError",
    "HsmKeyNotFoundError",
    "HsmMember",
    "HsmRequestError",
    "HsmUse",
    "KeyState",
    "MemberDeadlineError",
    "MemberFailedError",
    "NoMemberError",
    "PinRefusedError",
    "RandomPool",
    "RootId",
    "Secret",
    "StorageError",
    "StrongroomError",
    "SystemClock",
    "TokenNotFoundError",
    "WrapAlgorithm",
    "WrappedBytes",
    "encode_fields",
    "encode_pairs",
    "random_bytes",
]
