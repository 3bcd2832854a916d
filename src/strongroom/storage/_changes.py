"""How a write goes, for the mixins of ``Transaction`` that have tables of their own."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Executable, Table, insert
from sqlalchemy.exc import SQLAlchemyError

from strongroom.storage._errors import translated
from strongroom.storage._queries import Queries


class Changes(Queries):
    """Runs statements that change something; what SQLAlchemy raises becomes StorageError."""

    def _add(self, table: Table, record: tuple[Any, ...]) -> None:
        self._changed(insert(table), dict(zip(table.columns.keys(), record, strict=True)))

    def _changed(self, statement: Executable, values: Mapping[str, object]) -> int:
        try:
            return self._connection.execute(statement, dict(values)).rowcount
        except SQLAlchemyError as error:
            raise translated(error) from error
