"""The operations on key policies. See ``_kms``."""

from collections.abc import Mapping
from types import MappingProxyType

from strongroom.api import _requests_policies as requests
from strongroom.api._arns import Arns
from strongroom.api._names import parse_key_id
from strongroom.api._operation import Action, Document, Prepare, given, parse
from strongroom.service import Caller, KeyService


def _get_key_policy(body: bytes, arns: Arns) -> Action:
    key_id = parse_key_id(given(parse(body, requests.GetKeyPolicyMembers).key_id), arns)

    async def act(service: KeyService, caller: Caller) -> Document:
        document = await service.get_key_policy(caller, key_id)
        return {"Policy": document, "PolicyName": requests.DEFAULT_POLICY_NAME}

    return act


def _put_key_policy(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.PutKeyPolicyMembers)
    key_id = parse_key_id(given(members.key_id), arns)
    document = given(members.policy)
    skip = bool(members.bypass_policy_lockout_safety_check)

    async def act(service: KeyService, caller: Caller) -> None:
        await service.put_key_policy(caller, key_id, document=document, skip_lockout_check=skip)

    return act


def _list_key_policies(body: bytes, arns: Arns) -> Action:
    key_id = parse_key_id(given(parse(body, requests.ListKeyPoliciesMembers).key_id), arns)

    async def act(service: KeyService, caller: Caller) -> Document:
        await service.list_key_policies(caller, key_id)
        return {"PolicyNames": [requests.DEFAULT_POLICY_NAME], "Truncated": False}

    return act


OPERATIONS: Mapping[str, Prepare] = MappingProxyType(
    {
        "GetKeyPolicy": _get_key_policy,
        "ListKeyPolicies": _list_key_policies,
        "PutKeyPolicy": _put_key_policy,
    }
)
