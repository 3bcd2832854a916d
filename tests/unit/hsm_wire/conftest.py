"""A peer whose every frame and answer the test decides, and clients that are closed."""

import asyncio

import msgspec
import pytest

from strongroom.hsm.wire import FrameServer, Reply, Request, UseCall, WireClient, failure_from


class Peer:
    """A server that keeps the frames it gets and answers when it is told to."""

    def __init__(self, path):
        self.path = path
        self.frames = []
        self.came = asyncio.Condition()
        self.connection = None
        self.server = None
        self._notices = set()

    def made(self, connection):
        self.connection = connection

    def received(self, _connection, payload):
        self.frames.append(msgspec.msgpack.decode(payload, type=list[Request[UseCall]]))
        notice = asyncio.ensure_future(self._tell())
        self._notices.add(notice)
        notice.add_done_callback(self._notices.discard)

    def lost(self, _connection):
        self.connection = None

    async def _tell(self):
        async with self.came:
            self.came.notify_all()

    @property
    def requests(self):
        return [request for frame in self.frames for request in frame]

    async def requests_after(self, n_calls):
        """Wait until so many calls have come."""
        async with asyncio.timeout(60), self.came:
            await self.came.wait_for(lambda: len(self.requests) >= n_calls)
        return self.requests

    def answer(self, *requests, result=b"", error=None):
        """Answer in one frame; ``result`` may be a function of the request."""
        value = result if callable(result) else lambda _: result
        failure = None if error is None else failure_from(error)
        replies = [
            Reply(request.id, msgspec.Raw(msgspec.msgpack.encode(value(request))), failure)
            for request in requests
        ]
        self.connection.send(replies)


@pytest.fixture
async def peer(tmp_path):
    peer = Peer(tmp_path / "p")
    peer.server = await FrameServer.listen(peer.path, lambda: peer)
    yield peer
    peer.server.close()
    async with asyncio.timeout(60):
        while peer.connection is not None:
            peer.connection.drop()
            await asyncio.sleep(0.001)
        await asyncio.gather(*peer._notices)


@pytest.fixture
async def client(peer):
    client = await WireClient.connect(peer.path)
    yield client
    client.close()
