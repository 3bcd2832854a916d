"""What fails in the express lane where nothing should: nobody gets two answers, and nobody waits for one in vain."""

import asyncio

import pytest

from express_support import warm
from strongroom.api._connection import HttpConnection


class Kept(asyncio.Transport):
    """Keeps what is written, and sets an event."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.has_written = asyncio.Event()

    def write(self, data):
        self.written += data
        self.has_written.set()

    def is_closing(self):
        return False


@pytest.fixture
async def failures():
    """What the event loop was told of."""
    told = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: told.append(context["exception"]))
    yield told
    loop.set_exception_handler(None)


async def test_a_failure_after_the_entries_were_handed_over_gives_one_answer(
    lane, bench, key_id, monkeypatch
):
    def fail(*_asked):
        raise RuntimeError

    async with lane.serving() as connect:
        client = await connect()
        await warm(client, lane, key_id)
        with monkeypatch.context() as patched:
            patched.setattr(bench.keyring.last_uses, "note", fail)
            status, _, document = await client.ask(lane.encrypt(key_id))
            assert (status, document["__type"]) == (500, "KMSInternalException")
            await bench.audit.record("refusal", "kms.Encrypt", outcome="x")  # durable after all before it
        status, headers, _ = await client.ask(lane.encrypt(key_id))
        assert (status, headers["x-amzn-requestid"]) == (200, bench.entries()[-1].request_id)


async def test_a_connection_that_fails_in_the_lane_takes_nobody_with_it(lane, key_id, monkeypatch, failures):
    take_back = HttpConnection.take_back

    def fail(connection):
        if connection is broken:
            raise RuntimeError
        take_back(connection)

    async with lane.serving() as connect:
        client = await connect()
        await warm(client, lane, key_id)
        broken, sound = client.connections.protocol(), client.connections.protocol()
        transports = [Kept(), Kept()]
        for connection, transport in zip((broken, sound), transports, strict=True):
            connection.connection_made(transport)
        try:
            with monkeypatch.context() as patched:
                patched.setattr(HttpConnection, "take_back", fail)
                broken.data_received(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                sound.data_received(lane.encrypt(key_id))
                async with asyncio.timeout(20):
                    await transports[1].has_written.wait()
            assert b"200 OK" in transports[1].written
            assert [type(failure) for failure in failures] == [RuntimeError]
        finally:
            for connection in (broken, sound):
                connection.connection_lost(None)
