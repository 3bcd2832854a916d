"""The API processes of a host: one per core on one port, renewed one after the other without losing a request."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from strongroom.config import Home
from strongroom.core import Clock, EventSink, StrongroomError
from strongroom.runtime._api_keeper import ApiKeeper


class ApiFleet:
    """One keeper for each listening socket. The sockets share a port (SO_REUSEPORT, socket(7)) and stay with main.

    The kernel deals new connections out to the sockets; when a process dies, those that wait at its socket are
    served by its successor.
    """

    def __init__(
        self,
        home: Home,
        listeners: Sequence[socket.socket],
        *,
        control: Callable[[], Awaitable[Path]],
        events: EventSink,
        clock: Clock,
    ) -> None:
        self._events = events
        self._keepers = [
            ApiKeeper(home, listener, writer=f"api-{number}", control=control, events=events, clock=clock)
            for number, listener in enumerate(listeners)
        ]

    @property
    def failure(self) -> StrongroomError | None:
        """Why no process is at work; None while one is."""
        failures = [keeper.failure for keeper in self._keepers]
        return None if None in failures else failures[0]

    def pids(self) -> set[int]:
        """Return the ids of all processes that were started and have not ended."""
        return {pid for keeper in self._keepers for pid in keeper.pids()}

    async def run(self) -> None:
        """Keep every process alive until cancelled."""
        await asyncio.gather(*(keeper.run() for keeper in self._keepers))

    async def first_outcomes(self) -> None:
        """Wait until each process was started or failed once."""
        await asyncio.gather(*(keeper.first_outcome.wait() for keeper in self._keepers))

    async def first_success(self) -> None:
        """Wait until one process is at work."""
        waiting = [asyncio.ensure_future(keeper.first_success.wait()) for keeper in self._keepers]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    async def reload(self, changed: str, config_sha256: str) -> bool:
        """Replace every process by one that reads the configuration anew; a new one that fails changes nothing.

        What changed, and what is read, is for the audit log. Returns whether all were replaced.
        """
        for keeper in self._keepers:
            try:
                await keeper.renew()
            except StrongroomError as error:
                self._events.emit("service.reload_failed", cause=str(error), changed=changed)
                return False
        self._events.emit("service.reloaded", changed=changed, config_sha256=config_sha256)
        return True

    async def stop(self) -> None:
        """Ask every process to finish what it is at."""
        await asyncio.gather(*(keeper.stop() for keeper in self._keepers))
