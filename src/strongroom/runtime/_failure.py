"""Whatever ended a child's life, as an error that can be kept and told."""

import traceback
from pathlib import Path

from strongroom.core import MemberFailedError, StrongroomError


def as_failure(error: Exception) -> StrongroomError:
    """Return an error of ours that holds neither frames nor causes: variables in those may hold a PIN.

    An error that nobody foresaw is told by its type and place; its text might hold anything.
    """
    if isinstance(error, StrongroomError):
        failure = error
    else:
        place = traceback.extract_tb(error.__traceback__)[-1]
        failure = MemberFailedError(
            f"unexpected {type(error).__name__} at {Path(place.filename).name}:{place.lineno}",
            next_step="report this as a bug",
        )
    failure.__traceback__ = failure.__cause__ = failure.__context__ = None
    return failure
