"""What the tests of the express lane share: a whole service behind HTTP in the test's own event loop, signed requests as bytes."""

import asyncio
import base64
import contextlib
import json

from api_support import ACCOUNT, Health
from fakes_service import EVERYTHING, ServiceBench
from strongroom.api import Handler, HttpConnections, Timeouts, sign_request
from strongroom.core import Secret
from strongroom.service import Credential

REGION = "eu-central-1"
SECRET = b"express-secret"


class Lane:
    """A handler with its lane over a ServiceBench; ``rides`` tells how many requests the lane did."""

    def __init__(self, bench: ServiceBench) -> None:
        self.bench = bench
        bench.service.take_credentials({"AKIATEST": Credential("AKIATEST", EVERYTHING, Secret(SECRET))})
        self.handler = Handler(bench.service, Health(), clock=bench.clock, account_id=ACCOUNT)
        self.rides = 0
        record_uses = bench.service.record_uses

        def counted(entries, decided):
            self.rides += len(entries)
            record_uses(entries, decided)

        bench.service.record_uses = counted

    def headers(self, operation, body, *, secret=SECRET, region=REGION, extra=()):
        signed = sign_request(
            method="POST", path="/", host="localhost:8443", body=body, region=region, clock=self.bench.clock,
            access_key_id="AKIATEST", secret_access_key=Secret(secret),
            headers={
                "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"TrentService.{operation}", **dict(extra)
            },
        )  # fmt: skip
        return [*signed.items(), ("Content-Length", str(len(body)))]

    def request(self, operation, members, **options):
        """A signed request as an SDK sends it; ``members`` may be bytes."""
        body = members if isinstance(members, bytes) else json.dumps(members).encode()
        lines = [f"{name}: {value}\r\n" for name, value in self.headers(operation, body, **options)]
        return b"POST / HTTP/1.1\r\n" + "".join(lines).encode() + b"\r\n" + body

    def encrypt(self, key_id, plaintext=b"some data", **more):
        return self.request(
            "Encrypt", {"KeyId": key_id, "Plaintext": base64.b64encode(plaintext).decode(), **more}
        )

    @contextlib.asynccontextmanager
    async def serving(self, timeouts=None):
        connections = HttpConnections(self.handler, lane=self.handler.lane, timeouts=timeouts or Timeouts())
        server = await asyncio.get_running_loop().create_server(connections.protocol, "127.0.0.1", 0)
        opened = []

        async def connect():
            opened.append(await asyncio.open_connection(*server.sockets[0].getsockname()))
            return Client(*opened[-1], connections)

        try:
            yield connect
        finally:
            for _, writer in opened:
                writer.transport.abort()
            server.close()
            await connections.drain(ask_s=0, limit_s=5)


class Client:
    """One connection; answers are read in order."""

    def __init__(self, reader, writer, connections) -> None:
        self.reader, self.writer, self.connections = reader, writer, connections

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self):
        """Return status, headers and document of the next answer; fails after 20 s."""
        async with asyncio.timeout(20):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.split(": ", 1) for line in head[1:-2])
            body = await self.reader.readexactly(int(headers["content-length"]))
        return int(head[0].split(" ")[1]), headers, json.loads(body or b"null")

    async def ask(self, data):
        await self.send(data)
        return await self.answer()


async def warm(client, lane, key_id):
    """Let the signer and its way of writing headers be known."""
    for _ in range(2):
        status, _, _ = await client.ask(lane.encrypt(key_id))
        assert status == 200
    assert lane.rides == 1
