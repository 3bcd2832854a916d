"""How errors about officers, approvals and the policy of the partition are answered: error, status, code, message."""

from strongroom.custody import ApprovalRefusedError, Refusal, StateRefusedError
from strongroom.service import (
    ApprovalLimitError,
    ApprovalNotFoundError,
    ApprovalOverError,
    ApprovalPendingError,
    CustodyBrokenError,
    CustodyNotKeptError,
    NoRuleError,
    NotApprovedError,
    NotExecutedError,
)

ID = "0123456789ab" + "c" * 52
PENDING = (
    "CreateHsmKey needs an approval: request 0123456789ab waits for 2 more crypto-officers. Have officers read and sign it: "
    "strongroom approvals show 0123456789ab; then repeat this."
)
BROKEN = "What the database holds of officers and approvals is not what officers signed. The operator must look at the service log."

CUSTODY_ERRORS = [
    (ApprovalPendingError("CreateHsmKey", ID, "2 more crypto-officers"), 400, "AccessDeniedException", PENDING),
    (NoRuleError("X", "the policy has no rule for this verb"), 400, "AccessDeniedException", "X cannot be approved by anybody: the policy has no rule for this verb."),
    (CustodyNotKeptError(), 400, "UnsupportedOperationException", "This home has no officers: nothing here is approved by anybody."),
    (CustodyBrokenError("row 7 of the chain"), 500, "KMSInternalException", BROKEN),
    (ApprovalNotFoundError(ID), 400, "NotFoundException", f"No request for approval has the id {ID}."),
    (ApprovalNotFoundError("01234567", n_found=2), 400, "NotFoundException", "More than one request for approval has an id that begins with 01234567."),
    (NotExecutedError(ID), 400, "NotFoundException", "Nothing was done under the request 0123456789ab that there could be evidence of."),
    (ApprovalLimitError(3, "of user/a"), 400, "LimitExceededException", "3 requests for approval of user/a wait already, and there may be no more."),
    (ApprovalOverError(ID, "has expired"), 400, "KMSInvalidStateException", "The request 0123456789ab has expired."),
    (ApprovalRefusedError(Refusal.TWICE, "anna"), 400, "KMSInvalidSignatureException", "One person counts once, whatever keys they hold: anna."),
    (NotApprovedError("the partition is in FIPS mode"), 400, "UnsupportedOperationException", "The partition is in FIPS mode."),
    (StateRefusedError("anna shares a key"), 400, "ValidationException", "Anna shares a key."),
]  # fmt: skip
