"""Cryptoperiods: uses that were taken of each version whose count is limited, and which keys are due."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    and_,
    bindparam,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from strongroom.core import KeyOrigin, KeyState, ManagedKeySpec
from strongroom.storage._errors import translated
from strongroom.storage._queries import Queries
from strongroom.storage._records import KeyRecord
from strongroom.storage._rows import readable_keys_of
from strongroom.storage._schema import custom_key_stores, keys, metadata

_DAY_S: Final = 86_400.0

key_use_counts: Final = Table(
    "key_use_counts",
    metadata,
    Column("key_id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("n_taken", BigInteger, nullable=False),
    PrimaryKeyConstraint("key_id", "version", name="pk_key_use_counts"),
    ForeignKeyConstraint(["key_id"], ["keys.key_id"], name="fk_key_use_counts_key_id"),
    CheckConstraint("n_taken >= 0", name="ck_key_use_counts_n_taken"),
)

_MADE_ANEW: Final = and_(
    keys.c.spec == ManagedKeySpec.SYMMETRIC_DEFAULT.value, keys.c.origin != KeyOrigin.EXTERNAL.value
)
"""Keys that get a new version when their cryptoperiod is over; all others protect nothing more."""
_CONNECTED: Final = or_(
    keys.c.store_id == "",
    keys.c.store_id.in_(select(custom_key_stores.c.store_id).where(custom_key_stores.c.is_connected)),
)
_WITH_COUNTS: Final = keys.outerjoin(
    key_use_counts,
    and_(key_use_counts.c.key_id == keys.c.key_id, key_use_counts.c.version == keys.c.current_version),
)
_NEARLY_TAKEN: Final = and_(keys.c.max_uses > 0, key_use_counts.c.n_taken * 10 >= keys.c.max_uses * 9)
_OVER: Final = (
    select(keys)
    .select_from(_WITH_COUNTS)
    .where(
        keys.c.state == KeyState.ACTIVE.value,
        or_(keys.c.period_ends_at <= bindparam("now"), _NEARLY_TAKEN),
        _MADE_ANEW,
        _CONNECTED,
    )
    .order_by(keys.c.key_id)
    .limit(bindparam("limit"))
)
_ENDS_SOON: Final = (
    select(keys)
    .select_from(_WITH_COUNTS)
    .where(
        keys.c.state == KeyState.ACTIVE.value,
        keys.c.warned_at.is_(None),
        or_(keys.c.period_ends_at - keys.c.period_days * (_DAY_S / 10) <= bindparam("now"), _NEARLY_TAKEN),
        or_(
            keys.c.spec != ManagedKeySpec.SYMMETRIC_DEFAULT.value,
            keys.c.origin == KeyOrigin.EXTERNAL.value,
        ),
    )
    .order_by(keys.c.key_id)
    .limit(bindparam("limit"))
)
_COUNT: Final = select(key_use_counts.c.n_taken).where(
    key_use_counts.c.key_id == bindparam("key_id"), key_use_counts.c.version == bindparam("version")
)
_INSERT: Final = insert(key_use_counts).values(
    key_id=bindparam("key_id"), version=bindparam("version"), n_taken=bindparam("n_taken")
)
_CHANGE: Final = (
    update(key_use_counts)
    .where(
        key_use_counts.c.key_id == bindparam("of_key"), key_use_counts.c.version == bindparam("of_version")
    )
    .values(n_taken=bindparam("new_n_taken"))
)


class CryptoperiodReads(Queries):
    """See ``Reader``, which has them."""

    def get_taken_uses(self, key_id: str, version: int) -> int:
        """Return how many uses of a version processes took so far, whether they made use of them or not."""
        row = self._first(_COUNT, {"key_id": key_id, "version": version})
        return 0 if row is None else int(row[0])

    def list_keys_whose_period_is_over(self, now: float, *, limit: int) -> list[KeyRecord]:
        """Return up to ``limit`` active keys that are to get a new version: by time, or since nine tenths of their uses are taken.

        Keys of a custom key store that is not connected are left out.
        """
        return readable_keys_of(self._all(_OVER, {"now": now, "limit": limit}))

    def list_keys_to_warn_of(self, now: float, *, limit: int) -> list[KeyRecord]:
        """Return up to ``limit`` active keys that will protect nothing more after the last tenth of their cryptoperiod."""
        return readable_keys_of(self._all(_ENDS_SOON, {"now": now, "limit": limit}))


class CryptoperiodWrites(CryptoperiodReads):
    """See ``Transaction``, which has them."""

    def set_taken_uses(self, key_id: str, version: int, n_taken: int) -> None:
        """Store how many uses of a version are taken."""
        values: dict[str, object] = {"of_key": key_id, "of_version": version, "new_n_taken": n_taken}
        try:
            if self._connection.execute(_CHANGE, values).rowcount == 0:
                row = {"key_id": key_id, "version": version, "n_taken": n_taken}
                self._connection.execute(_INSERT, row)
        except SQLAlchemyError as error:
            raise translated(error) from error
