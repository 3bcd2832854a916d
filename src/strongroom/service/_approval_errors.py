"""What can be wrong with custody as the service keeps it, and with what officers and callers do there.

StrongroomError
├── CustodyNotKeptError           the home has no officers
├── CustodyBrokenError            what the database says of custody is not what officers signed: nothing is believed
├── ApprovalNotFoundError         no request has this id, or more than one begins so
├── ApprovalLimitError            as many requests wait as there may be
├── ApprovalOverError             the request is executed, rejected or void already
├── NotExecutedError              there is no evidence of what was not done
└── core.ApprovalRequiredError
    ├── ApprovalPendingError      a request waits for signatures; ``approval`` is its id
    └── NoRuleError               no rule lets anybody approve it
"""

from strongroom.core import ApprovalRequiredError, StrongroomError

SHOWN_ID = 12
"""Digits of a request's id that are shown where all 64 would be too long; the service takes them for it."""


class CustodyNotKeptError(StrongroomError):
    """The home has no officers, so nobody can approve anything."""

    def __init__(self) -> None:
        super().__init__(
            "this home has no officers: nothing here is approved by anybody",
            next_step="officers come with a home that was made by strongroom init --script",
        )


class CustodyBrokenError(StrongroomError):
    """The chain, or a request, in the database is not what officers signed. Whoever needs it is refused."""


class ApprovalNotFoundError(StrongroomError):
    """There is no such request, or more than one whose id begins so."""

    def __init__(self, approval: str, *, n_found: int = 0) -> None:
        found = (
            "more than one request for approval has an id that begins with"
            if n_found
            else "no request for approval has the id"
        )
        super().__init__(f"{found} {approval}", next_step="see: strongroom approvals list")


class ApprovalLimitError(StrongroomError):
    """As many requests wait as there may be."""

    def __init__(self, limit: int, whose: str) -> None:
        super().__init__(
            f"{limit} requests for approval {whose} wait already, and there may be no more",
            next_step="have some approved or rejected: strongroom approvals list",
        )


class ApprovalOverError(StrongroomError):
    """The request is over: whoever comes now comes too late."""

    def __init__(self, approval: str, what: str) -> None:
        super().__init__(f"the request {approval[:SHOWN_ID]} {what}")


class NotExecutedError(StrongroomError):
    """Nothing was done under the request (or there is no such use of it), so there is no evidence."""

    def __init__(self, approval: str) -> None:
        super().__init__(
            f"nothing was done under the request {approval[:SHOWN_ID]} that there could be evidence of"
        )


class ApprovalPendingError(ApprovalRequiredError):
    """It needs the approval of officers, who were asked, or have been before. ``approval``: the id of the request."""

    def __init__(self, verb: str, approval: str, missing: str) -> None:
        super().__init__(
            f"{verb} needs an approval: request {approval[:SHOWN_ID]} waits for {missing}",
            next_step=f"have officers read and sign it: strongroom approvals show {approval[:SHOWN_ID]}; then repeat this",
        )
        self.approval = approval


class NoRuleError(ApprovalRequiredError):
    """No rule of the officers allows it at all, or the request can never be approved."""

    def __init__(self, verb: str, why: str) -> None:
        super().__init__(
            f"{verb} cannot be approved by anybody: {why}",
            next_step="security officers can give it a rule: strongroom approvals rules set",
        )
