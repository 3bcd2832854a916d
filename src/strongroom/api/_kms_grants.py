"""The operations on grants, and the grant tokens of all others. See ``_kms``."""

from collections.abc import Mapping
from types import MappingProxyType

from strongroom.api import _requests_policies as requests
from strongroom.api._arns import Arns
from strongroom.api._errors import ApiError
from strongroom.api._json import decode_members
from strongroom.api._names import parse_key_id
from strongroom.api._operation import Action, Document, Prepare, given, next_page, parse
from strongroom.api._paging import Paged, read_marker
from strongroom.api._requests import Members
from strongroom.policy import is_principal_arn
from strongroom.service import Caller, GrantInfo, GrantPage, KeyService, NewGrant, grant_of_token

_DEFAULT_GRANTS = 50
TAKE_GRANT_TOKENS = frozenset(
    """
    CreateGrant Decrypt DeriveSharedSecret DescribeKey Encrypt GenerateDataKey GenerateDataKeyPair
    GenerateDataKeyPairWithoutPlaintext GenerateDataKeyWithoutPlaintext GenerateMac GetPublicKey ReEncrypt Sign
    Verify VerifyMac
    """.split()  # noqa: SIM905  # 15 quoted words are harder to read
)


class _TokenMembers(Members, frozen=True, kw_only=True):
    """What every request that takes grant tokens has in common."""

    grant_tokens: list[str] | None = None


def with_grant_tokens(operations: Mapping[str, Prepare]) -> Mapping[str, Prepare]:
    """Let callers of those operations that take grant tokens show them; each checks the form of them itself."""
    return {
        name: _showing_tokens(prepare) if name in TAKE_GRANT_TOKENS else prepare
        for name, prepare in operations.items()
    }


def _showing_tokens(prepare: Prepare) -> Prepare:
    def prepare_with_tokens(body: bytes, arns: Arns) -> Action:
        act = prepare(body, arns)
        if b"GrantTokens" not in body and b"\\" not in body:
            return act
        tokens = decode_members(body, _TokenMembers).grant_tokens
        if not tokens:
            return act

        async def act_with_tokens(service: KeyService, caller: Caller) -> Document | None:
            return await act(service, caller._replace(grant_tokens=tuple(tokens)))

        return act_with_tokens

    return prepare_with_tokens


def _create_grant(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.CreateGrantMembers)
    key_id = parse_key_id(given(members.key_id), arns)
    constraints = members.constraints or requests.ConstraintMembers()
    wanted = NewGrant(
        _principal(given(members.grantee_principal), arns),
        frozenset(members.operations or ()),
        "" if members.retiring_principal is None else _principal(members.retiring_principal, arns),
        constraints.encryption_context_equals,
        constraints.encryption_context_subset,
        members.name or "",
    )
    dry_run = bool(members.dry_run)

    async def act(service: KeyService, caller: Caller) -> Document:
        made = await service.create_grant(caller, key_id, wanted=wanted, dry_run=dry_run)
        return {"GrantToken": made.token, "GrantId": made.grant_id}

    return act


def _list_grants(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.ListGrantsMembers)
    key_id = parse_key_id(given(members.key_id), arns)
    after = read_marker(Paged.GRANTS, members.marker)
    limit = members.limit or _DEFAULT_GRANTS

    async def act(service: KeyService, caller: Caller) -> Document:
        page = await service.list_grants(
            caller,
            key_id,
            grant_id=members.grant_id,
            grantee=members.grantee_principal,
            limit=limit,
            after=after,
        )
        return _page(page, Paged.GRANTS, arns)

    return act


def _list_retirable_grants(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.ListRetirableGrantsMembers)
    retiring = _principal(given(members.retiring_principal), arns)
    after = read_marker(Paged.RETIRABLE_GRANTS, members.marker)
    limit = members.limit or _DEFAULT_GRANTS

    async def act(service: KeyService, caller: Caller) -> Document:
        page = await service.list_retirable_grants(caller, retiring=retiring, limit=limit, after=after)
        return _page(page, Paged.RETIRABLE_GRANTS, arns)

    return act


def _revoke_grant(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.RevokeGrantMembers)
    key_id, grant_id = parse_key_id(given(members.key_id), arns), given(members.grant_id)
    dry_run = bool(members.dry_run)

    async def act(service: KeyService, caller: Caller) -> None:
        await service.revoke_grant(caller, key_id, grant_id=grant_id, dry_run=dry_run)

    return act


def _retire_grant(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.RetireGrantMembers)
    key_id = None if members.key_id is None else parse_key_id(members.key_id, arns)
    grant_id = members.grant_id
    if members.grant_token is not None:
        grant_id = grant_of_token(members.grant_token)
    if grant_id is None:
        raise ApiError("InvalidGrantTokenException", "The grant token names no grant.")
    named, dry_run = grant_id, bool(members.dry_run)

    async def act(service: KeyService, caller: Caller) -> None:
        await service.retire_grant(caller, key_id=key_id, grant_id=named, dry_run=dry_run)

    return act


OPERATIONS: Mapping[str, Prepare] = MappingProxyType(
    {
        "CreateGrant": _create_grant,
        "ListGrants": _list_grants,
        "ListRetirableGrants": _list_retirable_grants,
        "RetireGrant": _retire_grant,
        "RevokeGrant": _revoke_grant,
    }
)


def _principal(arn: str, arns: Arns) -> str:
    """Check the ARN of a principal of this account. Whether there is such a one is not looked at."""
    if not is_principal_arn(arn) or arn.split(":")[4] != arns.account_id:
        raise ApiError("InvalidArnException", f"ARN does not refer to a valid principal: {arn}")
    return arn


def _page(page: GrantPage, paged: Paged, arns: Arns) -> Document:
    return {"Grants": [_entry(grant, arns) for grant in page.grants], **next_page(paged, page.next_after)}


def _entry(grant: GrantInfo, arns: Arns) -> Document:
    entry: dict[str, object] = {
        "KeyId": arns.key(grant.key_id),
        "GrantId": grant.grant_id,
        "Name": grant.name,
        "CreationDate": round(grant.created_at, 3),
        "GranteePrincipal": grant.grantee,
        "IssuingAccount": arns.principal("root"),
        "Operations": list(grant.actions),
    }
    if grant.retiring:
        entry["RetiringPrincipal"] = grant.retiring
    named = {"EncryptionContextEquals": grant.equals, "EncryptionContextSubset": grant.subset}
    constraints = {name: pairs for name, pairs in named.items() if pairs is not None}
    if constraints:
        entry["Constraints"] = constraints
    return entry
