"""Routes of the admin API about single versions of keys: their end, and the inventories that allow it."""

from msgspec import Struct

from strongroom.api._admin import AdminAnswer, AdminCall, AdminMembers, AdminRoute
from strongroom.api._errors import validation_error
from strongroom.core import Inventory, InventoryUnreadableError, require_digest


class RetiredVersion(AdminAnswer, frozen=True, rename="camel"):
    """A version whose material is gone for good."""

    key_id: str
    """ARN."""
    version: int
    material_id: str
    closed_by: str
    """SHA-256 of the inventory that showed that nobody needs it, in hex; empty where none was needed."""


class InventoryMembers(AdminMembers, frozen=True, rename="camel"):
    """An inventory as ``strongroom rewrap --inventory`` writes it; its caller vouches for it."""

    inventory: Inventory
    sha256: str


class KeptInventory(AdminAnswer, frozen=True, rename="camel"):
    """An inventory that is kept."""

    inventory_id: str
    key_id: str
    """ARN."""
    sha256: str
    received_at: float
    """Seconds since the Unix epoch."""


async def _retire(call: AdminCall) -> Struct:
    retired = await call.service.retire_key_version(
        call.caller, call.path["keyId"], version=int(call.path["version"])
    )
    return RetiredVersion(
        call.arns.key(retired.key_id), retired.version, retired.material_id, retired.closed_by
    )


async def _keep(call: AdminCall) -> Struct:
    try:
        require_digest(call.body.inventory, call.body.sha256)
    except InventoryUnreadableError as error:
        raise validation_error(f"{error.message[:1].upper()}{error.message[1:]}.") from None
    kept = await call.service.record_inventory(call.caller, call.path["keyId"], inventory=call.body.inventory)
    return KeptInventory(kept.inventory_id, call.arns.key(kept.key_id), kept.digest, kept.received_at)


VERSION_ROUTES = (
    AdminRoute(
        method="POST",
        path="keys/{keyId}/versions/{version}/retire",
        operation="RetireKeyVersion",
        verbs=("RetireKeyVersion",),
        summary="Destroy the material of a former version of a key for good; the key lives on.",
        call=_retire,
        answer=RetiredVersion,
        errors=("NotFoundException", "KMSInvalidStateException"),
    ),
    AdminRoute(
        method="POST",
        path="keys/{keyId}/inventories",
        operation="RecordInventory",
        verbs=("RecordInventory",),
        summary="Hand in what was found by looking at every ciphertext of a store.",
        call=_keep,
        request=InventoryMembers,
        answer=KeptInventory,
        errors=("NotFoundException", "LimitExceededException"),
    ),
)
