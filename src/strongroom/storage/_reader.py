"""The reads, the same on a store, a read-only store and inside a transaction."""

from typing import Final

from sqlalchemy import bindparam, func, select

from strongroom.core import KeyState, TransportKind
from strongroom.storage._access import AccessReads
from strongroom.storage._backups import BackupReads
from strongroom.storage._cryptoperiods import CryptoperiodReads
from strongroom.storage._custodians import CustodianReads
from strongroom.storage._custody import CustodyReads
from strongroom.storage._domains import DomainReads
from strongroom.storage._hsm_key_reads import HsmKeyReads
from strongroom.storage._inventories import InventoryReads
from strongroom.storage._key_stores import KeyStoreReads
from strongroom.storage._queries import AnySelect
from strongroom.storage._reader_lifecycle import LifecycleReads
from strongroom.storage._records import (
    AccessKeyRecord,
    AliasRecord,
    DomainRecord,
    KeyRecord,
    KeyVersionRecord,
    MemberRecord,
    TagRecord,
    TransportKeyRecord,
)
from strongroom.storage._roots import RootReads
from strongroom.storage._rows import key_of, key_version_of, readable_keys_of
from strongroom.storage._schema import (
    access_keys,
    aliases,
    domains,
    key_tags,
    key_versions,
    keys,
    members,
    transport_keys,
)
from strongroom.storage._uses import UseReads

# Statements are built once: SQLAlchemy then finds their SQL in its cache by identity.
_KEY: Final = select(keys).where(keys.c.key_id == bindparam("key_id"))
_KEYS: Final = (
    select(keys)
    .where(keys.c.state != KeyState.DESTROYED.value)
    .order_by(keys.c.key_id)
    .limit(bindparam("limit"))
)
_KEYS_AFTER: Final = _KEYS.where(keys.c.key_id > bindparam("after"))
_KEYS_DUE: Final = (
    select(keys)
    .where(
        keys.c.state.in_((KeyState.SUSPENDED.value, KeyState.COMPROMISED.value)),
        keys.c.destroy_at <= bindparam("now"),
    )
    .order_by(keys.c.destroy_at)
    .limit(bindparam("limit"))
)
_KEY_VERSION: Final = select(key_versions).where(
    key_versions.c.key_id == bindparam("key_id"), key_versions.c.version == bindparam("version")
)
_ALIAS: Final = select(aliases).where(aliases.c.name == bindparam("name"))
_ALIASES: Final = select(aliases).order_by(aliases.c.name).limit(bindparam("limit"))
_ALIASES_AFTER: Final = _ALIASES.where(aliases.c.name > bindparam("after"))
_ALIASES_OF: Final = _ALIASES.where(aliases.c.key_id == bindparam("key_id"))
_ALIASES_OF_AFTER: Final = _ALIASES_OF.where(aliases.c.name > bindparam("after"))
_ALIAS_COUNT: Final = select(func.count()).select_from(aliases).where(aliases.c.key_id == bindparam("key_id"))
_TAGS: Final = (
    select(key_tags)
    .where(key_tags.c.key_id == bindparam("key_id"))
    .order_by(key_tags.c.name)
    .limit(bindparam("limit"))
)
_TAGS_AFTER: Final = _TAGS.where(key_tags.c.name > bindparam("after"))
_TAG_COUNT: Final = select(func.count()).select_from(key_tags).where(key_tags.c.key_id == bindparam("key_id"))
_DOMAIN: Final = select(domains).where(domains.c.domain_id == bindparam("domain_id"))
_OPEN_DOMAIN: Final = (
    select(domains)
    .where(
        domains.c.kind == bindparam("kind"),
        domains.c.key_count < bindparam("max_keys"),
        domains.c.replaced_by.is_(None),
    )
    .order_by(domains.c.key_count.desc(), domains.c.domain_id)
    .limit(1)
)
_MEMBERS: Final = select(members).order_by(members.c.position)
_ACCESS_KEYS: Final = select(access_keys).order_by(access_keys.c.access_key_id)
_TRANSPORT_KEYS: Final = select(transport_keys).order_by(transport_keys.c.member, transport_keys.c.kind)


class Reader(
    LifecycleReads,
    HsmKeyReads,
    KeyStoreReads,
    AccessReads,
    UseReads,
    RootReads,
    DomainReads,
    CryptoperiodReads,
    InventoryReads,
    CustodyReads,
    BackupReads,
    CustodianReads,
):
    """Looks at records, changes none. One thread at a time; every method raises StorageError on failure.

    ``get_…`` returns None where there is no such record. Pages come in the order of their key, starting
    behind ``after``.
    """

    def get_key(self, key_id: str) -> KeyRecord | None:
        """Return a key by its id."""
        row = self._first(_KEY, {"key_id": key_id})
        return None if row is None else key_of(row)

    def list_keys(self, *, after: str | None, limit: int) -> list[KeyRecord]:
        """Return up to ``limit`` keys in the order of their ids, those destroyed left out."""
        if after is None:
            rows = self._all(_KEYS, {"limit": limit})
        else:
            rows = self._all(_KEYS_AFTER, {"limit": limit, "after": after})
        return [key_of(row) for row in rows]

    def list_keys_due(self, now: float, *, limit: int) -> list[KeyRecord]:
        """Return up to ``limit`` keys out of use whose date of destruction has come, the oldest date first."""
        return readable_keys_of(self._all(_KEYS_DUE, {"now": now, "limit": limit}))

    def get_key_version(self, key_id: str, version: int) -> KeyVersionRecord | None:
        """Return one version of a key."""
        row = self._first(_KEY_VERSION, {"key_id": key_id, "version": version})
        return None if row is None else key_version_of(row)

    def get_alias(self, name: str) -> AliasRecord | None:
        """Return an alias by its name."""
        row = self._first(_ALIAS, {"name": name})
        return None if row is None else AliasRecord(*row)

    def list_aliases(self, *, key_id: str | None, after: str | None, limit: int) -> list[AliasRecord]:
        """Return up to ``limit`` aliases, of one key or of all, in the order of their names."""
        if key_id is None:
            statement = _ALIASES if after is None else _ALIASES_AFTER
        else:
            statement = _ALIASES_OF if after is None else _ALIASES_OF_AFTER
        values = {"key_id": key_id, "after": after, "limit": limit}
        rows = self._all(statement, {name: value for name, value in values.items() if value is not None})
        return [AliasRecord(*row) for row in rows]

    def count_aliases(self, key_id: str) -> int:
        """Return how many aliases point to a key."""
        return self._count(_ALIAS_COUNT, key_id)

    def list_tags(self, key_id: str, *, after: str | None, limit: int) -> list[TagRecord]:
        """Return up to ``limit`` tags of a key in the order of their names."""
        values: dict[str, object] = {"key_id": key_id, "limit": limit}
        if after is None:
            rows = self._all(_TAGS, values)
        else:
            rows = self._all(_TAGS_AFTER, {**values, "after": after})
        return [TagRecord(*row) for row in rows]

    def count_tags(self, key_id: str) -> int:
        """Return how many tags a key has."""
        return self._count(_TAG_COUNT, key_id)

    def get_domain(self, domain_id: str) -> DomainRecord | None:
        """Return a domain by its id."""
        row = self._first(_DOMAIN, {"domain_id": domain_id})
        return None if row is None else DomainRecord(*row)

    def find_open_domain(self, kind: str, max_keys: int) -> DomainRecord | None:
        """Return the fullest domain of a kind that has fewer than ``max_keys`` keys and is not being replaced.

        Only inside the transaction that also counts the new key does the answer stay true.
        """
        row = self._first(_OPEN_DOMAIN, {"kind": kind, "max_keys": max_keys})
        return None if row is None else DomainRecord(*row)

    def list_members(self) -> list[MemberRecord]:
        """Return all members by position."""
        return [MemberRecord(*row) for row in self._all(_MEMBERS, {})]

    def list_access_keys(self) -> list[AccessKeyRecord]:
        """Return all access keys, active or not."""
        return [
            AccessKeyRecord(row[0], row[1], tuple(row[2]), *row[3:]) for row in self._all(_ACCESS_KEYS, {})
        ]

    def list_transport_keys(self) -> list[TransportKeyRecord]:
        """Return every transport key."""
        rows = self._all(_TRANSPORT_KEYS, {})
        return [TransportKeyRecord(row[0], row[1], TransportKind(row[2]), row[3], row[4]) for row in rows]

    def _count(self, statement: AnySelect, key_id: str) -> int:
        row = self._first(statement, {"key_id": key_id})
        return 0 if row is None else int(row[0])
