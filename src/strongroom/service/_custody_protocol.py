"""What the service promises of officers, rules and approvals; a part of ``KeyService``."""

from collections.abc import Mapping
from typing import Protocol

from strongroom.custody import Json
from strongroom.service._approval_signing import Taken
from strongroom.service._approval_values import (
    ApprovalInfo,
    ApprovalPage,
    ApprovalStanding,
    CustodyInfo,
    EvidenceInfo,
)
from strongroom.service._caller import Caller


class CustodyService(Protocol):
    """Officers, rules, requests for approval and signatures.

    All raise CustodyNotKeptError where the home has no officers, and CustodyBrokenError where its database does not hold what
    they signed. ``approval`` is the id of a request, or at least eight digits with which no other begins.
    """

    async def describe_custody(self, caller: Caller) -> CustodyInfo:
        """Tell who the officers are and what the rules are."""
        ...

    async def list_approvals(
        self, caller: Caller, *, stands: ApprovalStanding | None, limit: int, after: str | None
    ) -> ApprovalPage:
        """List requests, the newest first, ``limit`` 1 to 100: those that stand so, or all.

        Of a page of those that stand so there may be fewer than ``limit``, and more behind it.
        """
        ...

    async def describe_approval(self, caller: Caller, approval: str) -> ApprovalInfo:
        """Tell all about a request. Raises ApprovalNotFoundError."""
        ...

    async def request_approval(
        self, caller: Caller, *, verb: str, parameters: Mapping[str, Json]
    ) -> ApprovalInfo:
        """Make a request, or find the caller's own one that waits for the same; nothing is done by it.

        Raises NoRuleError, ApprovalLimitError, MalformedDocumentError, and StateRefusedError and OfficerKeyError for a change of
        officers or rules that may not be.
        """
        ...

    async def approve_request(self, caller: Caller, approval: str, *, signature: bytes) -> Taken:
        """Take an officer's approval in (an SSHSIG blob); the caller may be anybody who brings it.

        Raises ApprovalNotFoundError, ApprovalOverError, ApprovalRefusedError, StateRefusedError.
        """
        ...

    async def reject_request(self, caller: Caller, approval: str, *, signature: bytes) -> Taken:
        """Take an officer's rejection in. Raises as ``approve_request``."""
        ...

    async def get_evidence(self, caller: Caller, approval: str, *, use: int) -> EvidenceInfo:
        """Return what proves what was done under a request, or by one use (from 1) of a standing approval.

        Raises ApprovalNotFoundError, NotExecutedError.
        """
        ...
