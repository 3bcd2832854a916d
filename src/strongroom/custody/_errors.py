"""What can be wrong with documents, keys, signatures and approvals.

CustodyError (StrongroomError)
├── MalformedDocumentError     bytes that are no document of ours: not canonical JSON, too large, unknown members
├── OfficerKeyError            a key that officers cannot use, a key file that does not open
├── SignatureRefusedError      a signature that is malformed, of other data, for another purpose, or by another key
├── StateRefusedError          people, roles or rules that may not be: incompatible roles, a quorum that nobody can reach
├── ChainError                 a genesis or chain that does not hold together; ``place`` names where
└── ApprovalRefusedError       an approval, a rejection or an execution that the rules do not allow; ``reason`` says which rule
"""

from enum import Enum

from strongroom.core import StrongroomError


class CustodyError(StrongroomError):
    """Root of the errors of this room."""


class MalformedDocumentError(CustodyError):
    """The bytes are no document of ours."""


class OfficerKeyError(CustodyError):
    """The key is of a kind that officers cannot use, or its file does not open."""


class SignatureRefusedError(CustodyError):
    """The signature is malformed, of other data, for another purpose, or by another key."""


class StateRefusedError(CustodyError):
    """These people, roles or rules may not be."""


class ChainError(CustodyError):
    """The genesis or the chain does not hold together. ``place`` is ``genesis`` or ``record N``, N from 1."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(
            f"{place}: {message}",
            next_step="compare with the copies that officers and auditors keep; nothing after that place is in force",
        )
        self.place = place


class Refusal(Enum):
    """Which rule refused."""

    MALFORMED = "the request is malformed"
    OTHER_CLUSTER = "the request is for another cluster"
    NO_RULE = "the policy has no rule for this verb"
    OTHER_VERB = "the approvals are for another verb"
    OTHER_PARAMETERS = "the approvals are for other parameters"
    POLICY_CHANGED = "officers or policy have changed since the request was made"
    NOT_YET = "the request is dated in the future"
    EXPIRED = "the request has expired"
    TOO_LONG = "the request would live longer than its rule allows"
    BAD_SIGNATURE = "a signature does not verify"
    UNKNOWN_KEY = "a signature is by a key that no officer has"
    REVOKED = "a signature is by a key or an officer that was revoked"
    WRONG_ROLE = "an officer does not hold the role that the rule asks for"
    OWN_REQUEST = "nobody approves their own request"
    TWICE = "one person counts once, whatever keys they hold"
    TOO_FEW = "not enough officers have approved"
    REJECTED = "the request was rejected"
    ALREADY_USED = "the request was executed or rejected already"
    NOT_COVERED = "the standing approval does not cover this call"
    USED_UP = "the standing approval has been used as often as it allows"
    TOO_OFTEN = "the standing approval does not allow another use so soon"
    NO_APPROVAL = "no approval covers it"
    UNDER_WAY = "the same act is under way"
    BEHIND = "the chain that was shown ends before a record that this member followed"
    FORGOTTEN = "the request was made before this member's record of spent approvals begins"
    NOT_LATE = "the act is none that a member may be told of afterwards"


class ApprovalRefusedError(CustodyError):
    """The rules do not allow it. ``reason`` says which rule."""

    def __init__(self, reason: Refusal, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
