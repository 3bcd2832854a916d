"""Keeps an API process alive; the listening socket stays with main, so callers can connect all the while."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from strongroom.config import Home, software_module_environment
from strongroom.core import Clock, EventSink, StrongroomError
from strongroom.runtime._failure import as_failure
from strongroom.wiring.bootstrap import ApiBootstrap
from strongroom.wiring.workers import Child

_API_PROGRAM = "strongroom.runtime.api"
_GRACE_S = 20.0
"""More than an API process waits for the requests under way (``deadlines.request_s`` and a margin, by default)."""
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 10.0
_LIVED_WELL_S = 10.0


class ApiKeeper:
    """Starts one API process and starts it again when it ends. ``control`` gives the path of the control socket."""

    def __init__(
        self,
        home: Home,
        listener: socket.socket,
        *,
        writer: str,
        control: Callable[[], Awaitable[Path]],
        events: EventSink,
        clock: Clock,
    ) -> None:
        self._home = home
        self._listener = listener
        self._control = control
        self._events = events
        self._clock = clock
        # Two names: a process that is being replaced still holds the log of its own until it has ended.
        self._writers = (writer, f"{writer}-b")
        self._child: Child | None = None
        self._starting = asyncio.Lock()  # or two who start one would not know of each other's
        self._retiring: set[asyncio.Task[None]] = set()
        self._children: list[tuple[Child, str]] = []  # each with the name of its log
        self.first_outcome = asyncio.Event()
        self.first_success = asyncio.Event()
        self.failure: StrongroomError | None = None

    def pids(self) -> list[int]:
        """Return the ids of the processes that were started and have not ended, those included that finish."""
        self._children = [(child, writer) for child, writer in self._children if not child.has_ended]
        return [child.pid for child, _ in self._children]

    async def run(self) -> None:
        """Keep the process alive until cancelled."""
        pause_s = _FIRST_PAUSE_S
        while True:
            if await self._live() > _LIVED_WELL_S:
                pause_s = _FIRST_PAUSE_S
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _live(self) -> float:
        """One process, from its start to its end; returns for how many seconds it was at work."""
        began = None
        try:
            await self._start_unless_renewed()
            began = self._clock.monotonic()
            self.failure = None
            self.first_outcome.set()
            self.first_success.set()
            status = await self._until_it_ends()
            self._events.emit("api.ended", status=status)
        except Exception as error:  # noqa: BLE001  # whatever it was, the service is not given up in silence
            self.failure = as_failure(error)
            fields = {"next_step": self.failure.next_step} if self.failure.next_step else {}
            self._events.emit("api.failed", cause=self.failure.message, **fields)
            if self._child is not None:
                await self._child.kill()
            self.first_outcome.set()
        return 0.0 if began is None else self._clock.monotonic() - began

    async def _start_unless_renewed(self) -> None:
        """Start a process, if there is none at work: a reload may have brought one after the last one had ended."""
        async with self._starting:
            if self._child is not None and not self._child.has_ended:
                return
            self._child = None  # who fails to start the next one has nothing to kill
            self._child = child = await self._start()
        self._events.emit("api.started", pid=child.pid)
        for refused in child.started.protections:
            self._events.emit("api.unprotected", what=refused)

    async def _until_it_ends(self) -> int:
        """Wait for the end of the process that is at work, which another may have taken over from meanwhile."""
        while True:
            child = self._child
            if child is None:
                return 0
            status = await child.wait()
            if child is self._child:
                return status

    async def renew(self) -> None:
        """Start a successor, and once it is at work let the process finish what it is at. Raises what it failed with.

        Both accept at the same socket meanwhile, so no caller finds nobody there.
        """
        async with self._starting:
            successor = await self._start()
            old, self._child = self._child, successor
        self._events.emit("api.started", pid=successor.pid, instead_of=None if old is None else old.pid)
        if old is not None:
            task = asyncio.ensure_future(_retire(old))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def stop(self) -> None:
        """Ask the process to finish what it is at, and kill it when it takes longer than its grace."""
        child, self._child = self._child, None
        if child is not None:
            await _retire(child)
        await asyncio.gather(*self._retiring, return_exceptions=True)

    async def _start(self) -> Child:
        fd = self._listener.fileno()
        taken = {name for child, name in self._children if not child.has_ended}
        writer = next((name for name in self._writers if name not in taken), self._writers[0])
        bootstrap = ApiBootstrap(
            home=str(self._home.root),
            control_path=str(await self._control()),
            writer=writer,
            parent_pid=os.getpid(),
            listener_fd=fd,
        )
        child = await Child.start(
            _API_PROGRAM, bootstrap, environment=software_module_environment(), pass_fds=[fd]
        )
        self._children = [*(one for one in self._children if not one[0].has_ended), (child, writer)]
        return child


async def _retire(child: Child) -> None:
    with contextlib.suppress(ProcessLookupError):
        await child.end(limit_s=_GRACE_S)
