"""``CiphertextTable``: somebody else's table with a column of ciphertexts, read and changed row by row.

It has nothing to do with our own database: any URL that SQLAlchemy knows will do, if its driver is installed. Reading goes by
key, so it can stop and go on anywhere; changing is a compare-and-swap, so what another writer has written meanwhile stays.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, NamedTuple, Self

from sqlalchemy import Column, Index, MetaData, Table, create_engine, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, NoSuchTableError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from strongroom.core import StorageError


class CiphertextRow(NamedTuple):
    """A row of the table."""

    key: Any
    ciphertext: bytes | str
    """As it is stored."""
    context: Any
    """What is in the column of the encryption context; None without one."""

    def __repr__(self) -> str:
        return f"CiphertextRow({self.key!r})"


class CiphertextTable:
    """One table. Every method is a transaction of its own; for one thread. Raises StorageError."""

    def __init__(
        self, url: str, table: str, *, key: str, ciphertext: str, context: str | None = None
    ) -> None:
        """Connect and look at the table (``schema.name`` or ``name``).

        Its ``key`` column has to be unique, and never NULL where there is a ciphertext.
        """
        try:
            self._engine = create_engine(parsed_url(url), poolclass=NullPool)
        except ModuleNotFoundError as error:
            raise StorageError(
                f"the driver of this database is not installed: {error.name}",
                next_step="install it beside Strongroom, or name another in the URL (dialect+driver://)",
            ) from None
        except NoSuchModuleError:
            raise StorageError(
                "SQLAlchemy does not know this kind of database", next_step="check the beginning of the URL"
            ) from None
        try:
            self._table = self._reflected(table)
        except SQLAlchemyError as error:
            raise _translated(error) from None
        self._key = self._column(key)
        self._ciphertext = self._column(ciphertext)
        self._context = None if context is None else self._column(context)
        self._require_unique_key()
        self._require_keys()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.dispose()

    @property
    def place(self) -> str:
        """Where the ciphertexts are, for people: database, table and column, without user and password."""
        url = self._engine.url
        where = f"{url.get_backend_name()}://{url.host or ''}/{url.database or ''}"
        return f"{where} {self._table.fullname}.{self._ciphertext.name}"

    def rows_after(self, key: Any, limit: int) -> list[CiphertextRow]:
        """Return the next rows in the order of their keys, those without ciphertext left out; None: from the first."""
        query = self._query().order_by(self._key).limit(limit)
        return self._read(query if key is None else query.where(self._key > key))

    def rows_of(self, keys: Sequence[Any]) -> list[CiphertextRow]:
        """Return the rows with these keys that are still there."""
        return self._read(self._query().where(self._key.in_(keys)))

    def replace(self, changes: Iterable[tuple[CiphertextRow, bytes | str]]) -> list[CiphertextRow]:
        """Write new ciphertexts where the old ones still stand, in one transaction; returns the rows where they do not."""
        changed_by_others = []
        try:
            with self._engine.begin() as connection:
                for row, new in changes:
                    statement = (
                        self._table.update()
                        .where(self._key == row.key, self._ciphertext == row.ciphertext)
                        .values({self._ciphertext: new})
                    )
                    if connection.execute(statement).rowcount != 1:
                        changed_by_others.append(row)
        except SQLAlchemyError as error:
            raise _translated(error) from None
        return changed_by_others

    def _query(self) -> Any:
        columns = [self._key, self._ciphertext, *([] if self._context is None else [self._context])]
        return select(*columns).where(self._ciphertext.is_not(None))

    def _read(self, query: Any) -> list[CiphertextRow]:
        try:
            with self._engine.connect() as connection:
                found = connection.execute(query).all()
        except SQLAlchemyError as error:
            raise _translated(error) from None
        return [CiphertextRow(row[0], row[1], row[2] if len(row) > 2 else None) for row in found]

    def _reflected(self, name: str) -> Table:
        schema, _, bare = name.rpartition(".")
        with self._engine.connect() as connection:
            try:
                return Table(bare, MetaData(), schema=schema or None, autoload_with=connection)
            except NoSuchTableError:
                raise StorageError(f"there is no table {name}", next_step="check --table") from None

    def _column(self, name: str) -> Column[Any]:
        found: Column[Any] | None = self._table.columns.get(name)
        if found is None:
            raise StorageError(
                f"the table {self._table.fullname} has no column {name}", next_step="check its name"
            )
        return found

    def _require_unique_key(self) -> None:
        name = self._key.name
        looked = inspect(self._engine)
        sets: list[Sequence[Any]] = [[column.name for column in self._table.primary_key.columns]]
        with suppress(NotImplementedError):
            found = looked.get_unique_constraints(self._table.name, schema=self._table.schema)
            sets += [constraint["column_names"] for constraint in found]
        sets += [
            [column.name for column in index.columns] for index in self._table.indexes if _is_of_all(index)
        ]
        if [name] not in [list(columns) for columns in sets]:
            raise StorageError(
                f"the column {name} is no key: nothing says that its values are unique",
                next_step="name the primary key of the table",
            )

    def _require_keys(self) -> None:
        if self._key.nullable and self._read(self._query().where(self._key.is_(None)).limit(1)):
            raise StorageError(
                f"the column {self._key.name} is NULL in rows that hold a ciphertext: they cannot be told apart",
                next_step="name the primary key of the table, or give these rows a key",
            )


def _is_of_all(index: Index) -> bool:
    """Whether an index keeps its columns unique in every row: one with a condition (``sqlite_where`` …) does not."""
    conditions = [value for name, value in index.kwargs.items() if name.endswith("_where")]
    return index.unique and all(condition is None for condition in conditions)


def parsed_url(url: str) -> URL:
    """Read a URL of SQLAlchemy's form. Raises StorageError, which does not quote it."""
    try:
        return make_url(url.strip())
    except (ArgumentError, ValueError):
        raise StorageError(
            "this is no URL of a database", next_step="write it as dialect[+driver]://user@host/name"
        ) from None


def has_password(url: str) -> bool:
    """Whether a URL holds a password. Raises StorageError."""
    parsed = parsed_url(url)
    query: Mapping[str, Any] = parsed.query
    return parsed.password is not None or any("pass" in name.lower() for name in query)


def _translated(error: SQLAlchemyError) -> StorageError:
    """Return our error; never with the values of a statement."""
    if isinstance(error, DBAPIError):
        text = str(error.orig).strip().partition("\n")[0]
        return StorageError(
            f"the database refused: {text}", next_step="look at the database; nothing is lost"
        )
    return StorageError(f"the database failed: {type(error).__name__}")
