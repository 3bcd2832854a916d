"""A member worker's two sockets."""

from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from strongroom.core import Clock
from strongroom.hsm.wire import AdminCall, Connection, FrameServer, Request, UseCall
from strongroom.hsm.worker._admission import Admission
from strongroom.hsm.worker._health import WorkerHealth
from strongroom.hsm.worker._performer import Performer
from strongroom.hsm.worker._runner import CallRunner


class _Door:
    """One socket: frames of its own kind of calls, all into one runner."""

    def __init__(
        self, runner: CallRunner, connections: set[Connection], calls: Any, admission: Admission | None
    ) -> None:
        self._runner = runner
        self._admission = admission
        self._connections = connections
        self._decoder = msgspec.msgpack.Decoder(list[Request[calls]])

    def made(self, connection: Connection) -> None:
        self._connections.add(connection)

    def received(self, connection: Connection, payload: bytes) -> None:
        self._runner.submit(connection, self._decoder.decode(payload), self._admission)

    def lost(self, connection: Connection) -> None:
        self._connections.discard(connection)  # answers to it are dropped when they are sent


class MemberWorker:
    """Serves one member on a use socket and an admin socket.

    ``broken`` is set when the token met an error that only a new process can cure: whoever runs the worker
    then ends the process, and the main process starts another. ``ended`` is set some time after ``close``, when
    the last call has come to its end and the performer was closed; a call that hangs keeps it from being set.
    With ``admin_pid`` only that process (main) is heard at the admin socket: API processes run as the same user.
    ``admission`` limits the use verbs; those of the admin socket are few, and none of them is to be refused.
    """

    def __init__(
        self,
        performer: Performer,
        *,
        threads: int,
        clock: Clock,
        health: WorkerHealth | None = None,
        admission: Admission | None = None,
        admin_pid: int | None = None,
    ) -> None:
        self._admission = admission
        self._admin_pid = admin_pid
        self._runner = CallRunner(performer, threads=threads, clock=clock, health=health)
        self.broken = self._runner.broken
        self.ended = self._runner.ended
        self._servers: list[FrameServer] = []
        self._connections: set[Connection] = set()

    async def listen(self, use_path: Path, admin_path: Path) -> None:
        """Open both sockets. Raises OSError."""
        doors = ((use_path, UseCall, self._admission, None), (admin_path, AdminCall, None, self._admin_pid))
        for path, calls, admission, only_pid in doors:
            door = partial(_Door, self._runner, self._connections, calls, admission)
            self._servers.append(await FrameServer.listen(path, door, only_pid=only_pid))

    def close(self) -> None:
        """Stop listening, cut callers off so that they move on at once, and let the HSM threads end."""
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            connection.drop()
        self._runner.close()
