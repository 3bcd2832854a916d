"""Routes of the admin API about officers, rules, requests for approval and the signatures on them.

An officer's signature proves itself: who brings it is only recorded. What officers sign are the bytes of ``document``; the
words beside them are a courtesy, and ``strongroom approvals`` makes its own of the document.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from strongroom.api._admin import MAX_PAGE, AdminCall, AdminMembers, AdminRoute
from strongroom.api._custody_answers import (
    Approval,
    ApprovalsAnswer,
    ApprovalSignature,
    CustodyAnswer,
    EvidenceAnswer,
    OfficerAnswer,
    RuleAnswer,
    SignatureTaken,
)
from strongroom.api._errors import validation_error
from strongroom.api._paging import Paged, read_marker, write_marker
from strongroom.custody import CustodyError, QuorumRule, dearmour
from strongroom.service import ApprovalInfo, ApprovalStanding, SignatureInfo

_MAX_ARMOURED = 8_192


class ApprovalsQuery(AdminMembers, frozen=True, rename="camel"):
    """Which requests."""

    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = 50
    marker: Annotated[str, Meta(max_length=1_024)] | None = None
    """``nextMarker`` of the page before; left out for the first one."""
    stands: ApprovalStanding | UnsetType = UNSET
    """Only those that stand so; a page may then hold fewer than ``limit`` though more follow."""


class EvidenceQuery(AdminMembers, frozen=True, rename="camel"):
    """Which evidence."""

    use: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """Of a standing approval: which use, from 1."""


class NewApproval(AdminMembers, frozen=True, rename="camel"):
    """An act that officers are to approve."""

    verb: Annotated[str, Meta(pattern=r"^[A-Z][A-Za-z0-9]{1,62}$(?!\n)")]
    parameters: dict[str, Any]
    """Every parameter: texts, whole numbers, truths, lists and objects of them."""


class SignatureMembers(AdminMembers, frozen=True, rename="camel"):
    """An officer's signature on a request."""

    signature: Annotated[str, Meta(min_length=1, max_length=_MAX_ARMOURED)]
    """As ``ssh-keygen -Y sign`` writes it."""


def _rule(rule: QuorumRule) -> RuleAnswer:
    return RuleAnswer(rule.m, rule.role, rule.expires_s, rule.standing)


def _signature(info: SignatureInfo) -> ApprovalSignature:
    return ApprovalSignature(info.officer, info.name, info.kind, info.key, info.at)


def _approval(info: ApprovalInfo) -> Approval:
    return Approval(
        info.id,
        info.verb,
        info.requester,
        info.created,
        info.expires,
        info.stands,
        list(info.words),
        info.document.decode(),
        None if info.rule is None else _rule(info.rule),
        [_signature(one) for one in info.signatures],
        info.executed_at,
        info.ended_by,
        info.n_uses,
    )


async def _describe(call: AdminCall) -> CustodyAnswer:
    found = await call.service.describe_custody(call.caller)
    state = found.state
    officers = [
        OfficerAnswer(
            one.id,
            one.name,
            sorted(one.roles),
            sorted(key.line for key in one.keys),
            sorted(key.line for key in one.revoked_keys),
            sorted(one.principals),
            one.recipient,
            one.is_revoked,
        )
        for one in sorted(state.officers.values(), key=lambda one: one.id)
    ]
    rules = {verb: _rule(rule) for verb, rule in sorted(state.rules.items())}
    return CustodyAnswer(
        state.cluster, state.name, found.genesis_sha256, state.sequence, state.head, officers, rules
    )


async def _list(call: AdminCall) -> ApprovalsAnswer:
    query: ApprovalsQuery = call.query
    after = read_marker(Paged.APPROVALS, query.marker)
    stands = None if query.stands is UNSET else query.stands
    page = await call.service.list_approvals(call.caller, stands=stands, limit=query.limit, after=after)
    marker = None if page.next_after is None else write_marker(Paged.APPROVALS, page.next_after)
    return ApprovalsAnswer([_approval(info) for info in page.approvals], marker)


async def _show(call: AdminCall) -> Approval:
    return _approval(await call.service.describe_approval(call.caller, call.path["approval"]))


async def _request(call: AdminCall) -> Approval:
    asked: NewApproval = call.body
    parameters: Mapping[str, Any] = asked.parameters
    return _approval(await call.service.request_approval(call.caller, verb=asked.verb, parameters=parameters))


async def _approve(call: AdminCall) -> SignatureTaken:
    signature = _read_signature(call.body.signature)
    return SignatureTaken(
        *await call.service.approve_request(call.caller, call.path["approval"], signature=signature)
    )


async def _reject(call: AdminCall) -> SignatureTaken:
    signature = _read_signature(call.body.signature)
    return SignatureTaken(
        *await call.service.reject_request(call.caller, call.path["approval"], signature=signature)
    )


async def _evidence(call: AdminCall) -> EvidenceAnswer:
    found = await call.service.get_evidence(call.caller, call.path["approval"], use=call.query.use)
    return EvidenceAnswer(found.document.decode(), found.sha256)


def _read_signature(armoured: str) -> bytes:
    """Return the blob of a signature. Raises ApiError."""
    try:
        return dearmour(armoured.encode())
    except (CustodyError, UnicodeEncodeError):
        raise validation_error("The signature is none that ssh-keygen -Y sign writes.") from None


_OF_ONE = ("NotFoundException", "UnsupportedOperationException")
_OF_SIGNATURES = (*_OF_ONE, "KMSInvalidStateException", "KMSInvalidSignatureException")


def _signing(
    what: str, operation: str, call: Callable[[AdminCall], Awaitable[SignatureTaken]], summary: str
) -> AdminRoute:
    return AdminRoute(
        method="POST",
        path=f"approvals/{{approval}}/{what}",
        operation=operation,
        verbs=(operation,),
        summary=summary,
        call=call,
        request=SignatureMembers,
        answer=SignatureTaken,
        errors=_OF_SIGNATURES,
    )


CUSTODY_ROUTES = (
    AdminRoute(
        method="GET",
        path="custody",
        operation="DescribeCustody",
        verbs=("DescribeCustody",),
        summary="Tell who the officers are, and who must approve what.",
        call=_describe,
        answer=CustodyAnswer,
        errors=("UnsupportedOperationException",),
    ),
    AdminRoute(
        method="GET",
        path="approvals",
        operation="ListApprovals",
        verbs=("ListApprovals",),
        summary="List requests for approval, the newest first.",
        call=_list,
        query=ApprovalsQuery,
        answer=ApprovalsAnswer,
        errors=("InvalidMarkerException", "UnsupportedOperationException"),
    ),
    AdminRoute(
        method="POST",
        path="approvals",
        operation="RequestApproval",
        verbs=("RequestApproval",),
        summary="Ask officers to approve an act. Nothing is done by it, but changes of officers and rules once enough have signed.",
        call=_request,
        request=NewApproval,
        answer=Approval,
        errors=("LimitExceededException", "UnsupportedOperationException"),
    ),
    AdminRoute(
        method="GET",
        path="approvals/{approval}",
        operation="DescribeApproval",
        verbs=("DescribeApproval",),
        summary="Tell all about a request, by its id or the first digits of it.",
        call=_show,
        answer=Approval,
        errors=_OF_ONE,
    ),
    _signing(
        "approve",
        "ApproveRequest",
        _approve,
        "Bring an officer's signature that approves a request (namespace approval@strongroom).",
    ),
    _signing(
        "reject",
        "RejectRequest",
        _reject,
        "Bring an officer's signature that rejects a request, or takes a standing approval back (namespace rejection@strongroom).",
    ),
    AdminRoute(
        method="GET",
        path="approvals/{approval}/evidence",
        operation="GetEvidence",
        verbs=("GetEvidence",),
        summary="Return what proves that an act was approved: a file that verifies without this service.",
        call=_evidence,
        query=EvidenceQuery,
        answer=EvidenceAnswer,
        errors=_OF_ONE,
    ),
)
