"""When a failed call is tried again, and after how long: exponential back-off with full jitter.

Full jitter (the pause is drawn evenly from zero to the bound, and the bound doubles) spreads callers that failed at the same
moment most evenly; see "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

from typing import Final, NamedTuple

from strongroom.client._errors import (
    ClientError,
    GatewayError,
    RequestRefusedError,
    ServiceNotTrustedError,
    ServiceUnreachableError,
)
from strongroom.core import Deadline, random_bytes

_THROTTLED: Final = "ThrottlingException"


class Retries(NamedTuple):
    """How long to wait between tries. There is no limit to their number but the time that the call has."""

    first_s: float = 0.05
    """Upper bound of the first pause."""
    most_s: float = 5.0
    """Upper bound of all pauses."""

    def bound_s(self, failures: int) -> float:
        """Return the longest pause after so many failures (1 or more)."""
        return min(self.most_s, self.first_s * 2.0 ** min(failures - 1, 60))

    def pause_s(self, error: ClientError, failures: int, left_s: float) -> float | None:
        """Return how long to wait after a failure; None when trying again is of no use, or no time is left for it."""
        if not is_passing(error):
            return None
        pause_s = self.bound_s(failures) * int.from_bytes(random_bytes(4)) / 2**32
        return pause_s if pause_s < left_s else None


class Tries:
    """The tries of one call. For one thread at a time."""

    def __init__(self, retries: Retries, deadline: Deadline) -> None:
        self._retries = retries
        self._failures = 0
        self._last: ClientError | None = None
        self.deadline = deadline

    def pause_after(self, error: ClientError) -> float:
        """Return how long to wait after a failure, in seconds. Raises it when there is to be no further try.

        When time was over in the midst of a later try, the failure before it is raised: that says more.
        """
        self._failures += 1
        left_s = self.deadline.remaining_s()
        pause_s = self._retries.pause_s(error, self._failures, left_s)
        if pause_s is None:
            if left_s <= 0 and self._last is not None:
                raise self._last from error
            raise error
        self._last = error
        return pause_s


def is_passing(error: ClientError) -> bool:
    """Whether the same request may well succeed later."""
    match error:
        case ServiceNotTrustedError():
            return False
        case ServiceUnreachableError() | GatewayError():
            return True
        case RequestRefusedError():
            return error.code == _THROTTLED or error.status >= 500
        case _:
            return False
