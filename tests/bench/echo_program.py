"""A server that only answers with what it was sent: what the HTTP server alone costs.

    python -m bench.echo_program uvicorn|protocol PORT

``uvicorn`` is uvicorn with httptools and uvloop around a bare ASGI application; ``protocol`` is an
asyncio.Protocol with httptools on uvloop, the least that Python can do. Several of them may share a port.
"""

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import httptools
import uvloop

Message = MutableMapping[str, Any]


async def _application(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    body = b""
    is_whole = False
    while not is_whole:
        message = await receive()
        body += message.get("body", b"")
        is_whole = not message.get("more_body", False)
    headers = [
        (b"content-type", b"application/x-amz-json-1.1"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class _Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: %d\r\n\r\n"
        self._transport.write(head % len(self._body) + self._body)  # type: ignore[attr-defined]
        self._body = b""


def _listener(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(2048)
    listener.setblocking(False)
    return listener


def _serve_by_uvicorn(listener: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(
        _application, http="httptools", loop="uvloop", ws="none", lifespan="off", log_config=None,
        access_log=False, proxy_headers=False, server_header=False, date_header=False,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[listener])


async def _serve_by_protocol(listener: socket.socket) -> None:
    server = await asyncio.get_running_loop().create_server(_Echo, sock=listener)
    await server.serve_forever()


def main() -> None:
    """Serve until killed."""
    kind, port = sys.argv[1], int(sys.argv[2])
    if kind == "uvicorn":
        _serve_by_uvicorn(_listener(port))
    else:
        uvloop.run(_serve_by_protocol(_listener(port)))


if __name__ == "__main__":
    main()
