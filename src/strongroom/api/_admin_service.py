"""Routes of the admin API about the service itself."""

from strongroom.api._admin import AdminCall, AdminRoute
from strongroom.api._operation import Document
from strongroom.api._status_answers import StatusAnswer


async def _read_status(call: AdminCall) -> Document:
    await call.service.read_status(call.caller)
    return call.health.status()


SERVICE_ROUTES = (
    AdminRoute(
        method="GET",
        path="status",
        operation="ReadStatus",
        verbs=("ReadStatus",),
        summary="Tell the operator's view of the process that answers: members, caches, audit log.",
        call=_read_status,
        answer=StatusAnswer,
    ),
)
