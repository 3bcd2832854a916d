"""Answers that threads send themselves: whole frames, in turn, to callers that are slow or gone."""

import asyncio
import contextlib
import os
import threading

import msgspec
import pytest

from strongroom.hsm.wire import FrameBuffer, FrameServer

BIG = 60_000  # bytes of a message; a Unix socket takes some 200,000 before its peer reads


class Handler:
    def __init__(self):
        self.connections = asyncio.Queue()
        self.lost_ones = asyncio.Queue()

    def made(self, connection):
        self.connections.put_nowait(connection)

    def received(self, connection, payload):
        raise AssertionError("nobody sends to us")

    def lost(self, connection):
        self.lost_ones.put_nowait(connection)


@contextlib.asynccontextmanager
async def connected(path):
    handler = Handler()
    server = await FrameServer.listen(path, lambda: handler)
    reader, writer = await asyncio.open_unix_connection(str(path), limit=1 << 20)
    try:
        yield await handler.connections.get(), reader, writer, handler
    finally:
        writer.close()
        server.close()


async def read_messages(reader, count):
    frames, messages = FrameBuffer(), []
    while len(messages) < count:
        messages += [msgspec.msgpack.decode(payload) for payload in frames.feed(await reader.read(1 << 16))]
    return messages


def in_thread(work):
    thread = threading.Thread(target=work)
    thread.start()
    return asyncio.to_thread(thread.join)


async def test_frames_of_many_threads_and_of_the_loop_arrive_whole_however_slowly_they_are_read(tmp_path):
    async with connected(tmp_path / "s") as (connection, reader, _, _):
        threads = [
            in_thread(
                lambda name=name: [connection.send_now([name, n, b"x" * BIG]) for n in range(20)],
            )
            for name in range(3)
        ]
        for n in range(20):
            connection.send([3, n, b"y" * BIG])
            await asyncio.sleep(0)
        await asyncio.gather(*threads)
        await asyncio.sleep(0.05)
        messages = await read_messages(reader, 80)
        assert all(len(body) == BIG and set(body) <= {ord("x"), ord("y")} for _, _, body in messages)
        for sender in range(4):
            assert [n for who, n, _ in messages if who == sender] == list(range(20)), "each in its order"


async def test_a_small_frame_needs_no_turn_of_the_loop(tmp_path):
    async with connected(tmp_path / "s") as (connection, _, writer, _):
        sock = writer.get_extra_info("socket")
        thread = threading.Thread(target=connection.send_now, args=("here",))
        thread.start()
        thread.join()  # the loop stands still meanwhile
        assert os.read(sock.fileno(), 100) == b"\x00\x00\x00\x05\xa4here"


async def test_sending_to_a_caller_who_has_gone_does_nothing(tmp_path):
    async with connected(tmp_path / "s") as (connection, _, writer, handler):
        writer.close()
        await handler.lost_ones.get()
        await in_thread(lambda: connection.send_now("too late"))
        connection.send("too late")


@pytest.mark.parametrize("how", ["drop", "peer"])
async def test_no_descriptor_is_left_when_a_connection_ends(tmp_path, how):
    before = len(os.listdir("/proc/self/fd"))  # one name each, no paths
    async with connected(tmp_path / "s") as (connection, _, writer, handler):
        if how == "drop":
            connection.drop()
        else:
            writer.close()
        await handler.lost_ones.get()
    await asyncio.sleep(0.01)
    assert len(os.listdir("/proc/self/fd")) == before
