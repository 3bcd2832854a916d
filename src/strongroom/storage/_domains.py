"""Domains: looking at them, and every change of which domain KEK is over which key.

A domain KEK that is replaced stays until nothing is under it. Meanwhile its record names the one that takes its place, whose
``key_count`` has the keys that are still to come: so there is room for them, however many keys are made there in between.
"""

from typing import Final

from sqlalchemy import Executable, bindparam, case, delete, exists, func, literal, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from strongroom.core import KeyState, StorageError
from strongroom.storage._errors import translated
from strongroom.storage._queries import Queries
from strongroom.storage._records import DomainRecord, KeyRecord
from strongroom.storage._rows import readable_keys_of
from strongroom.storage._schema import access_keys, domains, import_digest_keys, key_versions, keys

_HEAD_BYTES: Final = 19
_NAMED: Final = select(domains).where(domains.c.name == bindparam("name"))
_REPLACED: Final = select(domains).where(domains.c.replaced_by.is_not(None)).order_by(domains.c.replaced_at)
_REPLACED_BY: Final = select(domains).where(domains.c.replaced_by == bindparam("domain_id"))
_KEYS_IN: Final = (
    select(keys)
    .where(
        keys.c.domain_id == bindparam("domain_id"),
        keys.c.state != KeyState.DESTROYED.value,
        keys.c.key_id > bindparam("after"),
    )
    .order_by(keys.c.key_id)
    .limit(bindparam("limit"))
)
_HEADS: Final = (
    select(key_versions.c.key_id, key_versions.c.version, func.substr(key_versions.c.wrapped, 1, _HEAD_BYTES))
    .where(
        or_(
            key_versions.c.key_id > bindparam("after_key"),
            (key_versions.c.key_id == bindparam("after_key"))
            & (key_versions.c.version > bindparam("after_version")),
        )
    )
    .order_by(key_versions.c.key_id, key_versions.c.version)
    .limit(bindparam("limit"))
)
_DIGEST_HEADS: Final = (
    select(import_digest_keys.c.key_id, literal(0), func.substr(import_digest_keys.c.wrapped, 1, _HEAD_BYTES))
    .where(import_digest_keys.c.key_id > bindparam("after_key"))
    .order_by(import_digest_keys.c.key_id)
    .limit(bindparam("limit"))
)

_LESS_ONE: Final = case((domains.c.key_count > 0, domains.c.key_count - 1), else_=0)
"""A count that is wrong must not keep a key from being destroyed."""
_UNCOUNT: Final = (
    update(domains).where(domains.c.domain_id == bindparam("of_domain")).values(key_count=_LESS_ONE)
)
_OTHER: Final = domains.alias("other")
_HEIR: Final = (
    select(_OTHER.c.replaced_by).where(_OTHER.c.domain_id == bindparam("of_domain")).scalar_subquery()
)
_UNCOUNT_HEIR: Final = update(domains).where(domains.c.domain_id == _HEIR).values(key_count=_LESS_ONE)
_COUNT: Final = (
    update(domains)
    .where(domains.c.domain_id == bindparam("of_domain"))
    .values(key_count=domains.c.key_count + 1)
)
_REPLACE: Final = (
    update(domains)
    .where(domains.c.domain_id == bindparam("of_domain"), domains.c.replaced_by.is_(None))
    .values(
        name=None,
        replaced_by=bindparam("new_domain"),
        replaced_at=bindparam("at"),
        n_to_move=domains.c.key_count,
    )
)
_INHERIT: Final = (
    update(domains)
    .where(domains.c.domain_id == bindparam("of_domain"))
    .values(name=bindparam("new_name"), key_count=bindparam("new_count"))
)
_MOVE: Final = (
    update(keys)
    .where(keys.c.key_id == bindparam("of_key"), keys.c.domain_id == bindparam("old_domain"))
    .values(domain_id=bindparam("new_domain"))
)
_MOVE_DESTROYED: Final = (
    update(keys)
    .where(keys.c.domain_id == bindparam("old_domain"), keys.c.state == KeyState.DESTROYED.value)
    .values(domain_id=bindparam("new_domain"))
)
_IS_EMPTY: Final = ~exists().where(keys.c.domain_id == domains.c.domain_id)
_DELETE: Final = delete(domains).where(domains.c.domain_id == bindparam("of_domain"), _IS_EMPTY)
_DELETE_UNUSED: Final = delete(domains).where(
    domains.c.kind == "dedicated",
    domains.c.name.is_(None),
    domains.c.replaced_by.is_(None),
    domains.c.created_at < bindparam("made_before"),
    ~exists().where(_OTHER.c.replaced_by == domains.c.domain_id),
    _IS_EMPTY,
)
_REWRAP: Final = (
    update(key_versions)
    .where(
        key_versions.c.key_id == bindparam("of_key"),
        key_versions.c.version == bindparam("of_version"),
        key_versions.c.wrapped == bindparam("was"),
    )
    .values(wrapped=bindparam("new_wrapped"))
)
_REWRAP_DIGEST_KEY: Final = (
    update(import_digest_keys)
    .where(
        import_digest_keys.c.key_id == bindparam("of_key"), import_digest_keys.c.wrapped == bindparam("was")
    )
    .values(wrapped=bindparam("new_wrapped"))
)
_REWRAP_SECRET: Final = (
    update(access_keys)
    .where(
        access_keys.c.access_key_id == bindparam("of_key"), access_keys.c.wrapped_secret == bindparam("was")
    )
    .values(wrapped_secret=bindparam("new_wrapped"))
)


class DomainReads(Queries):
    """See ``Reader``, which has them."""

    def get_named_domain(self, name: str) -> DomainRecord | None:
        """Return a domain by its name."""
        row = self._first(_NAMED, {"name": name})
        return None if row is None else DomainRecord(*row)

    def list_replaced_domains(self) -> list[DomainRecord]:
        """Return the domains that are being replaced, the first begun first."""
        return [DomainRecord(*row) for row in self._all(_REPLACED, {})]

    def find_domain_replaced_by(self, domain_id: str) -> DomainRecord | None:
        """Return the domain that a domain takes the place of, while that goes on."""
        row = self._first(_REPLACED_BY, {"domain_id": domain_id})
        return None if row is None else DomainRecord(*row)

    def list_keys_in_domain(self, domain_id: str, *, after: str, limit: int) -> list[KeyRecord]:
        """Return up to ``limit`` keys of a domain in the order of their ids, those destroyed left out."""
        rows = self._all(_KEYS_IN, {"domain_id": domain_id, "after": after, "limit": limit})
        return readable_keys_of(rows)

    def list_blob_heads(
        self, *, after: tuple[str, int], limit: int, of_digest_keys: bool = False
    ) -> list[tuple[str, int, bytes]]:
        """Return key, version and the first 19 bytes of what is wrapped, for up to ``limit`` versions behind ``after``.

        ``of_digest_keys``: of the keys by which imported material is recognised, as version 0, instead.
        """
        values: dict[str, object] = {"after_key": after[0], "limit": limit}
        if of_digest_keys:
            rows = self._all(_DIGEST_HEADS, values)
        else:
            rows = self._all(_HEADS, {**values, "after_version": after[1]})
        return [
            (str(row[0]), int(row[1]), bytes(row[2] or b"")) for row in rows
        ]  # substr() of nothing is NULL


class DomainWrites(Queries):
    """See ``Transaction``, which has them."""

    def uncount_key_in_domain(self, domain_id: str) -> None:
        """Take one from a domain's ``key_count``, and from that of the domain which replaces it: a key of it has gone."""
        self._rows_of(_UNCOUNT, of_domain=domain_id)
        self._rows_of(_UNCOUNT_HEIR, of_domain=domain_id)

    def replace_domain(self, old: DomainRecord, heir_id: str, at: float) -> bool:
        """Let a new and empty domain take the place of another, with its name and the number of its keys.

        ``old`` is as it was read in this transaction. False when it is being replaced already: nothing is changed then.
        """
        if self._rows_of(_REPLACE, of_domain=old.domain_id, new_domain=heir_id, at=at) != 1:
            return False
        self._rows_of(_INHERIT, of_domain=heir_id, new_name=old.name, new_count=old.key_count)
        return True

    def move_key_to_domain(self, key_id: str, *, old: DomainRecord, new: DomainRecord) -> None:
        """Note that a key is in another domain, and count. Raises StorageError when it is not in ``old`` any more."""
        if self._rows_of(_MOVE, of_key=key_id, old_domain=old.domain_id, new_domain=new.domain_id) != 1:
            raise StorageError(f"the key {key_id} is not in the domain {old.domain_id}")
        if old.replaced_by == new.domain_id:  # which has counted it since it took the place of the other
            self._rows_of(_UNCOUNT, of_domain=old.domain_id)
            return
        self.uncount_key_in_domain(old.domain_id)
        self._rows_of(_COUNT, of_domain=new.domain_id)

    def remove_domain(self, domain_id: str, heir_id: str | None = None) -> bool:
        """Remove a domain that no key refers to; the records of its destroyed keys refer to ``heir_id`` from then on.

        False when a key is left in it: nothing is removed then.
        """
        if heir_id is not None:
            self._rows_of(_MOVE_DESTROYED, old_domain=domain_id, new_domain=heir_id)
        return self._rows_of(_DELETE, of_domain=domain_id) == 1

    def remove_unused_domains(self, *, made_before: float) -> int:
        """Remove domains for one key that have none and never had one, and return how many there were."""
        return self._rows_of(_DELETE_UNUSED, made_before=made_before)

    def rewrap_key_version(self, key_id: str, version: int, *, was: bytes, wrapped: bytes) -> bool:
        """Exchange the blob of a version if it is still ``was``."""
        return self._rows_of(_REWRAP, of_key=key_id, of_version=version, was=was, new_wrapped=wrapped) == 1

    def rewrap_import_digest_key(self, key_id: str, *, was: bytes, wrapped: bytes) -> bool:
        """Exchange the blob of the key by which imported material is recognised if it is still ``was``."""
        return self._rows_of(_REWRAP_DIGEST_KEY, of_key=key_id, was=was, new_wrapped=wrapped) == 1

    def rewrap_access_key(self, access_key_id: str, *, was: bytes, wrapped: bytes) -> bool:
        """Exchange the blob of an access key's secret if it is still ``was``; the secret stays what it is."""
        return self._rows_of(_REWRAP_SECRET, of_key=access_key_id, was=was, new_wrapped=wrapped) == 1

    def _rows_of(self, statement: Executable, **values: object) -> int:
        try:
            return self._connection.execute(statement, values).rowcount
        except SQLAlchemyError as error:
            raise translated(error) from error
