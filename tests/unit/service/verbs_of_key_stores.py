"""The verbs of custom key stores, on a store that is there (``make_store_ready_for``). See ``verbs``."""

from fakes_direct_keys import CLUSTER
from strongroom.keyring import Connection, KeyStoreNotFoundError

_NAME = "store of tests"


def _store_id(service):
    try:
        return service._keyring.key_stores.find(_NAME).store_id
    except KeyStoreNotFoundError:
        return "cks-00000000000000000"


STORE_VERBS = {
    "CreateCustomKeyStore": lambda service, caller, key_id, sealed: service.create_custom_key_store(
        caller, name=f"store {caller.request_id}", cluster_id=CLUSTER
    ),
    "DescribeCustomKeyStores": lambda service, caller, key_id, sealed: service.describe_custom_key_stores(
        caller, store_id=None, name=None, limit=10, after=None
    ),
    "UpdateCustomKeyStore": lambda service, caller, key_id, sealed: service.update_custom_key_store(
        caller, _store_id(service), name=_NAME, cluster_id=CLUSTER
    ),
    "ConnectCustomKeyStore": lambda service, caller, key_id, sealed: service.connect_custom_key_store(
        caller, _store_id(service)
    ),
    "DisconnectCustomKeyStore": lambda service, caller, key_id, sealed: service.disconnect_custom_key_store(
        caller, _store_id(service)
    ),
    "DeleteCustomKeyStore": lambda service, caller, key_id, sealed: service.delete_custom_key_store(
        caller, _store_id(service)
    ),
}


async def make_store_ready_for(verb, service, caller):
    """See that the store of these verbs is there, and connected or not as the verb needs it."""
    if verb not in STORE_VERBS:
        return
    stores = service._keyring.key_stores
    try:
        info = stores.find(_NAME)
    except KeyStoreNotFoundError:
        info = await stores.create(_NAME, CLUSTER)
    is_to_be = verb == "DisconnectCustomKeyStore"
    if is_to_be:
        await stores.connect(info.store_id)
    elif info.connection is Connection.CONNECTED:
        await stores.disconnect(info.store_id)
