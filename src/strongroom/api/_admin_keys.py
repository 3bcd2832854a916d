"""Routes of the admin API about single keys: what AWS KMS has no word for, and keys as this house names them."""

from strongroom.api._admin import AdminAnswer, AdminCall, AdminRoute, PageQuery
from strongroom.api._arns import Arns
from strongroom.api._paging import Paged, read_marker, write_marker
from strongroom.keyring import KeyById, KeyInfo
from strongroom.service import ListedKey


class MarkedKey(AdminAnswer, frozen=True, rename="camel"):
    """A key that was marked as compromised."""

    key_id: str
    """ARN."""
    state: str


class OutstandingCiphertexts(AdminAnswer, frozen=True, rename="camel"):
    """How many ciphertexts of a version were noted, and what became of them; estimates from a sample unless ``isExact``."""

    n_known: int
    n_left: int
    """Those that were not moved to another version or key, or were seen since."""
    n_never_seen: int
    """Of those, the ones that nobody opened since they were made."""
    n_seen_lately: int
    """Of those, the ones that were opened within 30 days."""
    margin: int
    """``nLeft`` is wrong by no more than this in 95 of 100 cases."""
    is_exact: bool


class VersionUses(AdminAnswer, frozen=True, rename="camel"):
    """How one version of a key was used."""

    version: int
    material_id: str
    created_at: float
    """Seconds since the Unix epoch, as every time here."""
    is_current: bool
    n_uses: int
    used_at: float | None
    n_protected: int
    """How many of the uses protected something, since that is told apart."""
    protected_at: float | None
    processed_at: float | None
    """When something was last opened or verified."""
    outstanding: OutstandingCiphertexts | None
    """None where there are no ciphertexts, or none was noted."""
    is_in_use: bool
    """Whether its retirement needs an approval; the current version, and one that waits, cannot be retired at all."""
    retired_at: float | None
    closed_by: str
    """SHA-256 of the inventory that shows that nobody needs it; empty when there is none."""


class KeyUses(AdminAnswer, frozen=True, rename="camel"):
    """How each version of a key was used."""

    key_id: str
    """ARN."""
    tracked_since: float
    versions: list[VersionUses]
    state: str
    """In the words of NIST SP 800-57 Part 1."""


class ListedKeyAnswer(AdminAnswer, frozen=True):
    """A key in a list. All but its id is null for a key that the caller may not describe."""

    key_id: str
    """Bare."""
    arn: str
    state: str | None
    """As NIST SP 800-57 names it."""
    spec: str | None
    usage: str | None
    origin: str | None
    destroy_at: float | None
    """When it is to be destroyed; null also when that is not planned."""


class KeysAnswer(AdminAnswer, frozen=True):
    """A page of keys in the order of their ids."""

    keys: list[ListedKeyAnswer]
    next_marker: str | None


class KeyAnswer(AdminAnswer, frozen=True):
    """A key."""

    key_id: str
    """Bare."""
    arn: str
    state: str
    """As NIST SP 800-57 names it."""
    spec: str
    usage: str
    origin: str
    description: str
    created_at: float
    """Seconds since the Unix epoch, as every time here."""
    material_id: str
    """Names the current version."""
    destroy_at: float | None
    """When it is to be destroyed; null when that is not planned."""
    expires_at: float | None
    """When the first of its imported material expires; null: never by itself."""
    store_id: str
    """The custom key store of a key inside HSMs; empty for all others."""
    is_available: bool
    """Whether that store is connected."""


async def _list_keys(call: AdminCall) -> KeysAnswer:
    query: PageQuery = call.query
    after = read_marker(Paged.KEYS, query.marker)
    page = await call.service.list_key_states(call.caller, limit=query.limit, after=after)
    marker = None if page.next_after is None else write_marker(Paged.KEYS, page.next_after)
    return KeysAnswer([_listed(key, call.arns) for key in page.keys], marker)


def _listed(key: ListedKey, arns: Arns) -> ListedKeyAnswer:
    arn, info = arns.key(key.key_id), key.info
    if info is None:
        return ListedKeyAnswer(key.key_id, arn, None, None, None, None, None)
    return ListedKeyAnswer(key.key_id, arn, info.state, info.spec, info.usage, info.origin, info.destroy_at)


async def _describe_key(call: AdminCall) -> KeyAnswer:
    info = await call.service.describe_key(call.caller, KeyById(call.path["keyId"]))
    return _described(info, call.arns)


def _described(info: KeyInfo, arns: Arns) -> KeyAnswer:
    return KeyAnswer(
        key_id=info.key_id,
        arn=arns.key(info.key_id),
        state=info.state,
        spec=info.spec,
        usage=info.usage,
        origin=info.origin,
        description=info.description,
        created_at=info.created_at,
        material_id=info.material_id,
        destroy_at=info.destroy_at,
        expires_at=info.expires_at,
        store_id=info.store_id,
        is_available=info.is_available,
    )


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
            version.n_protected,
            version.protected_at,
            version.processed_at,
            None if version.outstanding is None else OutstandingCiphertexts(*version.outstanding),
            version.is_in_use,
            version.retired_at,
            version.closed_by,
        )
        for version in uses.versions
    ]
    return KeyUses(call.arns.key(uses.key_id), uses.tracked_since, versions, uses.state)


KEY_ROUTES = (
    AdminRoute(
        method="GET",
        path="keys",
        operation="ListKeyStates",
        verbs=("ListKeyStates",),
        summary="List keys with their states.",
        query=PageQuery,
        call=_list_keys,
        answer=KeysAnswer,
        errors=("InvalidMarkerException",),
    ),
    AdminRoute(
        method="GET",
        path="keys/{keyId}",
        operation="DescribeKeyState",
        verbs=("DescribeKey",),
        summary="Describe a key, in the words of this house.",
        call=_describe_key,
        answer=KeyAnswer,
        errors=("NotFoundException",),
    ),
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
