"""The records of backups, their custodians, and ceremonies: one frozen tuple per row. Times are seconds since the Unix epoch."""

from enum import StrEnum
from typing import NamedTuple

from strongroom.core import TransportKind


class BackupSetState(StrEnum):
    """Where a backup set is in its life."""

    MAKING = "making"
    """A ceremony makes it: HSMs may hold transport keys of it, nothing is backed up under it."""
    ACTIVE = "active"
    """Every custodian has proved their share. Of several the one activated last takes new backups."""
    RETIRED = "retired"
    """HSMs hold nothing of it any more; its shares still open the backups made under it."""
    ABANDONED = "abandoned"
    """It never was active: its shares open nothing."""


class BackupState(StrEnum):
    """Where a backup is in its life, so far as anybody told us: it is a file in other people's hands."""

    PRESENT = "present"
    TO_DESTROY = "to_destroy"
    """Its set is no longer wanted; somebody must destroy every copy and say so."""
    DESTROYED = "destroyed"


class CustodianState(StrEnum):
    """Whether a custodian is to be counted on."""

    HOLDING = "holding"
    LEFT = "left"
    """They left, or their share is lost: for good, in this set."""


class BackupSetRecord(NamedTuple):
    """A backup set: one RSA pair, whose private half opens with the shares of its custodians."""

    set_id: bytes
    """16 bytes."""
    document: bytes
    """The set document, at most 262,144 bytes; empty until the set is active."""
    state: BackupSetState
    created_at: float
    ended_at: float | None = None
    """When it was retired or abandoned."""
    activated_at: float | None = None


class BackupTransportRecord(NamedTuple):
    """A transport key of a member whose wrapped form is in the document of a backup set."""

    transport_id: bytes
    """Its CKA_ID, 16 bytes."""
    set_id: bytes
    member: str
    kind: TransportKind
    mechanism: int
    created_at: float


class BackupRecord(NamedTuple):
    """A bundle that was made."""

    backup_id: str
    """Up to 64 characters."""
    set_id: bytes
    created_at: float
    sha256: str
    """Of the whole file, in hex."""
    location: str
    """Where it was written to, up to 4,096 characters: copies elsewhere are nobody's business here."""
    state: BackupState
    verified_at: float | None
    """When m shares last opened it, in a restore or a verification."""
    size: int
    """Bytes."""
    ended_at: float | None = None
    """When somebody said that every copy is destroyed."""


class CustodianRecord(NamedTuple):
    """What is known of a custodian of one set; name, location and possession key are in the set document."""

    set_id: bytes
    custodian: str
    """Their id in the set document, up to 64 characters."""
    state: CustodianState = CustodianState.HOLDING
    acknowledged_at: float | None = None
    acknowledgement: bytes = b""
    """The signed statement of duty, or the note of who saw it on paper; at most 65,536 bytes."""
    proved_at: float | None = None
    """When they last showed that they have the share; at first the activation, before which they read it back."""
    proof: bytes = b""
    """The answer to the last challenge that was answered, with it; empty after the activation. At most 4,096 bytes."""
    challenge: bytes = b""
    """The challenge that waits for an answer, at most 4,096 bytes; empty when there is none."""
    challenged_at: float | None = None
    left_at: float | None = None
    left_because: str = ""
    """Up to 1,000 characters."""


class CeremonyRecord(NamedTuple):
    """A ceremony that was begun on this home."""

    ceremony_id: str
    """Up to 64 characters."""
    kind: str
    started_at: float
    ended_at: float | None = None
    transcript_sha256: str = ""
    """Of the finished transcript, in hex."""
    rehearsal: bool = False
