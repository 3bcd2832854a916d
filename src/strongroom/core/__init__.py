"""What every room shares: values, errors, clock, deadlines, ``Secret`` and the Protocols that cross rooms.

Nothing here does I/O, starts a thread or keeps state. Everything is safe to use from any thread, except
that a ``Secret`` must not be zeroized by one thread while another reads it.

    >>> from strongroom.core import Secret
    >>> Secret(b"not for logs")
    Secret(<12 bytes>)
"""

from strongroom.core._approved import APPROVED_ALGORITHMS, APPROVED_SPECS, why_not_approved
from strongroom.core._batch import (
    MAX_BATCH_ITEMS,
    BatchAnswer,
    BatchDecrypt,
    BatchEncrypt,
    BatchItem,
    BatchMac,
    BatchSign,
    BatchUnwrap,
    BatchWrap,
    HsmBatchUse,
)
from strongroom.core._clock import Clock, Deadline, SystemClock
from strongroom.core._direct import (
    HSM_KEY_ID_BYTES,
    HsmDirectUse,
    HsmKey,
    HsmKeyId,
    KeySpec,
    KeyUsage,
    MacAlgorithm,
    OaepAlgorithm,
    SigningAlgorithm,
    verify_mac,
)
from strongroom.core._duties import RoleName, conflict_of
from strongroom.core._encoding import encode_fields, encode_pairs
from strongroom.core._errors import (
    ApprovalRequiredError,
    AuditUnavailableError,
    ConfigError,
    HomeError,
    HsmError,
    HsmIntegrityError,
    HsmKeyNotFoundError,
    HsmOutcomeUnknownError,
    HsmRequestError,
    MemberBusyError,
    MemberDeadlineError,
    MemberFailedError,
    MemberReadOnlyError,
    NoMemberError,
    PinRefusedError,
    StorageError,
    StrongroomError,
    TokenNotFoundError,
    VerificationFailedError,
)
from strongroom.core._hsm_keys import (
    DestroyedHsmKeys,
    HsmKeyLimitError,
    HsmKeyMaker,
    HsmKeyQuarantinedError,
    MadeHsmKey,
    TooFewMembersError,
)
from strongroom.core._inventory import (
    INVENTORY_FORMAT,
    MAX_INVENTORY_BYTES,
    Inventory,
    InventoryUnreadableError,
    VersionFound,
    read_inventory,
    require_digest,
)
from strongroom.core._managed import KeyOrigin, ManagedKeySpec, VersionMadeBy
from strongroom.core._protocols import ApprovalGate, ClosedGate, EventSink, HsmMember, HsmUse
from strongroom.core._random import RandomPool, random_bytes
from strongroom.core._root_standing import RootShown, RootStanding, RotationShown
from strongroom.core._secret import Secret
from strongroom.core._transport import TransportKind, transport_kind
from strongroom.core._values import (
    KeyState,
    RootId,
    WrapAlgorithm,
    WrappedBytes,
    root_object_ids,
)

__all__ = [
    "APPROVED_ALGORITHMS",
    "APPROVED_SPECS",
    "HSM_KEY_ID_BYTES",
    "INVENTORY_FORMAT",
    "MAX_BATCH_ITEMS",
    "MAX_INVENTORY_BYTES",
    "ApprovalGate",
    "ApprovalRequiredError",
    "AuditUnavailableError",
    "BatchAnswer",
    "BatchDecrypt",
    "BatchEncrypt",
    "BatchItem",
    "BatchMac",
    "BatchSign",
    "BatchUnwrap",
    "BatchWrap",
    "Clock",
    "ClosedGate",
    "ConfigError",
    "Deadline",
    "DestroyedHsmKeys",
    "EventSink",
    "HomeError",
    "HsmBatchUse",
    "HsmDirectUse",
    "HsmError",
    "HsmIntegrityError",
    "HsmKey",
    "HsmKeyId",
    "HsmKeyLimitError",
    "HsmKeyMaker",
    "HsmKeyNotFoundError",
    "HsmKeyQuarantinedError",
    "HsmMember",
    "HsmOutcomeUnknownError",
    "HsmRequestError",
    "HsmUse",
    "Inventory",
    "InventoryUnreadableError",
    "KeyOrigin",
    "KeySpec",
    "KeyState",
    "KeyUsage",
    "MacAlgorithm",
    "MadeHsmKey",
    "ManagedKeySpec",
    "MemberBusyError",
    "MemberDeadlineError",
    "MemberFailedError",
    "MemberReadOnlyError",
    "NoMemberError",
    "OaepAlgorithm",
    "PinRefusedError",
    "RandomPool",
    "RoleName",
    "RootId",
    "RootShown",
    "RootStanding",
    "RotationShown",
    "Secret",
    "SigningAlgorithm",
    "StorageError",
    "StrongroomError",
    "SystemClock",
    "TokenNotFoundError",
    "TooFewMembersError",
    "TransportKind",
    "VerificationFailedError",
    "VersionFound",
    "VersionMadeBy",
    "WrapAlgorithm",
    "WrappedBytes",
    "conflict_of",
    "encode_fields",
    "encode_pairs",
    "random_bytes",
    "read_inventory",
    "require_digest",
    "root_object_ids",
    "transport_kind",
    "verify_mac",
    "why_not_approved",
]
