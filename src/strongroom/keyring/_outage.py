"""What is known of an outage of all HSMs."""

from collections.abc import Iterator
from contextlib import contextmanager

from strongroom.core import Clock, HsmRequestError, NoMemberError

REMEMBERED_S = 1.0
"""How long after a vain call the HSMs are taken to be away, while nobody asks them again."""


class Outage:
    """Whether the HSMs were lately found not to answer, which costs a whole deadline to find out each time.

    It is on from the moment that a call ended with NoMemberError, for a second, and for as long as a call that was
    begun while it was on has no answer: so one call after another, none of which anybody waits for, keeps an outage in
    mind and notices its end. Any answer of an HSM ends it. Belongs to one event loop.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until = float("-inf")
        self._asking: set[object] = set()

    @property
    def is_on(self) -> bool:
        """Whether a call would most likely be in vain."""
        return bool(self._asking) or self._clock.monotonic() < self._until

    @property
    def is_probed(self) -> bool:
        """Whether a call is under way that will tell whether the outage has ended."""
        return bool(self._asking)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Learn from a call to the HSMs, made inside the block, how they are."""
        call = object()
        if self.is_on:
            self._asking.add(call)
        try:
            yield
        except NoMemberError:
            self._until = self._clock.monotonic() + REMEMBERED_S
            raise
        except HsmRequestError:  # which an HSM said
            self._end()
            raise
        else:
            self._end()
        finally:
            self._asking.discard(call)

    def _end(self) -> None:
        self._until = float("-inf")
        self._asking.clear()
