"""Reads about the life of keys: their versions, and what is due."""

from typing import Final

from sqlalchemy import bindparam, func, or_, select

from strongroom.core import KeyState, VersionMadeBy
from strongroom.storage._queries import Queries
from strongroom.storage._records import KeyRecord, KeyVersionRecord
from strongroom.storage._rows import key_version_of, readable_keys_of
from strongroom.storage._schema import custom_key_stores, import_digest_keys, key_versions, keys

_VERSIONS: Final = (
    select(key_versions)
    .where(key_versions.c.key_id == bindparam("key_id"), key_versions.c.version > bindparam("after"))
    .order_by(key_versions.c.version)
    .limit(bindparam("limit"))
)
_VERSION_COUNT: Final = (
    select(func.count())
    .select_from(key_versions)
    .where(key_versions.c.key_id == bindparam("key_id"), key_versions.c.made_by == bindparam("made_by"))
)
_CAN_BE_MADE_ANEW: Final = or_(
    keys.c.store_id == "",
    keys.c.store_id.in_(select(custom_key_stores.c.store_id).where(custom_key_stores.c.is_connected)),
)
_TO_ROTATE: Final = (
    select(keys)
    .where(
        keys.c.state == KeyState.ACTIVE.value,
        keys.c.rotate_at <= bindparam("now"),
        or_(keys.c.activate_at.is_(None), keys.c.activate_at <= bindparam("now")),
        _CAN_BE_MADE_ANEW,
    )
    .order_by(keys.c.rotate_at, keys.c.key_id)
    .limit(bindparam("limit"))
)
_WITH_EXPIRED: Final = (
    select(key_versions.c.key_id)
    .where(key_versions.c.expires_at <= bindparam("now"))
    .distinct()
    .order_by(key_versions.c.key_id)
    .limit(bindparam("limit"))
)
_DIGEST_KEY: Final = select(import_digest_keys.c.wrapped).where(
    import_digest_keys.c.key_id == bindparam("key_id")
)


class LifecycleReads(Queries):
    """See ``Reader``, which has them."""

    def list_key_versions(self, key_id: str, *, after: int, limit: int) -> list[KeyVersionRecord]:
        """Return up to ``limit`` versions of a key behind version ``after``, oldest first."""
        rows = self._all(_VERSIONS, {"key_id": key_id, "after": after, "limit": limit})
        return [key_version_of(row) for row in rows]

    def count_key_versions(self, key_id: str, made_by: VersionMadeBy) -> int:
        """Return how many versions of a key were made in one way."""
        row = self._first(_VERSION_COUNT, {"key_id": key_id, "made_by": made_by.value})
        return 0 if row is None else int(row[0])

    def list_keys_to_rotate(self, now: float, *, limit: int) -> list[KeyRecord]:
        """Return up to ``limit`` active keys whose date of rotation has come, the oldest date first.

        Keys of a custom key store that is not connected are left out: however many they are, they hold up no others.
        """
        return readable_keys_of(self._all(_TO_ROTATE, {"now": now, "limit": limit}))

    def list_keys_with_expired_material(self, now: float, *, limit: int) -> list[str]:
        """Return up to ``limit`` ids of keys that hold material whose date of expiry has come."""
        return [str(row[0]) for row in self._all(_WITH_EXPIRED, {"now": now, "limit": limit})]

    def get_import_digest_key(self, key_id: str) -> bytes | None:
        """Return the sealed key by which imported material of a key is recognised."""
        row = self._first(_DIGEST_KEY, {"key_id": key_id})
        return None if row is None else bytes(row[0])
