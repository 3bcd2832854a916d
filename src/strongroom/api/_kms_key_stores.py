"""The operations that manage custom key stores. See ``_kms``."""

from collections.abc import Mapping
from types import MappingProxyType

from strongroom.api import _requests_key_stores as requests
from strongroom.api._arns import Arns
from strongroom.api._operation import Action, Document, Prepare, given, next_page, parse
from strongroom.api._paging import Paged, read_marker
from strongroom.keyring import Connection, KeyStoreInfo
from strongroom.service import Caller, KeyService

_DEFAULT_STORES = 100


def _create_custom_key_store(body: bytes, _arns: Arns) -> Action:
    members = parse(body, requests.CreateCustomKeyStoreMembers)
    name, cluster_id = given(members.custom_key_store_name), given(members.cloud_hsm_cluster_id)

    async def act(service: KeyService, caller: Caller) -> Document:
        store_id = await service.create_custom_key_store(caller, name=name, cluster_id=cluster_id)
        return {"CustomKeyStoreId": store_id}

    return act


def _describe_custom_key_stores(body: bytes, _arns: Arns) -> Action:
    members = parse(body, requests.DescribeCustomKeyStoresMembers)
    after = read_marker(Paged.KEY_STORES, members.marker)
    limit = members.limit or _DEFAULT_STORES

    async def act(service: KeyService, caller: Caller) -> Document:
        page = await service.describe_custom_key_stores(
            caller,
            store_id=members.custom_key_store_id,
            name=members.custom_key_store_name,
            limit=limit,
            after=after,
        )
        stores = [_entry(info) for info in page.stores]
        return {"CustomKeyStores": stores, **next_page(Paged.KEY_STORES, page.next_after)}

    return act


def _update_custom_key_store(body: bytes, _arns: Arns) -> Action:
    members = parse(body, requests.UpdateCustomKeyStoreMembers)
    store_id = given(members.custom_key_store_id)

    async def act(service: KeyService, caller: Caller) -> Document:
        await service.update_custom_key_store(
            caller,
            store_id,
            name=members.new_custom_key_store_name,
            cluster_id=members.cloud_hsm_cluster_id,
        )
        return {}

    return act


def _connect_custom_key_store(body: bytes, _arns: Arns) -> Action:
    store_id = given(parse(body, requests.KeyStoreMembers).custom_key_store_id)

    async def act(service: KeyService, caller: Caller) -> Document:
        await service.connect_custom_key_store(caller, store_id)
        return {}

    return act


def _disconnect_custom_key_store(body: bytes, _arns: Arns) -> Action:
    store_id = given(parse(body, requests.KeyStoreMembers).custom_key_store_id)

    async def act(service: KeyService, caller: Caller) -> Document:
        await service.disconnect_custom_key_store(caller, store_id)
        return {}

    return act


def _delete_custom_key_store(body: bytes, _arns: Arns) -> Action:
    store_id = given(parse(body, requests.KeyStoreMembers).custom_key_store_id)

    async def act(service: KeyService, caller: Caller) -> Document:
        await service.delete_custom_key_store(caller, store_id)
        return {}

    return act


OPERATIONS: Mapping[str, Prepare] = MappingProxyType(
    {
        "ConnectCustomKeyStore": _connect_custom_key_store,
        "CreateCustomKeyStore": _create_custom_key_store,
        "DeleteCustomKeyStore": _delete_custom_key_store,
        "DescribeCustomKeyStores": _describe_custom_key_stores,
        "DisconnectCustomKeyStore": _disconnect_custom_key_store,
        "UpdateCustomKeyStore": _update_custom_key_store,
    }
)


def _entry(info: KeyStoreInfo) -> Document:
    entry: dict[str, object] = {
        "CustomKeyStoreId": info.store_id,
        "CustomKeyStoreName": info.name,
        "CustomKeyStoreType": requests.AWS_CLOUDHSM,
        "CloudHsmClusterId": info.cluster_id,
        "ConnectionState": info.connection,
        "CreationDate": round(info.created_at, 3),
    }
    if info.connection is Connection.FAILED:
        entry["ConnectionErrorCode"] = "CLUSTER_NOT_FOUND"
    return entry
