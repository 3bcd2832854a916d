"""Making and upgrading databases by Alembic, and telling which revision one has."""

from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, inspect
from sqlalchemy.exc import SQLAlchemyError

from strongroom.core import StorageError, random_bytes
from strongroom.storage._errors import translated
from strongroom.storage._schema import REVISIONS
from strongroom.storage._sqlite import (
    count_broken_references,
    make_empty_file,
    migrating_engine,
    sync_path,
    writing_engine,
)


def create_database(path: Path) -> None:
    """Make a new, empty database of the newest revision, mode 0600, durable when this returns.

    It is made under another name and then linked, so at ``path`` there is never half a database. Raises
    StorageError when anything exists there already, or it cannot be made.
    """
    draft = path.with_name(f".{path.name}.{random_bytes(4).hex()}")
    try:
        try:
            if path.exists():
                raise FileExistsError
            make_empty_file(draft)
            _migrate_to_head(draft)
            sync_path(draft)
            path.hardlink_to(draft)  # refuses to overwrite
        finally:
            for suffix in ("", "-wal", "-shm"):
                with suppress(FileNotFoundError):
                    draft.with_name(draft.name + suffix).unlink()
        sync_path(path.parent)
    except FileExistsError as error:
        raise StorageError(
            f"{path} exists already", next_step="use it, or move it away before making a new one"
        ) from error
    except OSError as error:
        raise StorageError(
            f"{path} cannot be made: {error.strerror}", next_step="check its folder and the disk under it"
        ) from error


def upgrade_database(path: Path) -> None:
    """Bring an existing database to the newest revision, in one transaction; no effect when it has it.

    No other process may use it meanwhile. Raises StorageError when there is none, when it is newer than this
    software, or when it is not ours or damaged.
    """
    require_file(path)
    engine = writing_engine(path)
    try:
        with engine.connect() as connection:
            revision = read_revision(connection, path)
    except SQLAlchemyError as error:
        raise translated(error) from error
    finally:
        engine.dispose()
    if revision != REVISIONS[-1]:
        _migrate_to_head(path)


def knows_revision(revision: str) -> bool:
    """Whether this software can bring a database of a revision to the newest one."""
    return revision in REVISIONS


def require_file(path: Path) -> None:
    """Raise StorageError when there is no file at ``path``."""
    if not path.is_file():
        raise StorageError(f"there is no database at {path}", next_step="make one with strongroom init")


def require_head(connection: Connection, path: Path) -> None:
    """Raise StorageError unless the database has exactly the revision that this software works with."""
    if read_revision(connection, path) != REVISIONS[-1]:
        raise StorageError(
            f"{path} was made by an older Strongroom",
            next_step="stop every process that uses it, back it up, and upgrade it before it is opened",
        )


def read_revision(connection: Connection, path: Path) -> str:
    """Return the revision, one of ``REVISIONS``. Raises StorageError when it is newer, or not ours at all."""
    if not inspect(connection).has_table("alembic_version"):
        raise StorageError(f"{path} is not a Strongroom database", next_step="check the path of the database")
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all()
    if len(found) != 1 or found[0] not in REVISIONS:
        raise StorageError(
            f"{path} is newer than this software (its revision is {', '.join(found) or 'absent'})",
            next_step="install the Strongroom that wrote it, or a later one",
        )
    return str(found[0])


def _migrate_to_head(path: Path) -> None:
    # Imported here: only init and upgrade need Alembic, and it is slow to import.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "strongroom.storage:migrations")
    config.set_main_option("path_separator", "os")
    engine = migrating_engine(path)
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            if broken := count_broken_references(connection):
                raise StorageError(
                    f"{broken} records of the database refer to what is not there",
                    next_step="restore the last backup",
                )
    except SQLAlchemyError as error:
        raise translated(error) from error
    finally:
        engine.dispose()
