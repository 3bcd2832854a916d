"""A thread for what may hang: disks, name servers, peers. The event loop waits for it only so long."""

import asyncio
import contextlib
import os
import queue
import threading
from collections.abc import Callable
from typing import Final, TypeAlias, TypeVar

from strongroom.shipping._errors import ShippingError

T = TypeVar("T")
_Job: TypeAlias = Callable[[], None]
_NICER: Final = 5
"""By how much the thread stands back behind the rest of the machine (nice(2))."""
_NICEST: Final = 19


class ThreadHangsError(ShippingError):
    """What the thread was given last has not ended in time."""


class OwnThread:
    """Does one thing at a time, in the order in which they come. Belongs to one event loop.

    A daemon: one that hangs does not hold up the end of the process.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._is_started = False
        self._is_busy = False

    async def run(self, work: Callable[[], T], *, limit_s: float) -> T:
        """Have something done. Raises what it raises, ThreadHangsError when it, or what was given before, takes too long."""
        if self._is_busy:
            raise ThreadHangsError("what was begun before still hangs")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            try:
                value = work()
            except Exception as error:  # noqa: BLE001  # whoever waits gets it
                _tell(loop, self._failed, done, error)
            else:
                _tell(loop, self._succeeded, done, value)

        self._start()
        self._is_busy = True
        self._jobs.put(job)
        try:
            async with asyncio.timeout(limit_s):
                return await done
        except TimeoutError:
            if done.done() and not done.cancelled():
                raise
            raise ThreadHangsError(f"no answer within {limit_s:g} s") from None

    def close(self) -> None:
        """Have the thread end after what it is at."""
        self._jobs.put(None)

    def _start(self) -> None:
        if not self._is_started:
            self._is_started = True
            threading.Thread(target=self._work, name=self._name, daemon=True).start()

    def _work(self) -> None:
        with contextlib.suppress(OSError):
            me = threading.get_native_id()
            nice = os.getpriority(os.PRIO_PROCESS, me) + _NICER
            os.setpriority(os.PRIO_PROCESS, me, min(nice, _NICEST))
        while (job := self._jobs.get()) is not None:
            job()

    def _succeeded(self, done: "asyncio.Future[T]", value: T) -> None:
        self._is_busy = False
        if not done.done():
            done.set_result(value)

    def _failed(self, done: "asyncio.Future[T]", error: Exception) -> None:
        self._is_busy = False
        if not done.done():
            done.set_exception(error)


def _tell(loop: asyncio.AbstractEventLoop, tell: Callable[..., None], *what: object) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(tell, *what)
