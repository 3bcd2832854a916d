"""Routes of the admin API about single keys: what AWS KMS has no word for, and keys as this house names them."""

from strongroom.api._admin import AdminAnswer, AdminCall, AdminRoute


class MarkedKey(AdminAnswer, frozen=True, rename="camel"):
    """A key that was marked as compromised."""

    key_id: str
    """ARN."""
    state: str


class VersionUses(AdminAnswer, frozen=True, rename="camel"):
    """How one version of a key was used."""

    version: int
    material_id: str
    created_at: float
    """Seconds since the Unix epoch, as every time here."""
    is_current: bool
    n_uses: int
    used_at: float | None


class KeyUses(AdminAnswer, frozen=True, rename="camel"):
    """How each version of a key was used."""

    key_id: str
    """ARN."""
    tracked_since: float
    versions: list[VersionUses]


async def _mark_compromised(call: AdminCall) -> MarkedKey:
    info = await call.service.mark_key_compromised(call.caller, call.path["keyId"])
    return MarkedKey(call.arns.key(info.key_id), info.state)


async def _list_uses(call: AdminCall) -> KeyUses:
    uses = await call.service.list_key_uses(call.caller, call.path["keyId"])
    versions = [
        VersionUses(
            version.version,
            version.material_id,
            version.created_at,
            version.is_current,
            version.n_uses,
            version.used_at,
        )
        for version in uses.versions
    ]
    return KeyUses(call.arns.key(uses.key_id), uses.tracked_since, versions)


KEY_ROUTES = (
    AdminRoute(
        method="POST",
        path="keys/{keyId}/compromise",
        operation="MarkKeyCompromised",
        verbs=("MarkKeyCompromised",),
        summary="Mark a key as compromised, for good: it opens what it protects, and protects nothing more.",
        call=_mark_compromised,
        answer=MarkedKey,
        errors=("NotFoundException", "KMSInvalidStateException"),
    ),
    AdminRoute(
        method="POST",
        path="keys/{keyId}/uses",
        operation="ListKeyUses",
        verbs=("ListKeyUses",),
        summary="Tell how often each version of a key was used, and when last.",
        call=_list_uses,
        answer=KeyUses,
        errors=("NotFoundException",),
    ),
)
