"""Errors of storage, and the one place that translates SQLAlchemy's.

core.StorageError
├── DuplicateError      a record with this key exists already
└── RootNotInUseError   nothing may be stored under this root any more
"""

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from strongroom.core import StorageError
from strongroom.storage._sqlite import diagnose, is_duplicate


class DuplicateError(StorageError):
    """A record with this key exists already; nothing was changed."""


class RootNotInUseError(StorageError):
    """The root was replaced or destroyed meanwhile: wrap under the current one, and try again."""


def translated(error: SQLAlchemyError) -> StorageError:
    """Return our error for one of SQLAlchemy's. The text never holds the values of a statement."""
    if isinstance(error, IntegrityError):
        if is_duplicate(error.orig):
            return DuplicateError("a record with this key exists already")
        return StorageError(f"the record breaks a rule of the schema: {error.orig}")
    if isinstance(error, DBAPIError):
        message, next_step = diagnose(error.orig)
        return StorageError(message, next_step=next_step)
    return StorageError(f"the database failed: {type(error).__name__}")


def turn_refused(error: OSError) -> StorageError:
    """Return our error for a turn to write that was not to be had."""
    if isinstance(error, TimeoutError):
        return StorageError(
            "another process has been writing for too long",
            next_step="look for a strongroom process that is stopped or hangs",
        )
    return StorageError(
        f"the lock file beside the database cannot be opened: {error.strerror}",
        next_step="check the owner and mode of the folder of the database, and the space on its disk",
    )
