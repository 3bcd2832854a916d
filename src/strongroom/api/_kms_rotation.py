"""The operations that rotate symmetric keys. See ``_kms``."""

from collections.abc import Mapping
from types import MappingProxyType

from strongroom.api import _requests_rotation as requests
from strongroom.api._arns import Arns
from strongroom.api._names import parse_key_id
from strongroom.api._operation import Action, Document, Prepare, expiry, given, next_page, parse
from strongroom.api._paging import Paged, read_marker
from strongroom.api._requests import KeyMembers
from strongroom.core import VersionMadeBy
from strongroom.keyring import DEFAULT_ROTATION_DAYS, KeyVersion
from strongroom.service import Caller, KeyService

_DEFAULT_ROTATIONS = 100
_ROTATION_TYPES = MappingProxyType(
    {VersionMadeBy.AUTOMATIC: "AUTOMATIC", VersionMadeBy.ON_DEMAND: "ON_DEMAND"}
)


def _enable_key_rotation(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.EnableKeyRotationMembers)
    key_id = parse_key_id(given(members.key_id), arns)
    days = members.rotation_period_in_days or DEFAULT_ROTATION_DAYS

    async def act(service: KeyService, caller: Caller) -> None:
        await service.enable_key_rotation(caller, key_id, days=days)

    return act


def _disable_key_rotation(body: bytes, arns: Arns) -> Action:
    key_id = parse_key_id(given(parse(body, KeyMembers).key_id), arns)

    async def act(service: KeyService, caller: Caller) -> None:
        await service.disable_key_rotation(caller, key_id)

    return act


def _get_key_rotation_status(body: bytes, arns: Arns) -> Action:
    key_id = parse_key_id(given(parse(body, KeyMembers).key_id), arns)

    async def act(service: KeyService, caller: Caller) -> Document:
        status = await service.get_key_rotation_status(caller, key_id)
        document: dict[str, object] = {
            "KeyRotationEnabled": status.days > 0,
            "KeyId": arns.key(status.key_id),
        }
        if status.next_at is not None:
            document["RotationPeriodInDays"] = status.days
            document["NextRotationDate"] = round(status.next_at, 3)
        return document

    return act


def _rotate_key_on_demand(body: bytes, arns: Arns) -> Action:
    key_id = parse_key_id(given(parse(body, KeyMembers).key_id), arns)

    async def act(service: KeyService, caller: Caller) -> Document:
        info = await service.rotate_key_on_demand(caller, key_id)
        return {"KeyId": arns.key(info.key_id)}

    return act


def _list_key_rotations(body: bytes, arns: Arns) -> Action:
    members = parse(body, requests.ListKeyRotationsMembers)
    key_id = parse_key_id(given(members.key_id), arns)
    after = read_marker(Paged.ROTATIONS, members.marker)
    limit = members.limit or _DEFAULT_ROTATIONS
    with_first = members.include_key_material == requests.ALL_KEY_MATERIAL

    async def act(service: KeyService, caller: Caller) -> Document:
        page = await service.list_key_rotations(
            caller, key_id, limit=limit, after=None if after is None else int(after), with_first=with_first
        )
        rotations = [_rotation(version, arns.key(page.key_id)) for version in page.versions]
        next_after = None if page.next_after is None else str(page.next_after)
        return {"Rotations": rotations, **next_page(Paged.ROTATIONS, next_after)}

    return act


OPERATIONS: Mapping[str, Prepare] = MappingProxyType(
    {
        "DisableKeyRotation": _disable_key_rotation,
        "EnableKeyRotation": _enable_key_rotation,
        "GetKeyRotationStatus": _get_key_rotation_status,
        "ListKeyRotations": _list_key_rotations,
        "RotateKeyOnDemand": _rotate_key_on_demand,
    }
)


def _rotation(version: KeyVersion, key_arn: str) -> Document:
    entry: dict[str, object] = {
        "KeyId": key_arn,
        "KeyMaterialId": version.material_id,
        "KeyMaterialState": _state(version),
    }
    if version.rotated_at is not None:
        rotation_type = _ROTATION_TYPES.get(version.made_by, "ON_DEMAND")
        entry |= {"RotationDate": round(version.rotated_at, 3), "RotationType": rotation_type}
    if version.made_by is VersionMadeBy.IMPORT:
        entry["ImportState"] = "IMPORTED" if version.has_material else "PENDING_IMPORT"
        entry |= expiry(version.expires_at) if version.has_material else {}
        if version.description:
            entry["KeyMaterialDescription"] = version.description
    return entry


def _state(version: KeyVersion) -> str:
    if version.is_waiting:
        return "PENDING_ROTATION"
    return "CURRENT" if version.is_current else "NON_CURRENT"
