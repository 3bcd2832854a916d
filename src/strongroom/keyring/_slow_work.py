"""Work that would hold up the event loop, on threads: RSA takes up to seconds, and the library lets go of the interpreter."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from strongroom.keyring._errors import TooBusyError

T = TypeVar("T")

FASTEST_SLOW_S: Final = 100e-6
"""What takes less belongs on the event loop: going to a thread and back costs about as much."""


class SlowWork:
    """A few threads and a bounded number of those that wait for them. Belongs to one event loop.

    A caller that is cancelled takes its work away, unless that has begun; then it ends for nobody. Threads start with
    the first work and end with ``close``.
    """

    def __init__(self, name: str, *, threads: int, max_under_way: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._max_under_way = max_under_way
        self._under_way = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Return what the work returns, raise what it raises; TooBusyError when as much waits already as may."""
        if self._under_way >= self._max_under_way:
            raise TooBusyError
        self._under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._under_way -= 1

    def close(self) -> None:
        """End the threads, after the work that has begun; what waits is given up."""
        self._pool.shutdown(wait=True, cancel_futures=True)
