"""Writes about the life of keys: what may change of a version, and by what imported material is recognised."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Executable, bindparam, delete, insert, update
from sqlalchemy.exc import SQLAlchemyError

from strongroom.core import StorageError
from strongroom.storage._errors import translated
from strongroom.storage._queries import Queries
from strongroom.storage._records import KeyVersionRecord
from strongroom.storage._schema import import_digest_keys, key_versions

_CHANGEABLE: Final = (
    *("material_id", "wrapped", "created_at", "public_key"),
    *("expires_at", "description", "rotated_at", "retired_at", "hsm_key_id"),
)
_CHANGE_VERSION: Final = (
    update(key_versions)
    .where(key_versions.c.key_id == bindparam("of_key"), key_versions.c.version == bindparam("of_version"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGEABLE})
)
_DELETE_VERSION: Final = delete(key_versions).where(
    key_versions.c.key_id == bindparam("of_key"), key_versions.c.version == bindparam("of_version")
)
_INSERT_DIGEST_KEY: Final = insert(import_digest_keys).values(
    key_id=bindparam("key_id"), wrapped=bindparam("wrapped")
)
_DELETE_DIGEST_KEY: Final = delete(import_digest_keys).where(
    import_digest_keys.c.key_id == bindparam("of_key")
)


class LifecycleWrites(Queries):
    """See ``Transaction``, which has them."""

    def change_key_version(self, record: KeyVersionRecord) -> None:
        """Store what may change of a version: its material, and the dates of that. Raises StorageError when it is not there."""
        values = {f"new_{name}": getattr(record, name) for name in _CHANGEABLE}
        values |= {"of_key": record.key_id, "of_version": record.version}
        if self._written(_CHANGE_VERSION, values) != 1:
            raise StorageError(f"version {record.version} of key {record.key_id} is not there")

    def delete_key_version(self, key_id: str, version: int) -> None:
        """Remove a version that never was the current one."""
        self._written(_DELETE_VERSION, {"of_key": key_id, "of_version": version})

    def insert_import_digest_key(self, key_id: str, wrapped: bytes) -> None:
        """Keep the sealed key by which imported material of a key is recognised; each key has one at most."""
        self._written(_INSERT_DIGEST_KEY, {"key_id": key_id, "wrapped": wrapped})

    def delete_import_digest_key(self, key_id: str) -> None:
        """Forget it, where there is one."""
        self._written(_DELETE_DIGEST_KEY, {"of_key": key_id})

    def _written(self, statement: Executable, values: Mapping[str, object]) -> int:
        try:
            return self._connection.execute(statement, dict(values)).rowcount
        except SQLAlchemyError as error:
            raise translated(error) from error
