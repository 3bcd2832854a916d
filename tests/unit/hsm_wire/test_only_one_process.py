"""A socket that hears one process alone cuts off every other one of the same user."""

import asyncio
import os
import subprocess
import sys

import pytest

from strongroom.core import MemberFailedError
from strongroom.hsm.wire import FrameServer, Ping, WireClient

CONNECT = """
import socket, sys
end = socket.socket(socket.AF_UNIX); end.settimeout(60)
end.connect(sys.argv[1])
try:
    print("cut off" if end.recv(1) == b"" else "answered")
except ConnectionResetError:
    print("cut off")
"""


class Counting:
    """A handler that counts who was let in."""

    def __init__(self):
        self.made_count = 0

    def made(self, connection):
        self.made_count += 1

    def received(self, connection, payload):
        raise AssertionError("nobody says anything here")

    def lost(self, connection):
        pass


@pytest.mark.parametrize("only_pid", [None, "ours"])
async def test_another_process_is_let_in_only_where_all_are(tmp_path, only_pid):
    handler = Counting()
    only_pid = os.getpid() if only_pid else None
    server = await FrameServer.listen(tmp_path / "door", lambda: handler, only_pid=only_pid)
    client = await WireClient.connect(tmp_path / "door")
    try:
        while handler.made_count == 0:
            await asyncio.sleep(0.005)
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CONNECT, str(tmp_path / "door"), stdout=subprocess.PIPE
        )
        if only_pid is None:
            while handler.made_count == 1:
                await asyncio.sleep(0.005)
            child.kill()
            await child.wait()
        else:
            said, _ = await child.communicate()
            assert said.strip() == b"cut off"
            assert handler.made_count == 1
    finally:
        client.close()
        server.close()


async def test_whoever_is_not_the_one_process_loses_the_connection_before_a_word(tmp_path):
    server = await FrameServer.listen(tmp_path / "door", Counting, only_pid=1)
    client = await WireClient.connect(tmp_path / "door")
    try:
        with pytest.raises(MemberFailedError):
            await client.call(Ping(), timeout_s=10)
    finally:
        client.close()
        server.close()
