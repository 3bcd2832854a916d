"""GetKeyLastUsage. See ``_kms``."""

from collections.abc import Mapping
from types import MappingProxyType

from strongroom.api._arns import Arns
from strongroom.api._names import parse_key_id
from strongroom.api._operation import Action, Document, Prepare, given, parse
from strongroom.api._requests import KeyMembers
from strongroom.service import Caller, KeyService


def _get_key_last_usage(body: bytes, arns: Arns) -> Action:
    key_id = parse_key_id(given(parse(body, KeyMembers).key_id), arns)

    async def act(service: KeyService, caller: Caller) -> Document:
        known = await service.get_key_last_usage(caller, key_id)
        last: dict[str, object] = {}
        if known.used_at is not None:
            last = {
                "Operation": known.operation,
                "Timestamp": round(known.used_at, 3),
                "KmsRequestId": known.request_id,
            }
        return {
            "KeyId": arns.key(known.key_id),
            "KeyLastUsage": last,
            "TrackingStartDate": round(known.tracked_since, 3),
            "KeyCreationDate": round(known.created_at, 3),
        }

    return act


OPERATIONS: Mapping[str, Prepare] = MappingProxyType({"GetKeyLastUsage": _get_key_last_usage})
