"""What main hands a worker that changes a PIN: the approval under which the change began, and the chain it is judged by."""

from collections.abc import Callable

from strongroom.core import MemberFailedError, StrongroomError
from strongroom.custody import STANDING_VERB, ApprovalRequest, canonical_json, read_document, write_document
from strongroom.runtime._custody_keeping import CustodyKeeping
from strongroom.wiring.bootstrap import ApprovedChange
from strongroom.wiring.pin_changes import PinChange


def approved_by(custody: CustodyKeeping | None) -> Callable[[PinChange], ApprovedChange | None]:
    """Return what finds the approval of a change, which raises MemberFailedError while it cannot be read."""

    def approved(change: PinChange) -> ApprovedChange | None:
        if custody is None:
            return None
        try:
            act = custody.begun(change.approval)
            records = [write_document(record) for record in custody.chain.records]
        except StrongroomError as error:
            raise MemberFailedError(
                f"the approval of the change cannot be read: {error.message}", next_step=error.next_step
            ) from error
        if act is None:
            return None
        admission = act.admission
        is_standing = read_document(admission.request, ApprovalRequest).verb == STANDING_VERB
        meant = canonical_json({"member": change.member, "role": change.role}) if is_standing else b""
        return ApprovedChange(records, admission.request, admission.signatures, admission.executed, meant)

    return approved
