"""How long a member's keeper waits before it starts a worker again."""

import asyncio
from collections.abc import Callable
from typing import Final

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 15.0
_LONGEST_PAUSE_ALONE_S: Final = 2.0
"""Between two starts while no member serves at all: then nothing is worth waiting for."""


class RestartPauses:
    """Pauses that grow while workers fail one after the other. Belongs to the event loop of main."""

    def __init__(self, is_needed: Callable[[], bool]) -> None:
        """``is_needed`` says whether no other member serves."""
        self._is_needed = is_needed
        self._hurried = asyncio.Event()
        self._last_s = _FIRST_PAUSE_S

    def begin(self) -> None:
        """Begin with short ones again."""
        self._last_s = _FIRST_PAUSE_S

    def hurry(self) -> None:
        """End the pause that goes on, if one does."""
        self._hurried.set()

    async def wait(self, *, lived_well: bool) -> None:
        """Wait for twice as long as the last time, or shortly when the worker that failed had served for a while."""
        self._last_s = _FIRST_PAUSE_S if lived_well else min(self._last_s * 2, _LONGEST_PAUSE_S)
        pause_s = min(self._last_s, _LONGEST_PAUSE_ALONE_S) if self._is_needed() else self._last_s
        self._hurried.clear()
        slept = asyncio.ensure_future(asyncio.sleep(pause_s))
        hurried = asyncio.ensure_future(self._hurried.wait())
        try:
            await asyncio.wait({slept, hurried}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            slept.cancel()
            hurried.cancel()
