"""``LargeBodies``: which requests may have a body beyond the usual limit, and how many at the same time.

Only batches need one. A body is read before its signature can be checked, so whoever reaches the port can have us hold it;
the places bound how much that is in all: 16 of 2 MiB in a process. Requests of usual size need none, and never wait for one.

Who does not send does not keep others out: when all places are taken, the slowest body that is still on its way makes room, if it had a
second and came slower than ``MIN_BYTES_PER_S``. So it takes bandwidth to hold the places, not connections alone.
"""

from typing import Final, Protocol

from strongroom.api._errors import ApiError
from strongroom.api._http import MAX_BODY_BYTES

MAX_LARGE_BODY_BYTES: Final = 2 * 1024 * 1024
PLACES: Final = 16
GRACE_S: Final = 1.0
MIN_BYTES_PER_S: Final = 256 * 1024
_PATHS: Final = b"/api/v1/keys/"


class LargeBodyHolder(Protocol):
    """A connection, with one large body."""

    @property
    def body_bytes_on_the_way(self) -> int | None:
        """How much of the body has come; None when all of it has."""
        ...

    def refuse(self, error: ApiError) -> None:
        """Give up the request that is on its way."""
        ...


class LargeBodies:
    """Gives out places for large bodies, one to a connection. For one event loop."""

    def __init__(self, *, places: int = PLACES) -> None:
        self._places = places
        self._since: dict[LargeBodyHolder, float] = {}

    def refusal(self, holder: LargeBodyHolder, url: bytes, n_bytes: int, now: float) -> ApiError | None:
        """Give a place for a body of ``n_bytes`` until ``give_back``; or return why there is none.

        ``now`` is of any clock that only goes forward, in seconds.
        """
        if not url.startswith(_PATHS):
            return body_too_large(MAX_BODY_BYTES)
        if n_bytes > MAX_LARGE_BODY_BYTES:
            return body_too_large(MAX_LARGE_BODY_BYTES)
        if holder in self._since or (len(self._since) >= self._places and not self._has_made_room(now)):
            return ApiError(
                "ThrottlingException", "Too many large requests at the same time. Try again later."
            )
        self._since[holder] = now
        return None

    def give_back(self, holder: LargeBodyHolder) -> None:
        """Free the place, if the holder has one."""
        self._since.pop(holder, None)

    def _has_made_room(self, now: float) -> bool:
        """Take the place of the slowest, if it is slow."""
        slowest: LargeBodyHolder | None = None
        least = float(MIN_BYTES_PER_S)
        for holder, since in self._since.items():
            n_bytes, elapsed_s = holder.body_bytes_on_the_way, now - since
            if n_bytes is not None and elapsed_s >= GRACE_S and n_bytes / elapsed_s < least:
                slowest, least = holder, n_bytes / elapsed_s
        if slowest is None:
            return False
        self.give_back(slowest)
        text = "The body came too slowly while others waited."
        slowest.refuse(ApiError("RequestTimeoutException", text, status=408))
        return True


def body_too_large(limit: int) -> ApiError:
    """Make the answer to a body beyond a limit (bytes)."""
    return ApiError(
        "RequestEntityTooLargeException", f"The body of a request may have {limit} bytes.", status=413
    )
