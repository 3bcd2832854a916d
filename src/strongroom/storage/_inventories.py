"""What is known of the ciphertexts of a version: a sample of them, and inventories that people handed in."""

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from sqlalchemy import (
    CheckConstraint,
    Column,
    Double,
    ForeignKeyConstraint,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.exc import SQLAlchemyError

from strongroom.storage._errors import translated
from strongroom.storage._queries import Queries
from strongroom.storage._schema import metadata

version_samples: Final = Table(
    "version_samples",
    metadata,
    Column("key_id", Text, nullable=False),
    Column("material_id", Text, nullable=False),
    Column("sample", LargeBinary, nullable=False),
    PrimaryKeyConstraint("key_id", "material_id", name="pk_version_samples"),
    ForeignKeyConstraint(["key_id"], ["keys.key_id"], name="fk_version_samples_key_id"),
    CheckConstraint("length(sample) BETWEEN 1 AND 8192", name="ck_version_samples_sample"),
)

key_inventories: Final = Table(
    "key_inventories",
    metadata,
    Column("inventory_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("record", LargeBinary, nullable=False),
    Column("received_at", Double, nullable=False),
    Column("received_from", Text, nullable=False),
    PrimaryKeyConstraint("inventory_id", name="pk_key_inventories"),
    ForeignKeyConstraint(["key_id"], ["keys.key_id"], name="fk_key_inventories_key_id"),
    CheckConstraint("length(inventory_id) = 36", name="ck_key_inventories_inventory_id"),
    CheckConstraint("length(digest) = 64", name="ck_key_inventories_digest"),
    CheckConstraint("length(record) BETWEEN 1 AND 65536", name="ck_key_inventories_record"),
    CheckConstraint("length(received_from) <= 256", name="ck_key_inventories_received_from"),
    UniqueConstraint("key_id", "digest", name="uq_key_inventories_key_id_digest"),
)

_SAMPLES_OF: Final = select(version_samples.c.material_id, version_samples.c.sample).where(
    version_samples.c.key_id == bindparam("key_id")
)
_SAMPLES_OF_KEYS: Final = select(version_samples).where(
    version_samples.c.key_id.in_(bindparam("key_ids", expanding=True))
)
_DELETE_SAMPLES_OF: Final = delete(version_samples).where(version_samples.c.key_id == bindparam("of_key"))
_PUT_SAMPLE: Final = text(
    "INSERT INTO version_samples (key_id, material_id, sample) VALUES (:key_id, :material_id, :sample)"
    " ON CONFLICT (key_id, material_id) DO UPDATE SET sample = excluded.sample"
)
_INVENTORIES_OF: Final = (
    select(key_inventories)
    .where(key_inventories.c.key_id == bindparam("key_id"))
    .order_by(key_inventories.c.received_at.desc(), key_inventories.c.inventory_id)
    .limit(bindparam("limit"))
)
_INVENTORY_COUNT: Final = (
    select(func.count()).select_from(key_inventories).where(key_inventories.c.key_id == bindparam("key_id"))
)
_INSERT_INVENTORY: Final = insert(key_inventories).values(
    {column.name: bindparam(column.name) for column in key_inventories.columns}
)


class InventoryRecord(NamedTuple):
    """What somebody found in a store of ciphertexts of one key, as it was handed in."""

    inventory_id: str
    key_id: str
    digest: str
    """SHA-256 of ``record`` in hex; a key has each record once."""
    record: bytes
    """Canonical JSON, at most 65,536 bytes."""
    received_at: float
    received_from: str
    """The principal, up to 256 characters."""


class InventoryReads(Queries):
    """See ``Reader``, which has them."""

    def list_samples_of_keys(self, key_ids: Collection[str]) -> dict[tuple[str, str], bytes]:
        """Return the samples of the versions of up to 1,000 keys, by key id and material id."""
        rows = self._all(_SAMPLES_OF_KEYS, {"key_ids": list(key_ids)})
        return {(str(row[0]), str(row[1])): bytes(row[2]) for row in rows}

    def list_version_samples(self, key_id: str) -> dict[str, bytes]:
        """Return the samples of the versions of a key, by material id."""
        return {str(row[0]): bytes(row[1]) for row in self._all(_SAMPLES_OF, {"key_id": key_id})}

    def list_inventories(self, key_id: str, *, limit: int) -> list[InventoryRecord]:
        """Return up to ``limit`` inventories about a key, the last one first."""
        return [
            InventoryRecord(*row) for row in self._all(_INVENTORIES_OF, {"key_id": key_id, "limit": limit})
        ]

    def count_inventories(self, key_id: str) -> int:
        """Return how many inventories about a key there are."""
        row = self._first(_INVENTORY_COUNT, {"key_id": key_id})
        return 0 if row is None else int(row[0])


class InventoryWrites(InventoryReads):
    """See ``Transaction``, which has them."""

    def put_version_samples(self, samples: Mapping[tuple[str, str], bytes]) -> None:
        """Store samples by key id and material id, in the place of what there was. Raises StorageError when there is no such key."""
        if not samples:
            return
        rows = [
            {"key_id": key_id, "material_id": material_id, "sample": sample}
            for (key_id, material_id), sample in samples.items()
        ]
        try:
            self._connection.execute(_PUT_SAMPLE, rows)
        except SQLAlchemyError as error:
            raise translated(error) from error

    def delete_version_samples(self, key_id: str) -> None:
        """Forget the samples of all versions of a key."""
        try:
            self._connection.execute(_DELETE_SAMPLES_OF, {"of_key": key_id})
        except SQLAlchemyError as error:
            raise translated(error) from error

    def insert_inventory(self, record: InventoryRecord) -> None:
        """Keep an inventory. Raises DuplicateError when the key has this very record already."""
        try:
            self._connection.execute(_INSERT_INVENTORY, record._asdict())
        except SQLAlchemyError as error:
            raise translated(error) from error
