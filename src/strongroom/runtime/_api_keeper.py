"""Keeps an API process alive; the listening socket stays with main, so callers can connect all the while."""

import asyncio
import contextlib
import os
import socket
from pathlib import Path

from strongroom.config import Home
from strongroom.core import Clock, EventSink, StrongroomError
from strongroom.wiring.bootstrap import ApiBootstrap
from strongroom.wiring.workers import Child

_API_PROGRAM = "strongroom.runtime.api"
_GRACE_S = 12.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 10.0
_LIVED_WELL_S = 10.0


class ApiKeeper:
    """Starts one API process and starts it again when it ends."""

    def __init__(
        self, home: Home, control_path: Path, listener: socket.socket, *, events: EventSink, clock: Clock
    ) -> None:
        self._home = home
        self._control_path = control_path
        self._listener = listener
        self._events = events
        self._clock = clock
        self._child: Child | None = None
        self.first_outcome = asyncio.Event()
        self.failure: StrongroomError | None = None

    async def run(self) -> None:
        """Keep the process alive until cancelled."""
        pause_s = _FIRST_PAUSE_S
        while True:
            began = self._clock.monotonic()
            try:
                self._child = await self._start()
                self.failure = None
                self._events.emit("api.started", pid=self._child.pid)
                self.first_outcome.set()
                status = await self._child.wait()
                self._events.emit("api.ended", status=status)
            except StrongroomError as error:
                self.failure = error
                self._events.emit("api.failed", cause=str(error))
                self.first_outcome.set()
            if self._clock.monotonic() - began > _LIVED_WELL_S:
                pause_s = _FIRST_PAUSE_S
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def stop(self) -> None:
        """Ask the process to finish what it is at, and kill it when it takes longer than 12 s."""
        child, self._child = self._child, None
        if child is not None:
            with contextlib.suppress(ProcessLookupError):
                await child.end(limit_s=_GRACE_S)

    async def _start(self) -> Child:
        fd = self._listener.fileno()
        bootstrap = ApiBootstrap(
            home=str(self._home.root),
            control_path=str(self._control_path),
            writer="api-0",
            parent_pid=os.getpid(),
            listener_fd=fd,
        )
        return await Child.start(_API_PROGRAM, bootstrap, environment={}, pass_fds=[fd])
