"""Who may do what: records, reads and writes of key policies, grants and access keys.

Whatever is derived from these is derived from many records, and most commits change none of them. So each write here
counts itself in ``access_changes``: while that number stands still, nothing that is derived from them has changed.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from sqlalchemy import Executable, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from strongroom.core import StorageError
from strongroom.storage._errors import translated
from strongroom.storage._queries import AnyRow, Queries
from strongroom.storage._schema import access_keys
from strongroom.storage._schema_access import access_changes, access_key_uses, grants, key_policies


class KeyPolicyRecord(NamedTuple):
    """A key's own policy; a key without one has the default policy."""

    key_id: str
    document: str
    """As it was put, up to 32 KiB of UTF-8."""
    updated_at: float


class GrantRecord(NamedTuple):
    """A grant: one principal may do some things with one key."""

    grant_id: str
    """64 hexadecimal digits."""
    key_id: str
    name: str
    """Empty for none."""
    grantee: str
    """ARN of the principal that may."""
    retiring: str
    """ARN of the principal that may retire it; empty for none."""
    actions: tuple[str, ...]
    """Sorted."""
    context_equals: Mapping[str, str] | None
    context_subset: Mapping[str, str] | None
    parameters_digest: bytes
    """32 bytes: the same for grants of one name that say the same, else different for any two grants of a key."""
    created_by: str
    """The principal, such as ``user/officer``."""
    created_at: float


_POLICY: Final = select(key_policies).where(key_policies.c.key_id == bindparam("key_id"))
_POLICY_COUNT: Final = select(func.count()).select_from(key_policies)
_GRANT: Final = select(grants).where(grants.c.grant_id == bindparam("grant_id"))
_SAME_GRANT: Final = select(grants).where(
    grants.c.key_id == bindparam("key_id"), grants.c.parameters_digest == bindparam("parameters_digest")
)
_OF_KEY: Final = grants.c.key_id == bindparam("key_id")
_GRANTS: Final = (
    select(grants)
    .where(_OF_KEY, grants.c.grant_id > bindparam("after"))
    .order_by(grants.c.grant_id)
    .limit(bindparam("limit"))
)
_GRANTS_OF_GRANTEE: Final = _GRANTS.where(grants.c.grantee == bindparam("grantee"))
_RETIRABLE: Final = (
    select(grants)
    .where(grants.c.retiring == bindparam("retiring"), grants.c.grant_id > bindparam("after"))
    .order_by(grants.c.grant_id)
    .limit(bindparam("limit"))
)
_GRANT_COUNT: Final = select(func.count()).select_from(grants).where(_OF_KEY)
_GRANT_COUNT_OF_GRANTEE: Final = _GRANT_COUNT.where(grants.c.grantee == bindparam("grantee"))
_USES: Final = select(access_key_uses)
_CHANGES: Final = select(access_changes.c.n_changes)
_COUNT_CHANGE: Final = update(access_changes).values(n_changes=access_changes.c.n_changes + 1)
_INSERT_POLICY: Final = insert(key_policies)
_DELETE_POLICY: Final = delete(key_policies).where(key_policies.c.key_id == bindparam("of_key"))
_INSERT_GRANT: Final = insert(grants)
_DELETE_GRANT: Final = delete(grants).where(grants.c.grant_id == bindparam("of_grant"))
_DELETE_GRANTS: Final = delete(grants).where(grants.c.key_id == bindparam("of_key"))
_SET_ACTIVE: Final = (
    update(access_keys)
    .where(access_keys.c.access_key_id == bindparam("of_access_key"))
    .values(active=bindparam("is_active"))
)
_SET_ROLES: Final = (
    update(access_keys)
    .where(access_keys.c.access_key_id == bindparam("of_access_key"))
    .values(roles=bindparam("new_roles"))
)
_DELETE_ACCESS_KEY: Final = delete(access_keys).where(
    access_keys.c.access_key_id == bindparam("of_access_key")
)
_DELETE_USE: Final = delete(access_key_uses).where(
    access_key_uses.c.access_key_id == bindparam("of_access_key")
)
_INSERT_USE: Final = insert(access_key_uses)


class AccessReads(Queries):
    """See ``Reader``, which has them."""

    def count_access_changes(self) -> int:
        """Return a number that rises with every change of a policy, grant or access key (20 µs)."""
        row = self._first(_CHANGES, {})
        if row is None:
            raise StorageError("the count of changes of access is missing from the database")
        return int(row[0])

    def get_key_policy(self, key_id: str) -> KeyPolicyRecord | None:
        """Return a key's own policy."""
        row = self._first(_POLICY, {"key_id": key_id})
        return None if row is None else KeyPolicyRecord(*row)

    def count_key_policies(self) -> int:
        """Return how many keys have a policy of their own."""
        row = self._first(_POLICY_COUNT, {})
        return 0 if row is None else int(row[0])

    def get_grant(self, grant_id: str) -> GrantRecord | None:
        """Return a grant by its id."""
        return _grant_or_none(self._first(_GRANT, {"grant_id": grant_id}))

    def find_same_grant(self, record: GrantRecord) -> GrantRecord | None:
        """Return the grant that says the same as this one, whose id is of no interest."""
        values = {"key_id": record.key_id, "parameters_digest": record.parameters_digest}
        return _grant_or_none(self._first(_SAME_GRANT, values))

    def list_grants(
        self, key_id: str, *, grantee: str | None = None, after: str | None, limit: int
    ) -> list[GrantRecord]:
        """Return up to ``limit`` grants on a key, of one grantee or of all, in the order of their ids."""
        values: dict[str, object] = {"key_id": key_id, "after": after or "", "limit": limit}
        if grantee is None:
            return [_grant(row) for row in self._all(_GRANTS, values)]
        return [_grant(row) for row in self._all(_GRANTS_OF_GRANTEE, {**values, "grantee": grantee})]

    def list_retirable_grants(self, retiring: str, *, after: str | None, limit: int) -> list[GrantRecord]:
        """Return up to ``limit`` grants that a principal may retire by name, in the order of their ids."""
        values = {"retiring": retiring, "after": after or "", "limit": limit}
        return [_grant(row) for row in self._all(_RETIRABLE, values)]

    def count_grants(self, key_id: str, *, grantee: str | None = None) -> int:
        """Return how many grants there are on a key, or on a key for one grantee."""
        if grantee is None:
            row = self._first(_GRANT_COUNT, {"key_id": key_id})
        else:
            row = self._first(_GRANT_COUNT_OF_GRANTEE, {"key_id": key_id, "grantee": grantee})
        return 0 if row is None else int(row[0])

    def list_access_key_uses(self) -> dict[str, float]:
        """Return when each access key was last used, as far as that was noted."""
        return {row[0]: row[1] for row in self._all(_USES, {})}


class AccessWrites(Queries):
    """See ``Transaction``, which has them. Each but ``note_access_key_uses`` counts as a change of access."""

    def put_key_policy(self, record: KeyPolicyRecord) -> None:
        """Give a key a policy in place of the one that it had; the key must exist."""
        self._write(_DELETE_POLICY, {"of_key": record.key_id})
        self._write(_INSERT_POLICY, record._asdict())
        self._count_change()

    def insert_grant(self, record: GrantRecord) -> None:
        """Add a grant; its key must exist. Raises DuplicateError when there is one that says the same."""
        self._write(_INSERT_GRANT, {**record._asdict(), "actions": list(record.actions)})
        self._count_change()

    def delete_grant(self, grant_id: str) -> bool:
        """Remove a grant; False when there is none."""
        deleted = self._write(_DELETE_GRANT, {"of_grant": grant_id}) == 1
        self._count_change()
        return deleted

    def delete_access_to(self, key_id: str) -> None:
        """Remove policy and grants of a key: nobody needs them when it is destroyed."""
        self._write(_DELETE_GRANTS, {"of_key": key_id})
        self._write(_DELETE_POLICY, {"of_key": key_id})
        self._count_change()

    def set_access_key_active(self, access_key_id: str, *, is_active: bool) -> None:
        """Enable or disable an access key. Raises StorageError when there is none."""
        self._write_one(_SET_ACTIVE, {"of_access_key": access_key_id, "is_active": is_active})
        self._count_change()

    def set_access_key_roles(self, access_key_id: str, roles: tuple[str, ...]) -> None:
        """Give an access key other roles. Raises StorageError when there is none."""
        self._write_one(_SET_ROLES, {"of_access_key": access_key_id, "new_roles": list(roles)})
        self._count_change()

    def delete_access_key(self, access_key_id: str) -> None:
        """Remove an access key. Raises StorageError when there is none."""
        self._write(_DELETE_USE, {"of_access_key": access_key_id})
        self._write_one(_DELETE_ACCESS_KEY, {"of_access_key": access_key_id})
        self._count_change()

    def note_access_key_use(self, access_key_id: str, used_at: float) -> None:
        """Note when an access key was last used, in place of what was noted; the access key must exist."""
        self._write(_DELETE_USE, {"of_access_key": access_key_id})
        self._write(_INSERT_USE, {"access_key_id": access_key_id, "used_at": used_at})

    def _count_change(self) -> None:
        self._write(_COUNT_CHANGE, {})

    def _write_one(self, statement: Executable, values: Mapping[str, object]) -> None:
        if self._write(statement, values) != 1:
            raise StorageError("there is no such access key")

    def _write(self, statement: Executable, values: Mapping[str, object]) -> int:
        try:
            return self._connection.execute(statement, dict(values)).rowcount
        except SQLAlchemyError as error:
            raise translated(error) from error


def _grant(row: AnyRow) -> GrantRecord:
    record = GrantRecord(*row)
    return record._replace(actions=tuple(record.actions))


def _grant_or_none(row: AnyRow | None) -> GrantRecord | None:
    return None if row is None else _grant(row)
