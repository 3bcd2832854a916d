"""Routes of the admin API about the service itself."""

import msgspec

from strongroom.api._admin import AdminCall, AdminRoute
from strongroom.api._operation import Document
from strongroom.api._status_answers import (
    HealthAnswer,
    MembersAnswer,
    StatusAnswer,
    WorkerState,
)
from strongroom.core import RootStanding


async def _read_status(call: AdminCall) -> Document:
    await call.service.read_status(call.caller)
    return call.health.status()


async def _read_members(call: AdminCall) -> MembersAnswer:
    await call.service.read_status(call.caller)
    status = msgspec.convert(call.health.status(), StatusAnswer)
    return MembersAnswer(
        [
            WorkerState(
                member.name, member.worker, member.state, member.priority, member.reason, member.breaker
            )
            for member in status.members
        ],
        status.quarantined_keys,
    )


async def _read_roots(call: AdminCall) -> RootStanding:
    await call.service.read_status(call.caller)
    return call.health.roots()


async def _read_health(call: AdminCall) -> HealthAnswer:
    await call.service.read_health(call.caller)
    reasons = call.health.readiness()
    return HealthAnswer(not reasons, reasons)


SERVICE_ROUTES = (
    AdminRoute(
        method="GET",
        path="health",
        operation="ReadHealth",
        verbs=("ReadHealth",),
        summary="Tell whether the process that answers is ready, and why not. The answer is 200 in either case.",
        call=_read_health,
        answer=HealthAnswer,
    ),
    AdminRoute(
        method="GET",
        path="status",
        operation="ReadStatus",
        verbs=("ReadStatus",),
        summary="Tell the operator's view of the process that answers: members, caches, audit log.",
        call=_read_status,
        answer=StatusAnswer,
    ),
    AdminRoute(
        method="GET",
        path="members",
        operation="ReadMembers",
        verbs=("ReadStatus",),
        summary="Tell the states of the members of the HSM cluster.",
        call=_read_members,
        answer=MembersAnswer,
    ),
    AdminRoute(
        method="GET",
        path="roots",
        operation="ReadRoots",
        verbs=("ReadStatus",),
        summary="Tell the root KEKs, what hangs under each, and how far the newest rotation is.",
        call=_read_roots,
        answer=RootStanding,
    ),
)
