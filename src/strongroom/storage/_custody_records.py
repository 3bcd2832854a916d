"""The records of custody: one frozen tuple per row. Times are seconds since the Unix epoch."""

from enum import StrEnum
from typing import NamedTuple


class ApprovalState(StrEnum):
    """Where a request for approval is in its life."""

    OPEN = "open"
    """It gathers signatures, or waits with enough of them to be executed; one past ``expires_at`` can come to nothing."""
    STANDING = "standing"
    """A standing approval that has its signatures: it is used, within its terms."""
    EXECUTED = "executed"
    """An act began under it: it is spent, whatever became of the act."""
    REJECTED = "rejected"
    VOID = "void"
    """Officers or rules changed, or it expired, before anything came of it."""


class SignatureKind(StrEnum):
    """What an officer signed a request for."""

    APPROVAL = "approval"
    REJECTION = "rejection"


class CustodyDocumentRecord(NamedTuple):
    """A document of the chain, as its very bytes."""

    sequence: int
    """0 is the genesis, n record n."""
    document: bytes
    """Canonical JSON, at most 262,144 bytes."""


class ApprovalRecord(NamedTuple):
    """A request for approval."""

    id: str
    """SHA-256 of ``document``, 64 lower-case hexadecimal digits."""
    verb: str
    requester: str
    """``officer/ID`` or a principal, up to 200 characters."""
    document: bytes
    """The canonical bytes that officers sign, at most 65,536."""
    act: str
    """SHA-256 of verb, parameters and requester: the same for requests that ask for the same."""
    created_at: float
    expires_at: float
    state: ApprovalState = ApprovalState.OPEN
    executed_at: float | None = None
    """When the act began; of requests that are executed only."""
    ended_by: str = ""
    """Who executed or rejected it, or why it is void."""


class ApprovalSignatureRecord(NamedTuple):
    """A signature of an officer on a request."""

    request_id: str
    officer: str
    signature: bytes
    """The SSHSIG blob, at most 4,096 bytes."""
    at: float
    """When it came, by our clock: officers do not sign it."""
    kind: SignatureKind = SignatureKind.APPROVAL


class StandingUseRecord(NamedTuple):
    """One use of a standing approval."""

    request_id: str
    number: int
    """1, 2, 3 …: each once, whoever uses it."""
    used_at: float
    parameters: bytes
    """Canonical JSON of the parameters of the act."""
    sequence: int
    """The document of the chain under whose rules the signatures were counted."""
