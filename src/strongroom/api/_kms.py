"""The operations of the data plane: each parses its members, calls one service function, renders the answer.

``prepare`` of an operation parses and may refuse; nothing of the service has run by then. The ``Action`` that
it returns makes the one call, which audits itself, and renders.
"""

from collections.abc import Mapping
from types import MappingProxyType

from strongroom.api import (
    _kms_algorithms,
    _kms_asymmetric,
    _kms_data,
    _kms_grants,
    _kms_imports,
    _kms_key_stores,
    _kms_keys,
    _kms_policies,
    _kms_rotation,
    _kms_usage,
)
from strongroom.api import _requests as requests
from strongroom.api._arns import Arns
from strongroom.api._errors import ApiError
from strongroom.api._names import parse_alias_name, parse_alias_target, parse_key_id, parse_key_ref
from strongroom.api._operation import Action, Document, Prepare, given, key_metadata, next_page, parse
from strongroom.api._paging import Paged, read_marker
from strongroom.api._requests_create_key import CreateKeyMembers
from strongroom.api._tags import tag_map
from strongroom.keyring import DOMAIN_TAG, AliasInfo, DomainNotFoundError
from strongroom.service import Caller, KeyService

_DEFAULT_KEYS = 100
_DEFAULT_ALIASES = 50


def _create_key(body: bytes, arns: Arns) -> Action:
    members = parse(body, CreateKeyMembers)
    description = members.description or ""
    tags = tag_map(members.tags)
    kind = members.kind(tags)
    skip = bool(members.bypass_policy_lockout_safety_check)

    async def act(service: KeyService, caller: Caller) -> Document:
        try:
            info = await service.create_key(
                caller, description=description, tags=tags, kind=kind, skip_lockout_check=skip
            )
        except DomainNotFoundError as error:  # which CreateKey of AWS has no word for but its tag
            raise ApiError("TagException", f"{error.message}, which the tag {DOMAIN_TAG} names.") from error
        return {"KeyMetadata": key_metadata(info, arns)}

    return act


def _describe_key(body: bytes, arns: Arns) -> Action:
    key = parse_key_ref(given(parse(body, requests.DescribeKeyMembers).key_id), arns)

    async def act(service: KeyService, caller: Caller) -> Document:
        return {"KeyMetadata": key_metadata(await service.describe_key(caller, key), arns)}

    return act


def _list_keys(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.ListKeysMembers)
    after = read_marker(Paged.KEYS, members.marker)
    limit = members.limit or _DEFAULT_KEYS

    async def act(service: KeyService, caller: Caller) -> Document:
        page = await service.list_keys(caller, limit=limit, after=after)
        keys = [{"KeyId": info.key_id, "KeyArn": arns.key(info.key_id)} for info in page.keys]
        return {"Keys": keys, **next_page(Paged.KEYS, page.next_after)}

    return act


def _create_alias(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.CreateAliasMembers)
    alias_name = parse_alias_name(given(members.alias_name))
    target_key_id = parse_alias_target(given(members.target_key_id), arns)

    async def act(service: KeyService, caller: Caller) -> None:
        await service.create_alias(caller, alias_name=alias_name, target_key_id=target_key_id)

    return act


def _list_aliases(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.ListAliasesMembers)
    key_id = None if members.key_id is None else parse_key_id(members.key_id, arns)
    after = read_marker(Paged.ALIASES, members.marker)
    limit = members.limit or _DEFAULT_ALIASES

    async def act(service: KeyService, caller: Caller) -> Document:
        page = await service.list_aliases(caller, key_id=key_id, limit=limit, after=after)
        aliases = [_alias_entry(info, arns) for info in page.aliases]
        return {"Aliases": aliases, **next_page(Paged.ALIASES, page.next_after)}

    return act


def _enable_key(body: bytes, arns: Arns) -> Action:
    key_id = parse_key_id(given(parse(body, requests.KeyMembers).key_id), arns)

    async def act(service: KeyService, caller: Caller) -> None:
        await service.enable_key(caller, key_id)

    return act


def _disable_key(body: bytes, arns: Arns) -> Action:
    key_id = parse_key_id(given(parse(body, requests.KeyMembers).key_id), arns)

    async def act(service: KeyService, caller: Caller) -> None:
        await service.disable_key(caller, key_id)

    return act


def _generate_data_key(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.GenerateDataKeyMembers)
    if members.dry_run:
        return _kms_algorithms.rehearse_data_key(members, arns, "GenerateDataKey")
    key = parse_key_ref(given(members.key_id), arns)
    n_bytes = members.n_bytes()
    context = members.encryption_context or {}

    async def act(service: KeyService, caller: Caller) -> Document:
        made = await service.generate_data_key(caller, key, n_bytes=n_bytes, context=context)
        return {
            "CiphertextBlob": made.ciphertext,
            "Plaintext": made.plaintext,
            "KeyId": arns.key(made.key_id),
            "KeyMaterialId": made.material_id,
        }

    return act


def _encrypt(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.EncryptMembers)
    if members.encryption_algorithm or members.dry_run:
        return _kms_algorithms.encrypt_by(members, arns)
    key = parse_key_ref(given(members.key_id), arns)
    plaintext = given(members.plaintext)
    context = members.encryption_context or {}

    async def act(service: KeyService, caller: Caller) -> Document:
        try:
            made = await service.encrypt(caller, key, plaintext, context=context)
        finally:
            plaintext.zeroize()
        return {
            "CiphertextBlob": made.ciphertext,
            "KeyId": arns.key(made.key_id),
            "EncryptionAlgorithm": requests.SYMMETRIC_DEFAULT,
        }

    return act


def _decrypt(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.DecryptMembers)
    if members.encryption_algorithm or members.dry_run:
        return _kms_algorithms.decrypt_by(members, arns)
    ciphertext = given(members.ciphertext_blob).value
    key = None if members.key_id is None else parse_key_ref(members.key_id, arns)
    context = members.encryption_context or {}

    async def act(service: KeyService, caller: Caller) -> Document:
        opened = await service.decrypt(caller, ciphertext, key=key, context=context)
        return {
            "KeyId": arns.key(opened.key_id),
            "Plaintext": opened.plaintext,
            "EncryptionAlgorithm": requests.SYMMETRIC_DEFAULT,
            "KeyMaterialId": opened.material_id,
        }

    return act


OPERATIONS: Mapping[str, Prepare] = MappingProxyType(
    _kms_grants.with_grant_tokens(
        {
            "CreateAlias": _create_alias,
            "CreateKey": _create_key,
            "Decrypt": _decrypt,
            "DescribeKey": _describe_key,
            "DisableKey": _disable_key,
            "EnableKey": _enable_key,
            "Encrypt": _encrypt,
            "GenerateDataKey": _generate_data_key,
            "ListAliases": _list_aliases,
            "ListKeys": _list_keys,
            **_kms_keys.OPERATIONS,
            **_kms_key_stores.OPERATIONS,
            **_kms_data.OPERATIONS,
            **_kms_policies.OPERATIONS,
            **_kms_grants.OPERATIONS,
            **_kms_rotation.OPERATIONS,
            **_kms_imports.OPERATIONS,
            **_kms_usage.OPERATIONS,
            **_kms_asymmetric.OPERATIONS,
        }
    )
)

NOT_SERVED_YET = frozenset(
    """
    Decapsulate Encapsulate ReplicateKey UpdatePrimaryRegion
    """.split()  # noqa: SIM905  # 4 quoted words are harder to read
)
"""The rest of the AWS KMS model: answered by UnsupportedOperationException."""


def _alias_entry(info: AliasInfo, arns: Arns) -> Document:
    return {
        "AliasName": info.alias_name,
        "AliasArn": arns.alias(info.alias_name),
        "TargetKeyId": info.target_key_id,
        "CreationDate": round(info.created_at, 3),
        "LastUpdatedDate": round(info.updated_at, 3),
    }
