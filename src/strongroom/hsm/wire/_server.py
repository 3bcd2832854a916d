"""The listening end of a private Unix socket: mode 0600, same user only, frames in and frames out."""

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast

import msgspec

from strongroom.hsm.wire._client import peer_pid, peer_uid
from strongroom.hsm.wire._frames import FrameBuffer, FrameError, frame


class Connection:
    """One caller's connection, as the one who answers sees it. Belongs to the event loop, but for ``send_now``."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        # A descriptor of our own, which nobody closes while a thread sends. Guarded by the lock, as the two below.
        self._socket = socket.fromfd(
            transport.get_extra_info("socket").fileno(), socket.AF_UNIX, socket.SOCK_STREAM
        )
        self.pid = peer_pid(self._socket)
        """The process that connected, as the kernel says."""
        self._lock = threading.Lock()
        self._on_the_way = 0  # pieces that the event loop is still to write, before anything else
        self._is_over = False

    def send(self, message: object) -> None:
        """Send one frame; without effect when the caller has gone. Raises FrameError when it is too long."""
        framed = frame(msgspec.msgpack.encode(message))
        with self._lock:
            if self._on_the_way:
                self._leave_to_loop(framed)
            elif not self._is_over and not self._transport.is_closing():
                self._transport.write(framed)

    def send_now(self, message: object) -> None:
        """Do what ``send`` does, from any thread, and without waking the event loop where the caller keeps up."""
        framed = frame(msgspec.msgpack.encode(message))
        with self._lock:
            if self._is_over:
                return
            sent = 0
            if not self._on_the_way and not self._transport.get_write_buffer_size():
                try:
                    sent = self._socket.send(framed, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
                except BlockingIOError:
                    sent = 0
                except OSError:
                    return  # the event loop is about to notice that the caller has gone
            if sent < len(framed):
                self._leave_to_loop(framed[sent:])

    def drop(self) -> None:
        """Cut the caller off."""
        self._transport.abort()

    def over(self) -> None:
        """Take notice that the caller has gone."""
        with self._lock:
            self._is_over = True
            self._socket.close()

    def _leave_to_loop(self, data: bytes) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left who could be told
            self._loop.call_soon_threadsafe(self._write, data)
            self._on_the_way += 1

    def _write(self, data: bytes) -> None:
        with self._lock:
            self._on_the_way -= 1
            if not self._is_over and not self._transport.is_closing():
                self._transport.write(data)


class FrameHandler(Protocol):
    """What happens with the frames of a connection."""

    def made(self, connection: Connection) -> None:
        """Take notice of a new caller, whose user id was checked."""
        ...

    def received(self, connection: Connection, payload: bytes) -> None:
        """Take one frame. Raising FrameError or msgspec.MsgspecError cuts the caller off."""
        ...

    def lost(self, connection: Connection) -> None:
        """Take notice that the caller has gone."""
        ...


class _Peer(asyncio.Protocol):
    def __init__(self, handler: FrameHandler, only_pid: int | None) -> None:
        self._handler = handler
        self._only_pid = only_pid
        self._frames = FrameBuffer()
        self._connection: Connection | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast("asyncio.Transport", transport)
        sock = stream.get_extra_info("socket")
        if peer_uid(sock) != os.geteuid() or self._only_pid not in {None, peer_pid(sock)}:
            stream.abort()
            return
        self._connection = Connection(stream)
        self._handler.made(self._connection)

    def data_received(self, data: bytes) -> None:
        if self._connection is None:
            return
        try:
            for payload in self._frames.feed(data):
                self._handler.received(self._connection, payload)
        except (FrameError, msgspec.MsgspecError):
            self._connection.drop()

    def connection_lost(self, _exc: Exception | None) -> None:
        if self._connection is not None:
            self._connection.over()
            self._handler.lost(self._connection)


def _bind(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The mode of the file that bind makes comes from the descriptor's: never open, not even briefly.
        os.fchmod(listener.fileno(), 0o600)
        listener.bind(str(path))
        path.chmod(0o600)
    except OSError:
        listener.close()
        raise
    return listener


class FrameServer:
    """Listens on a Unix socket that only our own user can reach."""

    def __init__(self, server: asyncio.Server, path: Path) -> None:
        self._server = server
        self._path = path

    @classmethod
    async def listen(
        cls, path: Path, make_handler: Callable[[], FrameHandler], *, only_pid: int | None = None
    ) -> "FrameServer":
        """Listen at ``path``; a socket left there by a process that died is replaced.

        With ``only_pid`` callers of every other process are cut off, though they run as the same user.
        Raises OSError when the path is too long (107 bytes, unix(7)) or its folder is absent.
        """
        listener = _bind(path)
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(lambda: _Peer(make_handler(), only_pid), sock=listener)
        return cls(server, path)

    def close(self) -> None:
        """Stop listening and remove the socket."""
        self._server.close()
        self._path.unlink(missing_ok=True)
