"""Custom key stores: the record, the reads and the writes; and the Direct keys that belong to no key of the service."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from sqlalchemy import Executable, bindparam, delete, exists, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from strongroom.core import KeyState, StorageError
from strongroom.storage._errors import translated
from strongroom.storage._queries import Queries
from strongroom.storage._records import HsmKeyRecord, HsmKeyState
from strongroom.storage._rows import hsm_key_of, readable_hsm_keys_of
from strongroom.storage._schema import custom_key_stores, hsm_keys, key_versions, keys


class KeyStoreRecord(NamedTuple):
    """A custom key store: a set of Direct keys in one cluster of HSMs, which are switched on and off together."""

    store_id: str
    """``cks-`` and 17 hexadecimal digits."""
    name: str
    """1 to 256 characters; no two stores have the same."""
    cluster_id: str
    is_connected: bool
    """Whether its keys can be made and used."""
    created_at: float


_STORE: Final = select(custom_key_stores).where(custom_key_stores.c.store_id == bindparam("store_id"))
_NAMED: Final = select(custom_key_stores).where(custom_key_stores.c.name == bindparam("name"))
_STORES: Final = select(custom_key_stores).order_by(custom_key_stores.c.store_id).limit(bindparam("limit"))
_STORES_AFTER: Final = _STORES.where(custom_key_stores.c.store_id > bindparam("after"))
_KEY_COUNT: Final = (
    select(func.count())
    .select_from(keys)
    .where(keys.c.store_id == bindparam("store_id"), keys.c.state != KeyState.DESTROYED.value)
)
_UNCLAIMED: Final = (
    select(hsm_keys)
    .where(
        hsm_keys.c.state == HsmKeyState.ACTIVE.value,
        hsm_keys.c.made_for != "",
        ~exists().where(key_versions.c.hsm_key_id == hsm_keys.c.key_id),
    )
    .order_by(hsm_keys.c.created_at, hsm_keys.c.key_id)
)
_MADE_FOR: Final = select(hsm_keys).where(
    hsm_keys.c.made_for == bindparam("made_for"), hsm_keys.c.state == HsmKeyState.ACTIVE.value
)
_HSM_KEY_COUNT: Final = (
    select(func.count()).select_from(hsm_keys).where(hsm_keys.c.state != HsmKeyState.DESTROYED.value)
)
_INSERT: Final = insert(custom_key_stores).values(
    {column.name: bindparam(column.name) for column in custom_key_stores.columns}
)
_CHANGE: Final = (
    update(custom_key_stores)
    .where(custom_key_stores.c.store_id == bindparam("of_store"))
    .values({name: bindparam(f"new_{name}") for name in ("name", "cluster_id", "is_connected")})
)
_DELETE: Final = delete(custom_key_stores).where(custom_key_stores.c.store_id == bindparam("of_store"))


class KeyStoreReads(Queries):
    """See ``Reader``, which has them."""

    def get_key_store(self, store_id: str) -> KeyStoreRecord | None:
        """Return a custom key store by its id."""
        row = self._first(_STORE, {"store_id": store_id})
        return None if row is None else KeyStoreRecord(*row)

    def find_key_store(self, name: str) -> KeyStoreRecord | None:
        """Return a custom key store by its name."""
        row = self._first(_NAMED, {"name": name})
        return None if row is None else KeyStoreRecord(*row)

    def list_key_stores(self, *, after: str | None, limit: int) -> list[KeyStoreRecord]:
        """Return up to ``limit`` custom key stores in the order of their ids."""
        if after is None:
            rows = self._all(_STORES, {"limit": limit})
        else:
            rows = self._all(_STORES_AFTER, {"limit": limit, "after": after})
        return [KeyStoreRecord(*row) for row in rows]

    def count_keys_in_store(self, store_id: str) -> int:
        """Return how many keys of a custom key store are not destroyed yet."""
        row = self._first(_KEY_COUNT, {"store_id": store_id})
        return 0 if row is None else int(row[0])

    def list_unclaimed_hsm_keys(self) -> list[HsmKeyRecord]:
        """Return the active Direct keys that were made for a version of a key which is not there, oldest first."""
        return readable_hsm_keys_of(self._all(_UNCLAIMED, {}))

    def find_hsm_key_made_for(self, made_for: str) -> HsmKeyRecord | None:
        """Return the active Direct key that was made for a version of a key."""
        row = self._first(_MADE_FOR, {"made_for": made_for})
        return None if row is None else hsm_key_of(row)

    def count_hsm_keys(self) -> int:
        """Return how many Direct keys there are, those included that are being made."""
        row = self._first(_HSM_KEY_COUNT, {})
        return 0 if row is None else int(row[0])


class KeyStoreWrites(Queries):
    """See ``Transaction``, which has them."""

    def insert_key_store(self, record: KeyStoreRecord) -> None:
        """Add a custom key store. Raises DuplicateError when its name is taken."""
        self._run(_INSERT, record._asdict())

    def change_key_store(self, record: KeyStoreRecord) -> None:
        """Store name, cluster and connection of a custom key store. Raises DuplicateError, StorageError."""
        values = {f"new_{name}": getattr(record, name) for name in ("name", "cluster_id", "is_connected")}
        self._run_once(_CHANGE, {"of_store": record.store_id, **values})

    def delete_key_store(self, store_id: str) -> None:
        """Remove a custom key store. Raises StorageError when there is none."""
        self._run_once(_DELETE, {"of_store": store_id})

    def _run_once(self, statement: Executable, values: Mapping[str, object]) -> None:
        if self._run(statement, values) != 1:
            raise StorageError("there is no such custom key store")

    def _run(self, statement: Executable, values: Mapping[str, object]) -> int:
        try:
            return self._connection.execute(statement, dict(values)).rowcount
        except SQLAlchemyError as error:
            raise translated(error) from error
