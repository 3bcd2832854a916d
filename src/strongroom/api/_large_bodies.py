"""``LargeBodies``: which requests may have a body beyond the usual limit, and how many at the same time.

Only batches need one. A body is read before its signature can be checked, so whoever reaches the port can have us hold it;
the places bound how much that is in all: 16 of 2 MiB in a process. Requests of usual size need none, and never wait for one.
"""

from typing import Final

from strongroom.api._errors import ApiError
from strongroom.api._http import MAX_BODY_BYTES

MAX_LARGE_BODY_BYTES: Final = 2 * 1024 * 1024
PLACES: Final = 16
_PATHS: Final = b"/api/v1/keys/"


class LargeBodies:
    """Gives out places for large bodies, one to a connection. For one event loop."""

    def __init__(self, *, places: int = PLACES) -> None:
        self._places = places
        self._holders: set[object] = set()

    def refusal(self, holder: object, url: bytes, n_bytes: int) -> ApiError | None:
        """Give a place for a body of ``n_bytes`` until ``give_back``; or return why there is none."""
        if not url.startswith(_PATHS):
            return body_too_large(MAX_BODY_BYTES)
        if n_bytes > MAX_LARGE_BODY_BYTES:
            return body_too_large(MAX_LARGE_BODY_BYTES)
        if holder in self._holders or len(self._holders) >= self._places:
            return ApiError(
                "ThrottlingException", "Too many large requests at the same time. Try again later."
            )
        self._holders.add(holder)
        return None

    def give_back(self, holder: object) -> None:
        """Free the place, if the holder has one."""
        self._holders.discard(holder)


def body_too_large(limit: int) -> ApiError:
    """Make the answer to a body beyond a limit (bytes)."""
    return ApiError(
        "RequestEntityTooLargeException", f"The body of a request may have {limit} bytes.", status=413
    )
