"""Looks at members that serve: at those that need others when another one begins to serve, and at all from time to time."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final

from strongroom.core import Clock, EventSink, StrongroomError
from strongroom.hsm.cluster import Replica

_FIRST_PAUSE_S: Final = 15.0
_LONGEST_PAUSE_S: Final = 3_600.0
_LOOK_AT_ALL_EVERY_S: Final = 3_600.0
"""Somebody with a user's PIN could put another key in the place of one while its member serves."""
_LEAST_PAUSE_S: Final = 5.0
_REST_PER_WORK: Final = 4.0
"""A look proves every key of a member: members that come and go again and again have others looked at a fifth of the time."""


class Helping:
    """Looks again at members that lack something while they serve, ever more seldom, until cancelled.

    What goes wrong in a look is told and tried again, whatever it is. Belongs to the event loop of main.
    """

    def __init__(
        self,
        needing: Callable[[], Collection[str]],
        serving: Callable[[], Sequence[Replica]],
        look: Callable[[Replica], Awaitable[object]],
        *,
        events: EventSink,
        clock: Clock,
    ) -> None:
        """``needing()`` are the members that another one might help; ``look`` compares one with the records."""
        self._needing = needing
        self._serving = serving
        self._look = look
        self._events = events
        self._clock = clock
        self._wanted = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._looked_at_all_at = clock.monotonic()

    def start(self) -> None:
        """Begin."""
        self._running = asyncio.ensure_future(self._run())

    def close(self) -> None:
        """End."""
        if self._running is not None:
            self._running.cancel()

    def soon(self) -> None:
        """Take notice that a member has begun to serve: others may get from it what they lack."""
        self._wanted.set()

    async def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                async with asyncio.timeout(pause_s):
                    await self._wanted.wait()
                pause_s = _FIRST_PAUSE_S
            except TimeoutError:
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            self._wanted.clear()
            began = self._clock.monotonic()
            if await self._look_around():
                took_s = self._clock.monotonic() - began
                await asyncio.sleep(max(_LEAST_PAUSE_S, _REST_PER_WORK * took_s))

    async def _look_around(self) -> int:
        """Look at those that are to be looked at; returns how many."""
        now = self._clock.monotonic()
        is_time = now - self._looked_at_all_at >= _LOOK_AT_ALL_EVERY_S
        if is_time:
            self._looked_at_all_at = now
        chosen: list[Replica] = []
        try:
            needing = self._needing()
            chosen = [replica for replica in self._serving() if is_time or replica.name in needing]
        except Exception as error:  # noqa: BLE001  # the database, or a bug: it is tried again, and told
            self._failed("", error)
        for replica in chosen:
            try:
                await self._look(replica)
            except Exception as error:  # noqa: BLE001  # the others are looked at all the same
                self._failed(replica.name, error)
        return len(chosen)

    def _failed(self, member: str, error: Exception) -> None:
        cause = error.message if isinstance(error, StrongroomError) else f"unexpected {type(error).__name__}"
        self._events.emit("reconcile.failed", member=member, cause=cause)
