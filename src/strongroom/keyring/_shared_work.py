"""Work that many wait for is done once."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Generic, NamedTuple, TypeVar

from strongroom.core import Clock, NoMemberError

KeyT = TypeVar("KeyT", bound=Hashable)
T = TypeVar("T")

_FAIR_SHARE = 0.5
"""Who was there for less than this part of a vain wait for an HSM has not had the time that a call is given."""


class _Begun(NamedTuple, Generic[T]):
    task: asyncio.Task[T]
    at: float


class SharedWork(Generic[KeyT, T]):
    """At most one piece of work for each key at a time, whose end all get who ask meanwhile. For one event loop.

    Work has a deadline of its own, counted from its beginning, and none of its callers'. Whoever is cancelled does not
    cancel it for the others.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._under_way: dict[KeyT, _Begun[T]] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def begin(self, key: KeyT, work: Callable[[], Coroutine[object, object, T]]) -> asyncio.Task[T]:
        """Start the work, unless it is under way, and return its task. Nobody need wait for it."""
        begun = self._under_way.get(key)
        if begun is None or begun.task.done():
            begun = _Begun(asyncio.ensure_future(work()), self._clock.monotonic())
            self._under_way[key] = begun
            begun.task.add_done_callback(lambda task: self._ended(key, task))
        return begun.task

    async def result(self, key: KeyT, work: Callable[[], Coroutine[object, object, T]]) -> T:
        """Return what the work gives, and raise what it raises.

        No HSM answered (NoMemberError) may be said of work that had nearly used up its deadline when we joined: then it
        is begun once more, for us and all who came as late.
        """
        begun = self._under_way.get(key)
        if begun is None:
            return await asyncio.shield(self.begin(key, work))
        joined_at = self._clock.monotonic()
        try:
            return await asyncio.shield(begun.task)
        except NoMemberError:
            now = self._clock.monotonic()
            if now - joined_at >= _FAIR_SHARE * (now - begun.at):
                raise
        return await asyncio.shield(self.begin(key, work))

    def _ended(self, key: KeyT, task: asyncio.Task[T]) -> None:
        begun = self._under_way.get(key)
        if begun is not None and begun.task is task:
            del self._under_way[key]
        if not task.cancelled():
            task.exception()  # whoever waited has it; nobody may have waited to the end
