"""The last use of each version of a key: table, record, reads and writes."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    bindparam,
    select,
    text,
)
from sqlalchemy.exc import SQLAlchemyError

from strongroom.storage._errors import translated
from strongroom.storage._queries import Queries
from strongroom.storage._schema import metadata

_COLUMNS: Final = (
    *("key_id", "material_id", "n_uses", "used_at", "operation", "request_id"),
    *("n_protected", "protected_at", "processed_at"),
)

key_uses: Final = Table(
    "key_uses",
    metadata,
    Column("key_id", Text, nullable=False),
    Column("material_id", Text, nullable=False),
    Column("n_uses", Integer, nullable=False),
    Column("used_at", Double, nullable=False),
    Column("operation", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("n_protected", BigInteger, nullable=False, server_default=text("0")),
    Column("protected_at", Double, nullable=True),
    Column("processed_at", Double, nullable=True),
    PrimaryKeyConstraint("key_id", "material_id", name="pk_key_uses"),
    ForeignKeyConstraint(["key_id"], ["keys.key_id"], name="fk_key_uses_key_id"),
    CheckConstraint("n_uses >= 1", name="ck_key_uses_n_uses"),
)

use_tracking: Final = Table(
    "use_tracking",
    metadata,
    Column("only_row", Integer, nullable=False),
    Column("since", Double, nullable=False),
    PrimaryKeyConstraint("only_row", name="pk_use_tracking"),
    CheckConstraint("only_row = 1", name="ck_use_tracking_only_row"),
)

_USES_OF: Final = select(key_uses).where(key_uses.c.key_id == bindparam("key_id"))
_SINCE: Final = select(use_tracking.c.since)


def _last(name: str) -> str:
    """Of a column that belongs to the last use: its value there."""
    return f"{name} = CASE WHEN excluded.used_at >= key_uses.used_at THEN excluded.{name} ELSE key_uses.{name} END"


def _later_of(name: str) -> str:
    """The later of two dates, either of which may be missing."""
    return (
        f"{name} = CASE WHEN key_uses.{name} IS NULL OR excluded.{name} > key_uses.{name}"
        f" THEN excluded.{name} ELSE key_uses.{name} END"
    )


_JOIN: Final = text(
    f"INSERT INTO key_uses ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{name}' for name in _COLUMNS)})"  # noqa: S608  # names of our own
    " ON CONFLICT (key_id, material_id) DO UPDATE SET"
    " n_uses = key_uses.n_uses + excluded.n_uses, n_protected = key_uses.n_protected + excluded.n_protected, "
    + ", ".join(
        (
            *map(_last, ("used_at", "operation", "request_id")),
            *map(_later_of, ("protected_at", "processed_at")),
        )
    )
)
"""``KeyUseRecord.joined`` in the database: thousands of versions are noted at a time."""


class KeyUseRecord(NamedTuple):
    """How often one version of a key was used, and the last time."""

    key_id: str
    material_id: str
    n_uses: int
    used_at: float
    operation: str
    request_id: str
    n_protected: int = 0
    """How many of the uses protected something, so far as they are told apart: since database revision 0012."""
    protected_at: float | None = None
    """The last of those; of uses that are not told apart, the last one."""
    processed_at: float | None = None
    """The last use that opened or verified something; as above."""

    def joined(self, other: "KeyUseRecord") -> "KeyUseRecord":
        """Return both as one: all uses, and the later one as the last."""
        last = other if other.used_at >= self.used_at else self
        return last._replace(
            n_uses=self.n_uses + other.n_uses,
            n_protected=self.n_protected + other.n_protected,
            protected_at=_later(self.protected_at, other.protected_at),
            processed_at=_later(self.processed_at, other.processed_at),
        )


def _later(one: float | None, other: float | None) -> float | None:
    return max((date for date in (one, other) if date is not None), default=None)


class UseReads(Queries):
    """See ``Reader``, which has them."""

    def list_key_uses(self, key_id: str) -> list[KeyUseRecord]:
        """Return the last use of each version of a key that was ever noted."""
        return [KeyUseRecord(*row) for row in self._all(_USES_OF, {"key_id": key_id})]

    def get_use_tracking_start(self) -> float:
        """Return since when uses are noted; 0 for a database that does not know."""
        row = self._first(_SINCE, {})
        return 0.0 if row is None else float(row[0])


class UseWrites(Queries):
    """See ``Transaction``, which has them."""

    def note_key_uses(self, records: Sequence[KeyUseRecord]) -> None:
        """Join uses with what is known of their versions. Raises StorageError when there is no such key."""
        if not records:
            return
        try:
            self._connection.execute(_JOIN, [record._asdict() for record in records])
        except SQLAlchemyError as error:
            raise translated(error) from error
