"""``KeyStoreVerbs``: the verbs that manage custom key stores."""

from strongroom.keyring import KeyStorePage
from strongroom.service._audited import AuditedVerbs
from strongroom.service._caller import Caller


class KeyStoreVerbs(AuditedVerbs):
    """See ``KeyStoreService`` for what each verb promises. The audit log names stores by their ids."""

    async def create_custom_key_store(self, caller: Caller, *, name: str, cluster_id: str) -> str:
        """Make a custom key store."""
        made = await self._change(
            caller,
            "CreateCustomKeyStore",
            lambda: self._keyring.key_stores.create(name, cluster_id),
            detail={"store_name": name, "cluster": cluster_id},
        )
        return made.store_id

    async def describe_custom_key_stores(
        self, caller: Caller, *, store_id: str | None, name: str | None, limit: int, after: str | None
    ) -> KeyStorePage:
        """Tell about one custom key store, or list all."""
        stores = self._keyring.key_stores

        async def act() -> KeyStorePage:
            if store_id is not None:
                return KeyStorePage((stores.get(store_id),), None)
            if name is not None:
                return KeyStorePage((stores.find(name),), None)
            return stores.page(limit=limit, after=after)

        detail = {} if store_id is None else {"store": store_id}
        return await self._use(caller, "DescribeCustomKeyStores", act(), detail=detail)

    async def update_custom_key_store(
        self, caller: Caller, store_id: str, *, name: str | None, cluster_id: str | None
    ) -> None:
        """Give a custom key store another name or cluster."""
        detail = {"store": store_id}
        if name is not None:
            detail["store_name"] = name
        if cluster_id is not None:
            detail["cluster"] = cluster_id
        await self._change(
            caller,
            "UpdateCustomKeyStore",
            lambda: self._keyring.key_stores.update(store_id, name=name, cluster_id=cluster_id),
            detail=detail,
        )

    async def connect_custom_key_store(self, caller: Caller, store_id: str) -> None:
        """Let keys of a custom key store be made and used."""
        await self._change(
            caller,
            "ConnectCustomKeyStore",
            lambda: self._keyring.key_stores.connect(store_id),
            detail={"store": store_id},
        )

    async def disconnect_custom_key_store(self, caller: Caller, store_id: str) -> None:
        """Take the keys of a custom key store out of use: no request that is sent after this returned can use one."""
        await self._change(
            caller,
            "DisconnectCustomKeyStore",
            lambda: self._keyring.key_stores.disconnect(store_id),
            detail={"store": store_id},
        )

    async def delete_custom_key_store(self, caller: Caller, store_id: str) -> None:
        """Forget a custom key store."""
        await self._change(
            caller,
            "DeleteCustomKeyStore",
            lambda: self._keyring.key_stores.delete(store_id),
            detail={"store": store_id},
        )
