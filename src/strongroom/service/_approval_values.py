"""What the desk gives and takes: who asks, what is allowed now, and requests as people are shown them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from strongroom.custody import CustodyState, Json, QuorumRule
from strongroom.service._caller import Caller


class Asker(NamedTuple):
    """Who wants something done that needs an approval."""

    requester: str
    """``officer/ID`` or a principal: this person's approval does not count for the request."""
    access_key_id: str = ""
    source_address: str = ""
    request_id: str = ""

    @classmethod
    def of(cls, caller: Caller) -> "Asker":
        """Return the caller of a verb as one who asks."""
        return cls(caller.principal, caller.access_key_id, caller.source_address, caller.request_id)


JOBS = Asker("strongroom/jobs")
"""The service itself, for what it does on a schedule."""


class ApprovalTicket(NamedTuple):
    """An act may be done now, this once."""

    approval: str
    """The id of the request, or of the standing approval."""
    verb: str
    use: int = 0
    """Which use of a standing approval this is, from 1; 0 for a request of its own."""


class ApprovalStanding(StrEnum):
    """How a request stands, as people see it."""

    OPEN = "open"
    """It waits for signatures."""
    APPROVED = "approved"
    """It has enough: whoever asked repeats what they wanted."""
    EXPIRED = "expired"
    VOID = "void"
    """Officers or rules have changed, so nothing can come of it."""
    REJECTED = "rejected"
    EXECUTED = "executed"
    """An act began under it. What became of that is in the audit log."""
    STANDING = "standing"
    """A standing approval that can be used, now or once it begins."""
    ENDED = "ended"
    """A standing approval whose terms are over, or that has been used as often as they allow, or no longer has its quorum."""


class SignatureInfo(NamedTuple):
    """A signature of an officer."""

    officer: str
    name: str
    kind: str
    """``approval`` or ``rejection``."""
    key: str
    """Fingerprint of the key, as OpenSSH shows it."""
    at: float
    """When it came, by our clock."""


class ApprovalInfo(NamedTuple):
    """A request for approval with all that is known of it."""

    id: str
    verb: str
    parameters: Mapping[str, Json]
    requester: str
    created: int
    expires: int
    stands: ApprovalStanding
    words: tuple[str, ...]
    """The request in plain words, for people."""
    document: bytes
    """The canonical bytes, which officers sign."""
    rule: QuorumRule | None
    """Who must approve; None where no rule allows it any more."""
    signatures: tuple[SignatureInfo, ...]
    executed_at: float | None
    ended_by: str
    """Who executed or rejected it, or why it is void."""
    n_uses: int
    """Of a standing approval: how often it was used."""


class ApprovalPage(NamedTuple):
    """Requests, the newest first; ``next_after`` is the id to go on after, None at the end."""

    approvals: tuple[ApprovalInfo, ...]
    next_after: str | None


class CustodyInfo(NamedTuple):
    """Officers and rules of now."""

    genesis_sha256: str
    state: CustodyState


class EvidenceInfo(NamedTuple):
    """What proves an act."""

    document: bytes
    sha256: str
