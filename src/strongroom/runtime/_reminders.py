"""What reminds people of their duties: it looks every ten minutes, and tells the same thing once a day."""

import abc
import asyncio
from typing import Final

from strongroom.core import Clock, EventSink

DAY_S: Final = 86_400.0
_LOOK_EVERY_S: Final = 600.0


class Reminders(abc.ABC):
    """What looks and tells. Belongs to the event loop of main."""

    def __init__(self, *, events: EventSink, clock: Clock) -> None:
        self._events = events
        self._clock = clock
        self._told_at: dict[str, float] = {}
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._looking = asyncio.ensure_future(self._look_now_and_then())

    def close(self) -> None:
        """End."""
        if self._looking is not None:
            self._looking.cancel()

    @abc.abstractmethod
    def look(self) -> None:
        """Look now, and tell what has not been told for a day."""

    @abc.abstractmethod
    def metrics(self) -> str:
        """Prometheus text of what the last look found; what is not known is left out."""

    def _is_to_be_told(self, what: str) -> bool:
        """Whether this was not told within a day. From then on it was."""
        now = self._clock.now()
        self._told_at = {old: at for old, at in self._told_at.items() if now - at < DAY_S}
        if what in self._told_at:
            return False
        self._told_at[what] = now
        return True

    async def _look_now_and_then(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(_LOOK_EVERY_S)
