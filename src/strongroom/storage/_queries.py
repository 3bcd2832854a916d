"""One connection, and how every look at the database goes; the queries stand in ``_reader`` and in its mixins."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Connection, Row, Select
from sqlalchemy.exc import SQLAlchemyError

from strongroom.storage._errors import translated

AnyRow: TypeAlias = Row[*tuple[Any, ...]]
AnySelect: TypeAlias = Select[*tuple[Any, ...]]


class Queries:
    """Runs statements on a connection; what SQLAlchemy raises becomes StorageError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _first(self, statement: AnySelect, values: Mapping[str, object]) -> AnyRow | None:
        try:
            return self._connection.execute(statement, values).first()
        except SQLAlchemyError as error:
            raise translated(error) from error

    def _all(self, statement: AnySelect, values: Mapping[str, object]) -> Sequence[AnyRow]:
        try:
            return self._connection.execute(statement, values).all()
        except SQLAlchemyError as error:
            raise translated(error) from error
