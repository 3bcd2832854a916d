"""Whether officers approved that a token is erased: judged by the process that calls C_InitToken, from the signatures alone."""

from typing import Final

from strongroom.core import ApprovalRequiredError
from strongroom.custody import ApprovalRequest, Chain, CustodyError, read_document, require_quorum
from strongroom.wiring.bootstrap import MemberBootstrap

RESET_MEMBER: Final = "ResetMember"


def require_approved_reset(bootstrap: MemberBootstrap, *, now: int) -> None:
    """Check genesis, chain, signatures, and that just this token of this member is meant. Raises ApprovalRequiredError.

    What a token pinned, it shows to its user only, whom a token that is to be erased need not have any more: so the genesis is
    the one of the home.
    """
    reset = bootstrap.reset
    if reset is None or not bootstrap.genesis:
        raise ApprovalRequiredError(
            f"erasing the token of member {bootstrap.name} takes an approved {RESET_MEMBER}"
        )
    try:
        chain = Chain.from_documents(bootstrap.genesis, reset.records)
        request = read_document(reset.request, ApprovalRequest)
        require_quorum(chain.state, request, reset.signatures, now=now)
    except CustodyError as error:
        raise ApprovalRequiredError(error.message, next_step=error.next_step) from error
    meant = {"member": bootstrap.name, "token_serial": reset.token_serial}
    if (request.verb, request.parameters) != (RESET_MEMBER, meant):
        raise ApprovalRequiredError(
            f"the approval is not for erasing the token {reset.token_serial} of member {bootstrap.name}"
        )
