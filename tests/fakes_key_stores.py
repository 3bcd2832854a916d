"""The custom key stores of ``FakeKeyService``, in memory."""

from fakes_direct_keys import CLUSTER
from strongroom.core import random_bytes
from strongroom.keyring import (
    ClusterNotFoundError,
    Connection,
    KeyStoreHasKeysError,
    KeyStoreInfo,
    KeyStoreNameInUseError,
    KeyStoreNotFoundError,
    KeyStorePage,
    KeyStoreStateError,
)


class FakeKeyStores:
    """Needs ``_begin``, ``_clock`` and ``keys`` of ``FakeKeyManagement``."""

    def start_key_stores(self):
        self.stores = {}

    def _store(self, store_id, *, connection=None):
        if store_id not in self.stores:
            raise KeyStoreNotFoundError(store_id)
        info = self.stores[store_id]
        if connection not in {None, info.connection}:
            raise KeyStoreStateError(store_id, state=info.connection)
        return info

    def _require_free(self, name):
        if any(info.name == name for info in self.stores.values()):
            raise KeyStoreNameInUseError(name)

    async def create_custom_key_store(self, caller, *, name, cluster_id):
        self._begin("CreateCustomKeyStore", caller)
        if cluster_id != CLUSTER:
            raise ClusterNotFoundError(cluster_id)
        self._require_free(name)
        store_id = f"cks-{random_bytes(9).hex()[:17]}"
        self.stores[store_id] = KeyStoreInfo(
            store_id, name, cluster_id, Connection.DISCONNECTED, self._clock.now()
        )
        return store_id

    async def describe_custom_key_stores(self, caller, *, store_id, name, limit, after):
        self._begin("DescribeCustomKeyStores", caller)
        if store_id is not None:
            return KeyStorePage((self._store(store_id),), None)
        if name is not None:
            found = [info for info in self.stores.values() if info.name == name]
            if not found:
                raise KeyStoreNotFoundError(name)
            return KeyStorePage(tuple(found), None)
        ids = sorted(store_id for store_id in self.stores if after is None or store_id > after)
        shown = tuple(self.stores[store_id] for store_id in ids[:limit])
        return KeyStorePage(shown, shown[-1].store_id if len(ids) > limit else None)

    async def update_custom_key_store(self, caller, store_id, *, name, cluster_id):
        self._begin("UpdateCustomKeyStore", caller)
        info = self._store(store_id, connection=Connection.DISCONNECTED)
        if cluster_id not in {None, CLUSTER}:
            raise ClusterNotFoundError(cluster_id)
        if name is not None:
            self._require_free(name)
            self.stores[store_id] = info._replace(name=name)

    async def connect_custom_key_store(self, caller, store_id):
        self._begin("ConnectCustomKeyStore", caller)
        self.stores[store_id] = self._store(store_id)._replace(connection=Connection.CONNECTED)

    async def disconnect_custom_key_store(self, caller, store_id):
        self._begin("DisconnectCustomKeyStore", caller)
        info = self._store(store_id, connection=Connection.CONNECTED)
        self.stores[store_id] = info._replace(connection=Connection.DISCONNECTED)

    async def delete_custom_key_store(self, caller, store_id):
        self._begin("DeleteCustomKeyStore", caller)
        self._store(store_id, connection=Connection.DISCONNECTED)
        if any(getattr(info, "store_id", "") == store_id for info in self.keys.values()):
            raise KeyStoreHasKeysError(store_id, 1)
        del self.stores[store_id]
