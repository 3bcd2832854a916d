"""A member worker's two sockets."""

from pathlib import Path
from typing import Any

import msgspec

from strongroom.core import Clock
from strongroom.hsm.wire import AdminCall, Connection, FrameServer, Request, UseCall
from strongroom.hsm.worker._performer import Performer
from strongroom.hsm.worker._runner import CallRunner


class _Door:
    """One socket: frames of its own kind of calls, all into one runner."""

    def __init__(self, runner: CallRunner, calls: Any) -> None:
        self._runner = runner
        self._decoder = msgspec.msgpack.Decoder(list[Request[calls]])

    def made(self, connection: Connection) -> None:
        """Any caller of our own user may use this door."""

    def received(self, connection: Connection, payload: bytes) -> None:
        self._runner.submit(connection, self._decoder.decode(payload))

    def lost(self, connection: Connection) -> None:
        """Answers to a caller that has gone are dropped when they are sent."""


class MemberWorker:
    """Serves one member on a use socket and an admin socket.

    ``broken`` is set when the token met an error that only a new process can cure: whoever runs the worker
    then ends the process, and the main process starts another.
    """

    def __init__(self, performer: Performer, *, threads: int, clock: Clock) -> None:
        self._runner = CallRunner(performer, threads=threads, clock=clock)
        self.broken = self._runner.broken
        self._servers: list[FrameServer] = []

    async def listen(self, use_path: Path, admin_path: Path) -> None:
        """Open both sockets. Raises OSError."""
        runner = self._runner
        self._servers.append(await FrameServer.listen(use_path, lambda: _Door(runner, UseCall)))
        self._servers.append(await FrameServer.listen(admin_path, lambda: _Door(runner, AdminCall)))

    def close(self) -> None:
        """Stop listening and let the HSM threads end."""
        for server in self._servers:
            server.close()
        self._runner.close()
