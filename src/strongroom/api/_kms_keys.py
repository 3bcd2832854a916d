"""The further operations that manage keys, aliases and tags. See ``_kms``."""

from collections.abc import Mapping
from types import MappingProxyType

from strongroom.api import _requests_keys as requests
from strongroom.api._arns import Arns
from strongroom.api._names import parse_alias_name, parse_alias_target, parse_key_id
from strongroom.api._operation import Action, Document, Prepare, given, key_state, next_page, parse
from strongroom.api._paging import Paged, read_marker
from strongroom.api._requests import CreateAliasMembers, KeyMembers
from strongroom.api._tags import tag_map
from strongroom.keyring import MAX_DAYS_TO_DESTRUCTION, MAX_TAGS_OF_KEY
from strongroom.service import Caller, KeyService


def _update_alias(body: bytes, arns: Arns) -> Action:
    members = parse(body, CreateAliasMembers)
    alias_name = parse_alias_name(given(members.alias_name))
    target_key_id = parse_alias_target(given(members.target_key_id), arns)

    async def act(service: KeyService, caller: Caller) -> None:
        await service.update_alias(caller, alias_name=alias_name, target_key_id=target_key_id)

    return act


def _delete_alias(body: bytes, _arns: Arns) -> Action:
    alias_name = parse_alias_name(given(parse(body, requests.DeleteAliasMembers).alias_name))

    async def act(service: KeyService, caller: Caller) -> None:
        await service.delete_alias(caller, alias_name=alias_name)

    return act


def _update_key_description(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.UpdateKeyDescriptionMembers)
    key_id = parse_key_id(given(members.key_id), arns)
    description = given(members.description)

    async def act(service: KeyService, caller: Caller) -> None:
        await service.update_key_description(caller, key_id, description=description)

    return act


def _schedule_key_deletion(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.ScheduleKeyDeletionMembers)
    key_id = parse_key_id(given(members.key_id), arns)
    days = members.pending_window_in_days or MAX_DAYS_TO_DESTRUCTION

    async def act(service: KeyService, caller: Caller) -> Document:
        info = await service.schedule_key_deletion(caller, key_id, days=days)
        return {
            "KeyId": arns.key(info.key_id),
            "DeletionDate": round(info.destroy_at or 0.0, 3),
            "KeyState": key_state(info),
            "PendingWindowInDays": days,
        }

    return act


def _cancel_key_deletion(body: bytes, arns: Arns) -> Action:
    key_id = parse_key_id(given(parse(body, KeyMembers).key_id), arns)

    async def act(service: KeyService, caller: Caller) -> Document:
        await service.cancel_key_deletion(caller, key_id)
        return {"KeyId": arns.key(key_id)}

    return act


def _tag_resource(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.TagResourceMembers)
    key_id = parse_key_id(given(members.key_id), arns)
    tags = tag_map(members.tags)

    async def act(service: KeyService, caller: Caller) -> None:
        await service.tag_resource(caller, key_id, tags=tags)

    return act


def _untag_resource(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.UntagResourceMembers)
    key_id = parse_key_id(given(members.key_id), arns)
    names = frozenset(members.tag_keys or ())

    async def act(service: KeyService, caller: Caller) -> None:
        await service.untag_resource(caller, key_id, names=names)

    return act


def _list_resource_tags(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.ListResourceTagsMembers)
    key_id = parse_key_id(given(members.key_id), arns)
    after = read_marker(Paged.TAGS, members.marker)
    limit = members.limit or MAX_TAGS_OF_KEY

    async def act(service: KeyService, caller: Caller) -> Document:
        page = await service.list_resource_tags(caller, key_id, limit=limit, after=after)
        tags = [{"TagKey": tag.name, "TagValue": tag.value} for tag in page.tags]
        return {"Tags": tags, **next_page(Paged.TAGS, page.next_after)}

    return act


OPERATIONS: Mapping[str, Prepare] = MappingProxyType(
    {
        "CancelKeyDeletion": _cancel_key_deletion,
        "DeleteAlias": _delete_alias,
        "ListResourceTags": _list_resource_tags,
        "ScheduleKeyDeletion": _schedule_key_deletion,
        "TagResource": _tag_resource,
        "UntagResource": _untag_resource,
        "UpdateAlias": _update_alias,
        "UpdateKeyDescription": _update_key_description,
    }
)
