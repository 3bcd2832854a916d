"""What the admin API tells of officers, rules and requests for approval."""

from strongroom.api._admin import AdminAnswer
from strongroom.custody import Role
from strongroom.service import ApprovalStanding


class OfficerAnswer(AdminAnswer, frozen=True, rename="camel"):
    """An officer."""

    id: str
    name: str
    roles: list[Role]
    keys: list[str]
    revoked_keys: list[str]
    principals: list[str]
    recipient: str
    is_revoked: bool


class RuleAnswer(AdminAnswer, frozen=True, rename="camel"):
    """Who must approve a verb."""

    m: int
    role: Role
    expires_s: int
    standing: bool


class CustodyAnswer(AdminAnswer, frozen=True, rename="camel"):
    """Officers and rules of now."""

    cluster: str
    name: str
    genesis_sha256: str
    record: int
    """How many changes there have been since the genesis."""
    head: str
    """SHA-256 of the last document: what requests name as ``state``."""
    officers: list[OfficerAnswer]
    rules: dict[str, RuleAnswer]


class ApprovalSignature(AdminAnswer, frozen=True, rename="camel"):
    """A signature on a request."""

    officer: str
    name: str
    kind: str
    """``approval`` or ``rejection``."""
    key: str
    """Fingerprint."""
    at: float


class Approval(AdminAnswer, frozen=True, rename="camel"):
    """A request for approval."""

    id: str
    """SHA-256 of ``document``."""
    verb: str
    requester: str
    created: int
    expires: int
    stands: ApprovalStanding
    words: list[str]
    document: str
    """The canonical bytes, which are text: what officers sign."""
    needs: RuleAnswer | None
    signatures: list[ApprovalSignature]
    executed_at: float | None
    ended_by: str
    uses: int


class ApprovalsAnswer(AdminAnswer, frozen=True, rename="camel"):
    """A page of requests, the newest first."""

    approvals: list[Approval]
    next_marker: str | None


class SignatureTaken(AdminAnswer, frozen=True, rename="camel"):
    """What a signature did."""

    approval: str
    officer: str
    did: str
    """``counted``, ``decided`` (enough have approved), ``changed`` (officers or rules are others now), ``rejected``."""


class EvidenceAnswer(AdminAnswer, frozen=True, rename="camel"):
    """What proves an act."""

    evidence: str
    """A document for ``strongroom approvals verify``, byte for byte."""
    sha256: str
