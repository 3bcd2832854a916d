"""The writes, inside a transaction that the writer thread opened."""

from typing import Any, Final

from sqlalchemy import Executable, Table, bindparam, insert, update
from sqlalchemy.exc import SQLAlchemyError

from strongroom.core import KeyState, StorageError
from strongroom.storage._errors import translated
from strongroom.storage._reader import Reader
from strongroom.storage._records import (
    AccessKeyRecord,
    AliasRecord,
    DomainRecord,
    KeyRecord,
    KeyVersionRecord,
    MemberRecord,
    RootRecord,
)
from strongroom.storage._schema import access_keys, aliases, domains, key_versions, keys, members, roots

_INSERTS: Final = {
    table.name: insert(table).values({column.name: bindparam(column.name) for column in table.columns})
    for table in (roots, members, domains, keys, key_versions, aliases, access_keys)
}
_COUNT_KEY: Final = (
    update(domains)
    .where(domains.c.domain_id == bindparam("of_domain"))
    .values(key_count=domains.c.key_count + 1)
)
_SET_STATE: Final = (
    update(keys).where(keys.c.key_id == bindparam("of_key")).values(state=bindparam("new_state"))
)


class Transaction(Reader):
    """Reads and writes of one piece of work; what it reads includes what it wrote.

    Lives on the writer thread for the length of one ``work`` call and must not leave it. Inserting raises
    DuplicateError when the record's key is taken, StorageError when it breaks a rule of the schema; the work
    may catch either and go on, for a failed statement changes nothing.
    """

    def insert_root(self, record: RootRecord) -> None:
        """Add a root KEK."""
        self._insert(roots, record)

    def insert_member(self, record: MemberRecord) -> None:
        """Add a member; its position must be free."""
        self._insert(members, record)

    def insert_domain(self, record: DomainRecord) -> None:
        """Add a domain; its root must exist."""
        self._insert(domains, record)

    def insert_key(self, record: KeyRecord) -> None:
        """Add a key; its domain must exist. The same work inserts its current version, after it."""
        self._insert(keys, record)

    def insert_key_version(self, record: KeyVersionRecord) -> None:
        """Add a version; its key must exist."""
        self._insert(key_versions, record)

    def insert_alias(self, record: AliasRecord) -> None:
        """Add an alias; its key must exist."""
        self._insert(aliases, record)

    def insert_access_key(self, record: AccessKeyRecord) -> None:
        """Add an access key."""
        self._insert(access_keys, record)

    def count_key_in_domain(self, domain_id: str) -> None:
        """Add one to the domain's ``key_count``. Raises StorageError when there is no such domain."""
        self._change_one(_COUNT_KEY, {"of_domain": domain_id}, f"no domain has the id {domain_id}")

    def set_key_state(self, key_id: str, state: KeyState) -> None:
        """Put a key into a state. Raises StorageError when there is no such key."""
        values = {"of_key": key_id, "new_state": state.value}
        self._change_one(_SET_STATE, values, f"no key has the id {key_id}")

    def _insert(self, table: Table, record: tuple[Any, ...]) -> None:
        values = dict(zip(table.columns.keys(), record, strict=True))
        try:
            self._connection.execute(_INSERTS[table.name], values)
        except SQLAlchemyError as error:
            raise translated(error) from error

    def _change_one(self, statement: Executable, values: dict[str, Any], otherwise: str) -> None:
        try:
            changed = self._connection.execute(statement, values).rowcount
        except SQLAlchemyError as error:
            raise translated(error) from error
        if changed != 1:
            raise StorageError(otherwise)
