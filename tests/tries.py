"""Limits of time that a machine which stands still for a moment does not break, and that something slow does."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Tries:
    """Up to five tries of something that must not take longer than so long: one in time is enough.

        tries = Tries(0.5)
        for _ in tries:
            ...                 # what comes before
            with tries.timed():
                ...             # what must be in time

    What is too slow by itself is so in all five. Raises AssertionError then, with what each took.
    """

    def __init__(self, limit_s: float, *, most: int = 5) -> None:
        self.took_s: list[float] = []
        self._limit_s = limit_s
        self._most = most

    def __iter__(self) -> Iterator[int]:
        while min(self.took_s, default=self._limit_s) >= self._limit_s:
            assert len(self.took_s) < self._most, f"longer than {self._limit_s} s each time: {self.took_s}"
            yield len(self.took_s)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """What must be in time."""
        began = time.monotonic()
        yield
        self.took_s.append(time.monotonic() - began)
