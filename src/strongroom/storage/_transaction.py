"""The writes, inside a transaction that the writer thread opened."""

from typing import Any, Final

from sqlalchemy import Executable, Table, bindparam, delete, insert, update
from sqlalchemy.exc import SQLAlchemyError

from strongroom.core import StorageError
from strongroom.storage._access import AccessWrites
from strongroom.storage._backups import BackupWrites
from strongroom.storage._cryptoperiods import CryptoperiodWrites
from strongroom.storage._custodians import CustodianWrites
from strongroom.storage._custody import CustodyWrites
from strongroom.storage._domains import DomainWrites
from strongroom.storage._errors import translated
from strongroom.storage._inventories import InventoryWrites
from strongroom.storage._key_stores import KeyStoreWrites
from strongroom.storage._reader import Reader
from strongroom.storage._records import (
    AccessKeyRecord,
    AliasRecord,
    DomainRecord,
    HsmKeyCopyRecord,
    HsmKeyRecord,
    HsmKeyState,
    KeyRecord,
    KeyVersionRecord,
    MemberRecord,
    RootRecord,
    TagRecord,
    TransportKeyRecord,
)
from strongroom.storage._restored import RestoreWrites
from strongroom.storage._roots import RootWrites
from strongroom.storage._schema import (
    access_keys,
    aliases,
    domains,
    hsm_key_copies,
    hsm_keys,
    key_tags,
    key_versions,
    keys,
    members,
    roots,
    transport_keys,
)
from strongroom.storage._uses import UseWrites
from strongroom.storage._writes_lifecycle import LifecycleWrites

_INSERTS: Final = {
    table.name: insert(table).values({column.name: bindparam(column.name) for column in table.columns})
    for table in (
        *(roots, members, domains, keys, key_versions, aliases, key_tags, access_keys),
        *(hsm_keys, hsm_key_copies, transport_keys),
    )
}
_CHANGEABLE: Final = (
    *("state", "description", "destroy_at", "current_version", "material_id"),
    *("rotation_days", "rotate_at", "expires_at"),
    *("activate_at", "period_days", "period_ends_at", "max_uses", "warned_at"),
)
"""What may change in the life of a key; all else stays as it was made."""
_COUNT_KEY: Final = (
    update(domains)
    .where(domains.c.domain_id == bindparam("of_domain"))
    .values(key_count=domains.c.key_count + 1)
)
_CHANGE_KEY: Final = (
    update(keys)
    .where(keys.c.key_id == bindparam("of_key"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGEABLE})
)
_MOVE_ALIAS: Final = (
    update(aliases)
    .where(aliases.c.name == bindparam("of_name"))
    .values(key_id=bindparam("new_key_id"), updated_at=bindparam("new_updated_at"))
)
_DELETE_ALIAS: Final = delete(aliases).where(aliases.c.name == bindparam("of_name"))
_DELETE_TAG: Final = delete(key_tags).where(
    key_tags.c.key_id == bindparam("of_key"), key_tags.c.name == bindparam("of_name")
)
_MOVE_HSM_KEY: Final = (
    update(hsm_keys)
    .where(hsm_keys.c.key_id == bindparam("of_key"), hsm_keys.c.state == bindparam("old_state"))
    .values({name: bindparam(f"new_{name}") for name in ("state", "public_key", "destroyed_at", "canary")})
)
_DELETE_COPY: Final = delete(hsm_key_copies).where(
    hsm_key_copies.c.key_id == bindparam("of_key"), hsm_key_copies.c.member == bindparam("of_member")
)
_DELETE_TRANSPORTS: Final = delete(transport_keys).where(transport_keys.c.member == bindparam("of_member"))
_DELETE_VERSIONS_OF: Final = delete(key_versions).where(key_versions.c.key_id == bindparam("of_key"))
_DELETE_ALIASES_OF: Final = delete(aliases).where(aliases.c.key_id == bindparam("of_key"))


class Transaction(
    Reader,
    KeyStoreWrites,
    AccessWrites,
    LifecycleWrites,
    UseWrites,
    RootWrites,
    DomainWrites,
    CryptoperiodWrites,
    InventoryWrites,
    CustodyWrites,
    BackupWrites,
    CustodianWrites,
    RestoreWrites,
):
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
        """Add a domain; its root must exist. Raises RootNotInUseError when that was destroyed meanwhile."""
        self.require_root_in_use(record.root_id)
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
        self._count_change()

    def insert_hsm_key(self, record: HsmKeyRecord) -> None:
        """Add a Direct key."""
        self._insert(hsm_keys, record)

    def move_hsm_key(self, record: HsmKeyRecord, *, was: HsmKeyState) -> None:
        """Store state, public half, canary and date of destruction of a Direct key that is in the state ``was``.

        Raises StorageError when there is no such key in that state: a tombstone never goes away by mistake.
        """
        values = {
            "of_key": record.key_id,
            "old_state": was.value,
            "new_state": record.state.value,
            "new_public_key": record.public_key,
            "new_destroyed_at": record.destroyed_at,
            "new_canary": record.canary,
        }
        self._change_one(_MOVE_HSM_KEY, values, f"no {was} Direct key has the id {record.key_id.hex()}")

    def put_hsm_key_copy(self, record: HsmKeyCopyRecord) -> None:
        """Note what is known of a member and a key, in place of what was; the key must exist."""
        self._change(_DELETE_COPY, {"of_key": record.key_id, "of_member": record.member})
        self._insert(hsm_key_copies, record)

    def insert_transport_key(self, record: TransportKeyRecord) -> None:
        """Add a transport key; a member has one of each kind."""
        self._insert(transport_keys, record)

    def forget_transport_keys(self, member: str) -> None:
        """Forget the transport keys of a member: it gets others."""
        self._change(_DELETE_TRANSPORTS, {"of_member": member})

    def count_key_in_domain(self, domain_id: str) -> None:
        """Add one to the domain's ``key_count``. Raises StorageError when there is no such domain."""
        self._change_one(_COUNT_KEY, {"of_domain": domain_id}, f"no domain has the id {domain_id}")

    def change_key(self, record: KeyRecord) -> None:
        """Store what may change of a key: all but id, kind, origin, domain and birth.

        Raises StorageError when there is no such key.
        """
        values = {f"new_{name}": getattr(record, name) for name in _CHANGEABLE}
        values |= {"of_key": record.key_id, "new_state": record.state.value}
        self._change_one(_CHANGE_KEY, values, f"no key has the id {record.key_id}")

    def move_alias(self, name: str, key_id: str, updated_at: float) -> None:
        """Let an alias point to another key. Raises StorageError when there is no such alias or key."""
        values = {"of_name": name, "new_key_id": key_id, "new_updated_at": updated_at}
        self._change_one(_MOVE_ALIAS, values, f"no alias has the name {name}")

    def delete_alias(self, name: str) -> None:
        """Remove an alias. Raises StorageError when there is none."""
        self._change_one(_DELETE_ALIAS, {"of_name": name}, f"no alias has the name {name}")

    def put_tag(self, record: TagRecord) -> None:
        """Add a tag, or replace the one of the same name; its key must exist."""
        self.delete_tag(record.key_id, record.name)
        self._insert(key_tags, record)

    def delete_tag(self, key_id: str, name: str) -> None:
        """Remove a tag, if there is one of this name."""
        self._change(_DELETE_TAG, {"of_key": key_id, "of_name": name})

    def delete_material(self, key_id: str) -> int:
        """Remove every version of a key, and return how many there were: nothing that is left can open what it sealed."""
        self.delete_import_digest_key(key_id)
        self.delete_version_samples(key_id)
        return self._change(_DELETE_VERSIONS_OF, {"of_key": key_id})

    def delete_aliases_of(self, key_id: str) -> int:
        """Remove every alias of a key, and return how many there were."""
        return self._change(_DELETE_ALIASES_OF, {"of_key": key_id})

    def _insert(self, table: Table, record: tuple[Any, ...]) -> None:
        values = dict(zip(table.columns.keys(), record, strict=True))
        try:
            self._connection.execute(_INSERTS[table.name], values)
        except SQLAlchemyError as error:
            raise translated(error) from error

    def _change_one(self, statement: Executable, values: dict[str, Any], otherwise: str) -> None:
        if self._change(statement, values) != 1:
            raise StorageError(otherwise)

    def _change(self, statement: Executable, values: dict[str, Any]) -> int:
        try:
            return self._connection.execute(statement, values).rowcount
        except SQLAlchemyError as error:
            raise translated(error) from error
