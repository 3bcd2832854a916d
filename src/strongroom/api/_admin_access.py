"""Routes of the admin API about who may do what. They look, and change nothing.

Access keys are made and changed by the owner of the home (``strongroom principals``), whose commands hold what wraps their secrets;
nobody gets that by a request to this process.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from strongroom.api._admin import AdminAnswer, AdminCall, AdminMembers, AdminRoute, PageQuery
from strongroom.api._paging import Paged, read_marker, write_marker
from strongroom.service import PolicyCase, PolicyCheck, PrincipalInfo

_Text = Annotated[str, Meta(max_length=2_048)]


class CallerAnswer(AdminAnswer, frozen=True):
    """Who calls, as this service knows it."""

    principal: str
    arn: str
    credential: str
    """Access key id, or the identity of a certificate or token in the configuration."""
    verbs: list[str]
    """What the roles of the credential allow; policies and grants may allow more with single keys, and deny."""


class AccessKey(AdminAnswer, frozen=True):
    """An access key, without its secret."""

    access_key_id: str
    roles: list[str]
    """As recorded."""
    counting_roles: list[str]
    """Those that count now: an officer's are what the chain of custody gives, and none are kept apart."""
    is_active: bool
    created_at: float
    used_at: float | None


class PrincipalAnswer(AdminAnswer, frozen=True):
    """A principal and its access keys."""

    principal: str
    arn: str
    access_keys: list[AccessKey]


class PrincipalsAnswer(AdminAnswer, frozen=True):
    """A page of principals in the order of their names."""

    principals: list[PrincipalAnswer]
    next_marker: str | None


class PolicyCheckRequest(AdminMembers, frozen=True):
    """A request about the key that somebody might make."""

    principal: Annotated[str, Meta(pattern=r"^[a-zA-Z0-9/_.@+=,-]{1,128}$(?!\n)")]
    action: Annotated[str, Meta(pattern=r"^[A-Za-z]{1,64}$(?!\n)")]
    """Such as ``Encrypt``, ``ReEncryptTo``, ``PutKeyPolicy``."""
    access_key_id: Annotated[str, Meta(pattern=r"^[!-~]{1,300}$(?!\n)")] | None = None
    """Or the identity of a certificate or token; each of these that stands for the principal when left out."""
    context: dict[_Text, _Text] = msgspec.field(default_factory=dict)
    source_address: Annotated[str, Meta(max_length=64)] = ""


class PolicyDecision(AdminAnswer, frozen=True):
    """How the request would be decided with one credential."""

    credential: str
    is_allowed: bool
    because: str
    policy_says: str | None
    """What the key's own policy says; null where it has none, or nobody looked at it."""
    statement: int | None
    """Number of the statement that decides, from 1."""
    sid: str | None
    grant_id: str | None


class PolicyCheckAnswer(AdminAnswer, frozen=True):
    """One decision for each credential."""

    decisions: list[PolicyDecision]


async def _read_caller(call: AdminCall) -> CallerAnswer:
    verbs = await call.service.read_caller(call.caller)
    caller = call.caller
    return CallerAnswer(
        caller.principal, call.arns.principal(caller.principal), caller.access_key_id, list(verbs)
    )


async def _list_principals(call: AdminCall) -> PrincipalsAnswer:
    query: PageQuery = call.query
    after = read_marker(Paged.PRINCIPALS, query.marker)
    page = await call.service.list_principals(call.caller, limit=query.limit, after=after)
    marker = None if page.next_after is None else write_marker(Paged.PRINCIPALS, page.next_after)
    return PrincipalsAnswer([_principal(info, call) for info in page.principals], marker)


def _principal(info: PrincipalInfo, call: AdminCall) -> PrincipalAnswer:
    keys = [
        AccessKey(
            key.access_key_id,
            list(key.roles),
            list(key.counting_roles),
            key.is_active,
            key.created_at,
            key.used_at,
        )
        for key in info.access_keys
    ]
    return PrincipalAnswer(info.principal, call.arns.principal(info.principal), keys)


async def _check_policy(call: AdminCall) -> PolicyCheckAnswer:
    asked: PolicyCheckRequest = call.body
    case = PolicyCase(
        asked.principal, asked.action, asked.access_key_id or "", asked.context, asked.source_address
    )
    checks = await call.service.check_key_policy(call.caller, call.path["keyId"], case=case)
    return PolicyCheckAnswer([_decision(check) for check in checks])


def _decision(check: PolicyCheck) -> PolicyDecision:
    decision, answer = check.decision, check.decision.answer
    return PolicyDecision(
        check.access_key_id,
        decision.is_allowed,
        decision.ground.value,
        None if answer is None else answer.says.value,
        None if answer is None else answer.number or None,
        None if answer is None else answer.sid or None,
        decision.grant_id or None,
    )


ACCESS_ROUTES = (
    AdminRoute(
        method="GET",
        path="caller",
        operation="ReadCaller",
        verbs=("ReadCaller",),
        summary="Tell who the caller is to this service, and what its roles allow.",
        call=_read_caller,
        answer=CallerAnswer,
    ),
    AdminRoute(
        method="GET",
        path="principals",
        operation="ListPrincipals",
        verbs=("ListPrincipals",),
        summary="List principals with their access keys, without secrets.",
        query=PageQuery,
        call=_list_principals,
        answer=PrincipalsAnswer,
        errors=("InvalidMarkerException",),
    ),
    AdminRoute(
        method="POST",
        path="keys/{keyId}/policy-check",
        operation="CheckKeyPolicy",
        verbs=("CheckKeyPolicy",),
        summary="Tell whether a request about a key would be allowed, and what decides it. Nothing is done.",
        request=PolicyCheckRequest,
        call=_check_policy,
        answer=PolicyCheckAnswer,
        errors=("NotFoundException",),
    ),
)
