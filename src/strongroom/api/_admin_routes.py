"""All routes of the admin API, in one table."""

from typing import Final

from strongroom.api._admin import PREFIX, AdminCall, AdminRoute, AdminRouter
from strongroom.api._admin_access import ACCESS_ROUTES
from strongroom.api._admin_cryptoperiods import CRYPTOPERIOD_ROUTES
from strongroom.api._admin_custody import CUSTODY_ROUTES
from strongroom.api._admin_domains import DOMAIN_ROUTES
from strongroom.api._admin_keys import KEY_ROUTES
from strongroom.api._admin_service import SERVICE_ROUTES
from strongroom.api._admin_versions import VERSION_ROUTES
from strongroom.api._batches import BATCH_ROUTES
from strongroom.api._openapi import OpenApiDocument, openapi_document
from strongroom.api._operation import Document


async def _describe_api(call: AdminCall) -> Document:
    await call.service.read_api_description(call.caller)
    return openapi_document(ADMIN_ROUTES)


ADMIN_ROUTES: Final = (
    AdminRoute(
        method="GET",
        path="openapi.json",
        operation="ReadApiDescription",
        verbs=("ReadApiDescription",),
        summary="Return this description of the admin API (OpenAPI 3.1).",
        call=_describe_api,
        answer=OpenApiDocument,
    ),
    *SERVICE_ROUTES,
    *ACCESS_ROUTES,
    *KEY_ROUTES,
    *DOMAIN_ROUTES,
    *CRYPTOPERIOD_ROUTES,
    *VERSION_ROUTES,
    *CUSTODY_ROUTES,
    *BATCH_ROUTES,
)
"""Every route. To add a family: a module with its tuple, and a line here."""

ADMIN_ROUTER: Final = AdminRouter(ADMIN_ROUTES)
OPENAPI_PATH: Final = f"{PREFIX}openapi.json"
