"""What the service promises about custom key stores; a part of ``KeyService``."""

from typing import Protocol

from strongroom.keyring import KeyStorePage
from strongroom.service._caller import Caller


class KeyStoreService(Protocol):
    """The verbs that manage custom key stores. Those that name one raise KeyStoreNotFoundError."""

    async def create_custom_key_store(self, caller: Caller, *, name: str, cluster_id: str) -> str:
        """Make a store, which is not connected; return its id. Raises KeyStoreNameInUseError, ClusterNotFoundError."""
        ...

    async def describe_custom_key_stores(
        self, caller: Caller, *, store_id: str | None, name: str | None, limit: int, after: str | None
    ) -> KeyStorePage:
        """Tell about one store, by id or by name, or list all, ``limit`` 1 to 1,000."""
        ...

    async def update_custom_key_store(
        self, caller: Caller, store_id: str, *, name: str | None, cluster_id: str | None
    ) -> None:
        """Give a disconnected store another name or cluster.

        Raises KeyStoreStateError, KeyStoreNameInUseError, ClusterNotFoundError.
        """
        ...

    async def connect_custom_key_store(self, caller: Caller, store_id: str) -> None:
        """Let keys of a store be made and used. Raises ClusterNotFoundError, ClusterNotActiveError."""
        ...

    async def disconnect_custom_key_store(self, caller: Caller, store_id: str) -> None:
        """Take the keys of a store out of use. Raises KeyStoreStateError when it is disconnected already."""
        ...

    async def delete_custom_key_store(self, caller: Caller, store_id: str) -> None:
        """Forget a store. Raises KeyStoreStateError unless it is disconnected, KeyStoreHasKeysError."""
        ...
