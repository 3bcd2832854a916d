"""``KeyStores``: custom key stores, each a set of Direct keys in the service's cluster of HSMs.

A store is made disconnected. Its keys can be made and used while it is connected; disconnecting it takes all of them out of use
at once, in every process, and changes nothing of them. A store can be deleted when it is disconnected and has no keys.
"""

from enum import StrEnum
from functools import partial
from typing import NamedTuple

from strongroom.core import Clock, random_bytes
from strongroom.keyring._hsm_access import HsmAccess
from strongroom.keyring._key_store_errors import (
    ClusterNotActiveError,
    ClusterNotFoundError,
    KeyStoreHasKeysError,
    KeyStoreNameInUseError,
    KeyStoreNotFoundError,
    KeyStoreStateError,
)
from strongroom.keyring._remembered import Remembered
from strongroom.keyring._values import KeyInfo
from strongroom.storage import DuplicateError, KeyStoreRecord, Reader, Store, Transaction


class Connection(StrEnum):
    """Whether the keys of a store can be used, in the words of AWS KMS."""

    CONNECTED = "CONNECTED"
    DISCONNECTED = "DISCONNECTED"
    FAILED = "FAILED"
    """It is to be connected, but the service has no cluster of this id any more."""


class KeyStoreInfo(NamedTuple):
    """A custom key store as callers may see it."""

    store_id: str
    """``cks-`` and 17 hexadecimal digits."""
    name: str
    cluster_id: str
    connection: Connection
    created_at: float
    """Seconds since the Unix epoch."""


class KeyStorePage(NamedTuple):
    """Stores in the order of their ids; ``next_after`` is the id to go on after, None at the end."""

    stores: tuple[KeyStoreInfo, ...]
    next_after: str | None


class KeyStores:
    """Makes, shows and changes custom key stores. Each change is durable, and in force in every process, when it returns.

    Belongs to one event loop. Those that name a store raise KeyStoreNotFoundError; all raise StorageError.
    """

    def __init__(self, store: Store, access: HsmAccess | None, *, clock: Clock) -> None:
        """Without ``access`` there is no cluster that a store could be in."""
        self._store = store
        self._access = access
        self._clock = clock
        self._remembered: Remembered[str, KeyStoreRecord] = Remembered(store)

    async def create(self, name: str, cluster_id: str) -> KeyStoreInfo:
        """Make a store in a cluster, disconnected. Raises KeyStoreNameInUseError, ClusterNotFoundError."""
        self._require_cluster(cluster_id)
        store_id = f"cks-{random_bytes(9).hex()[:17]}"
        record = KeyStoreRecord(store_id, name, cluster_id, False, self._clock.now())
        try:
            await self._store.write(lambda tx: tx.insert_key_store(record))
        except DuplicateError:
            raise KeyStoreNameInUseError(name) from None
        return self._info(record)

    def get(self, store_id: str) -> KeyStoreInfo:
        """Tell about a store."""
        return self._info(_read(self._store, store_id))

    def find(self, name: str) -> KeyStoreInfo:
        """Tell about the store of a name."""
        record = self._store.find_key_store(name)
        if record is None:
            raise KeyStoreNotFoundError(name)
        return self._info(record)

    def page(self, *, limit: int, after: str | None) -> KeyStorePage:
        """Return a page of stores in the order of their ids."""
        found = self._store.list_key_stores(after=after, limit=limit + 1)
        page = found[:limit]
        return KeyStorePage(tuple(map(self._info, page)), page[-1].store_id if len(found) > limit else None)

    async def update(self, store_id: str, *, name: str | None, cluster_id: str | None) -> None:
        """Give a store that is disconnected another name, or another cluster.

        Raises KeyStoreStateError, KeyStoreNameInUseError, ClusterNotFoundError.
        """
        if cluster_id is not None:
            self._require_cluster(cluster_id)
        try:
            await self._store.write(partial(_update, store_id=store_id, name=name, cluster_id=cluster_id))
        except DuplicateError:
            raise KeyStoreNameInUseError(name or "") from None

    async def connect(self, store_id: str) -> None:
        """Let the keys of a store be made and used; no effect on one that is connected.

        Raises ClusterNotFoundError, ClusterNotActiveError.
        """
        record = _read(self._store, store_id)
        access = self._require_cluster(record.cluster_id)
        if not access.is_active():
            raise ClusterNotActiveError(record.cluster_id)
        await self._store.write(partial(_set_connected, store_id=store_id, is_connected=True))

    async def disconnect(self, store_id: str) -> None:
        """Take the keys of a store out of use. Raises KeyStoreStateError when it is disconnected already."""
        await self._store.write(partial(_set_connected, store_id=store_id, is_connected=False))

    async def delete(self, store_id: str) -> None:
        """Forget a store. Raises KeyStoreStateError unless it is disconnected, KeyStoreHasKeysError."""
        await self._store.write(partial(_delete, store_id=store_id))

    def completed(self, info: KeyInfo) -> KeyInfo:
        """Add to what is told about a key where it is, if it is inside HSMs, and whether it can be used there."""
        if not info.store_id:
            return info
        record = self._store.get_key_store(info.store_id)
        cluster_id = "" if record is None else record.cluster_id
        return info._replace(cluster_id=cluster_id, is_available=self.is_connected(info.store_id))

    def is_connected(self, store_id: str) -> bool:
        """Whether the keys of a store may be used now; False when there is no such store."""
        try:
            record = self._remembered.get(store_id, lambda: _read(self._store, store_id))
        except KeyStoreNotFoundError:
            return False
        return self._info(record).connection is Connection.CONNECTED

    def require_connected(self, store_id: str) -> HsmAccess:
        """Return the way to the HSMs of a connected store. Raises KeyStoreStateError, ClusterNotFoundError."""
        info = self.get(store_id)
        if info.connection is not Connection.CONNECTED:
            raise KeyStoreStateError(store_id, state=info.connection)
        return self._require_cluster(info.cluster_id)

    def _require_cluster(self, cluster_id: str) -> HsmAccess:
        if self._access is None or self._access.cluster_id != cluster_id:
            raise ClusterNotFoundError(cluster_id)
        return self._access

    def _info(self, record: KeyStoreRecord) -> KeyStoreInfo:
        connection = Connection.CONNECTED if record.is_connected else Connection.DISCONNECTED
        if record.is_connected and (self._access is None or self._access.cluster_id != record.cluster_id):
            connection = Connection.FAILED
        return KeyStoreInfo(record.store_id, record.name, record.cluster_id, connection, record.created_at)


def require_connected_in(tx: Transaction, store_id: str) -> None:
    """Raise KeyStoreNotFoundError or KeyStoreStateError unless a store is connected still, inside a transaction."""
    if not _read(tx, store_id).is_connected:
        raise KeyStoreStateError(store_id, state=Connection.DISCONNECTED)


def _read(reader: Reader, store_id: str) -> KeyStoreRecord:
    record = reader.get_key_store(store_id)
    if record is None:
        raise KeyStoreNotFoundError(store_id)
    return record


def _read_disconnected(tx: Transaction, store_id: str) -> KeyStoreRecord:
    record = _read(tx, store_id)
    if record.is_connected:
        raise KeyStoreStateError(store_id, state=Connection.CONNECTED)
    return record


def _update(tx: Transaction, *, store_id: str, name: str | None, cluster_id: str | None) -> None:
    found = _read_disconnected(tx, store_id)
    tx.change_key_store(found._replace(name=name or found.name, cluster_id=cluster_id or found.cluster_id))


def _set_connected(tx: Transaction, *, store_id: str, is_connected: bool) -> None:
    found = _read(tx, store_id)
    if not (is_connected or found.is_connected):
        raise KeyStoreStateError(store_id, state=Connection.DISCONNECTED)
    tx.change_key_store(found._replace(is_connected=is_connected))


def _delete(tx: Transaction, *, store_id: str) -> None:
    _read_disconnected(tx, store_id)
    n_keys = tx.count_keys_in_store(store_id)
    if n_keys:
        raise KeyStoreHasKeysError(store_id, n_keys)
    tx.delete_key_store(store_id)
