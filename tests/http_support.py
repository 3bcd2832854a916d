"""Our own HTTP server on a loopback port, in a thread of the test process; and raw bytes to throw at it."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import NamedTuple

from strongroom.api import HttpConnections, RequestHandler, Timeouts
from strongroom.api._metrics import ApiMetrics


class Serving(NamedTuple):
    """A server that runs."""

    port: int
    connections: HttpConnections
    metrics: ApiMetrics
    loop: asyncio.AbstractEventLoop

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def exchange(self, *chunks: bytes, pause_s: float = 0.0) -> bytes:
        """Send chunks, close our side, and return everything that came back."""
        with self.connect() as sock:
            with contextlib.suppress(ConnectionError):
                for chunk in chunks:
                    sock.sendall(chunk)
                    if pause_s:
                        threading.Event().wait(pause_s)
                with contextlib.suppress(OSError):  # the other side may have reset the connection by now
                    sock.shutdown(socket.SHUT_WR)
            return receive_all(sock)


def receive_all(sock: socket.socket) -> bytes:
    got = b""
    with contextlib.suppress(ConnectionError):
        while data := sock.recv(65536):
            got += data
    return got


def answers(raw: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """Take a stream of HTTP/1.1 answers apart; every byte must belong to one."""
    found = []
    while raw:
        head, separator, rest = raw.partition(b"\r\n\r\n")
        assert separator, f"half a head: {raw!r}"
        first, *lines = head.decode("latin-1").split("\r\n")
        version, status, _ = first.split(" ", 2)
        assert version == "HTTP/1.1"
        if status == "100":
            found.append((100, {}, b""))
            raw = rest
            continue
        headers = dict(line.split(": ", 1) for line in lines)
        length = int(headers["content-length"])
        assert len(rest) >= length, "half a body"
        found.append((int(status), headers, rest[:length]))
        raw = rest[length:]
    return found


@contextlib.contextmanager
def serve(
    handler: RequestHandler,
    *,
    timeouts: Timeouts | None = None,
    max_connections: int = 1000,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Serving]:
    ready = threading.Event()
    running: list[Serving] = []
    stop: list[asyncio.Event] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        metrics = ApiMetrics()
        connections = HttpConnections(
            handler, timeouts=timeouts or Timeouts(), max_connections=max_connections, metrics=metrics
        )
        server = await loop.create_server(connections.protocol, "127.0.0.1", 0, ssl=tls)
        stop.append(asyncio.Event())
        running.append(Serving(server.sockets[0].getsockname()[1], connections, metrics, loop))
        watch = loop.create_task(connections.watch())
        ready.set()
        await stop[0].wait()
        server.close()
        watch.cancel()
        await connections.drain(ask_s=0, limit_s=5)

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert ready.wait(60)
    try:
        yield running[0]
    finally:
        running[0].loop.call_soon_threadsafe(stop[0].set)
        thread.join(60)
        assert not thread.is_alive()
