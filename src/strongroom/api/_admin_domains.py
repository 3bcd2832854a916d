"""Routes of the admin API about domains, and about which domain a key is in."""

from typing import Annotated

from msgspec import Meta

from strongroom.api._admin import AdminAnswer, AdminCall, AdminMembers, AdminRoute
from strongroom.api._key_kinds import check_usage
from strongroom.core import KeyUsage, ManagedKeySpec
from strongroom.keyring import DomainInfo, KeyKind

_MOST: int = 1_000
_DomainText = Annotated[str, Meta(min_length=1, max_length=64)]
_DEFAULT_PAGE = 100


class NewDomain(AdminMembers, frozen=True, rename="camel"):
    """A domain to be made."""

    name: _DomainText
    """1 to 64 of a-z, 0-9, dot, underscore and hyphen; the first and the last one a letter or a digit."""


class DomainsQuery(AdminMembers, frozen=True, rename="camel"):
    """Which page of domains."""

    limit: Annotated[int, Meta(ge=1, le=_MOST)] = _DEFAULT_PAGE
    after: Annotated[str, Meta(max_length=36)] = ""
    """``nextAfter`` of the page before; empty for the first one."""


class TargetDomain(AdminMembers, frozen=True, rename="camel"):
    """Where a key is to go."""

    domain: _DomainText
    """Name or id of a named domain, or ``dedicated`` for one of the key's own."""


class NewKey(AdminMembers, frozen=True, rename="camel"):
    """A key to be made in a domain."""

    domain: _DomainText
    """Name of a named domain, or ``dedicated`` for one of the key's own."""
    description: Annotated[str, Meta(max_length=8_192)] = ""
    key_spec: ManagedKeySpec = ManagedKeySpec.SYMMETRIC_DEFAULT
    key_usage: KeyUsage | None = None
    """Required for every spec but ``SYMMETRIC_DEFAULT``."""


class MadeKey(AdminAnswer, frozen=True, rename="camel"):
    """A key that was made."""

    key_id: str
    """ARN."""
    key_spec: str
    key_usage: str


class DomainReplacement(AdminAnswer, frozen=True, rename="camel"):
    """A rotation that goes on."""

    domain_id: str
    """The domain whose place is taken; it is removed with its KEK when nothing is under that any more."""
    started_at: float
    keys_left: int
    keys_total: int


class Domain(AdminAnswer, frozen=True, rename="camel"):
    """A domain."""

    domain_id: str
    kind: str
    """``shard``, ``named``, ``dedicated`` or ``credentials``."""
    name: str | None
    n_keys: int
    """Keys that are not destroyed; access keys in the domain of kind ``credentials``."""
    max_keys: int | None
    """Null for the domain of kind ``credentials``."""
    created_at: float
    """Seconds since the Unix epoch: when its KEK was made."""
    root_id: str
    """Of the root KEK that wraps it, in hex."""
    replaces: DomainReplacement | None


class DomainsPage(AdminAnswer, frozen=True, rename="camel"):
    """A page of domains."""

    domains: list[Domain]
    next_after: str | None
    """For the next page; null at the end."""


def _domain(info: DomainInfo) -> Domain:
    replaces = info.replaces
    return Domain(
        info.domain_id,
        info.kind,
        info.name,
        info.n_keys,
        info.max_keys,
        info.created_at,
        info.root_id.hex(),
        None
        if replaces is None
        else DomainReplacement(replaces.domain_id, replaces.started_at, replaces.n_left, replaces.n_total),
    )


async def _create(call: AdminCall) -> Domain:
    return _domain(await call.service.create_domain(call.caller, name=call.body.name))


async def _list(call: AdminCall) -> DomainsPage:
    page = await call.service.list_domains(
        call.caller, limit=call.query.limit, after=call.query.after or None
    )
    return DomainsPage([_domain(info) for info in page.domains], page.next_after)


async def _describe(call: AdminCall) -> Domain:
    return _domain(await call.service.describe_domain(call.caller, call.path["domain"]))


async def _rotate(call: AdminCall) -> Domain:
    return _domain(await call.service.rotate_domain(call.caller, call.path["domain"]))


async def _move(call: AdminCall) -> Domain:
    return _domain(await call.service.move_key(call.caller, call.path["keyId"], domain=call.body.domain))


async def _create_key(call: AdminCall) -> MadeKey:
    asked: NewKey = call.body
    check_usage(asked.key_spec, asked.key_usage)
    kind = KeyKind(asked.key_spec, asked.key_usage or KeyUsage.ENCRYPT_DECRYPT, domain=asked.domain)
    made = await call.service.create_key(call.caller, description=asked.description, kind=kind)
    return MadeKey(call.arns.key(made.key_id), made.spec, made.usage)


async def _of_key(call: AdminCall) -> Domain:
    return _domain(await call.service.get_key_domain(call.caller, call.path["keyId"]))


DOMAIN_ROUTES = (
    AdminRoute(
        method="GET",
        path="domains",
        operation="ListDomains",
        verbs=("ListDomains",),
        summary="List domains in the order of their ids.",
        call=_list,
        query=DomainsQuery,
        answer=DomainsPage,
    ),
    AdminRoute(
        method="POST",
        path="domains",
        operation="CreateDomain",
        verbs=("CreateDomain",),
        summary="Make a named domain, whose keys are those that are put there.",
        call=_create,
        request=NewDomain,
        answer=Domain,
        errors=("AlreadyExistsException", "DependencyTimeoutException"),
    ),
    AdminRoute(
        method="GET",
        path="domains/{domain}",
        operation="DescribeDomain",
        verbs=("DescribeDomain",),
        summary="Tell about a domain, by its name or id, and how far its rotation is.",
        call=_describe,
        answer=Domain,
        errors=("NotFoundException",),
    ),
    AdminRoute(
        method="POST",
        path="domains/{domain}/rotate",
        operation="RotateDomain",
        verbs=("RotateDomain",),
        summary="Put a new domain KEK in the place of a domain's; its keys move to it, then the old one is removed.",
        call=_rotate,
        answer=Domain,
        errors=("NotFoundException", "KMSInvalidStateException", "DependencyTimeoutException"),
    ),
    AdminRoute(
        method="POST",
        path="keys",
        operation="CreateKeyInDomain",
        verbs=("CreateKey",),
        summary="Make a key in a named domain, or in one of its own. CreateKey of the AWS KMS API does more.",
        call=_create_key,
        request=NewKey,
        answer=MadeKey,
        errors=("NotFoundException", "LimitExceededException", "DependencyTimeoutException"),
    ),
    AdminRoute(
        method="POST",
        path="keys/{keyId}/move",
        operation="MoveKey",
        verbs=("MoveKey",),
        summary="Put a key into a named domain, or into one of its own.",
        call=_move,
        request=TargetDomain,
        answer=Domain,
        errors=(
            *("NotFoundException", "KMSInvalidStateException", "LimitExceededException"),
            *("UnsupportedOperationException", "DependencyTimeoutException"),
        ),
    ),
    AdminRoute(
        method="GET",
        path="keys/{keyId}/domain",
        operation="GetKeyDomain",
        verbs=("GetKeyDomain",),
        summary="Tell which domain a key is in.",
        call=_of_key,
        answer=Domain,
        errors=("NotFoundException", "UnsupportedOperationException"),
    ),
)
