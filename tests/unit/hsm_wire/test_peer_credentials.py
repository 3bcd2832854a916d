"""Both ends refuse a peer of another user, even where the file modes let it through."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from strongroom.core import MemberFailedError
from strongroom.hsm.wire import FrameServer, WireClient

NOBODY = 65534
CONNECT = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
end = socket.socket(socket.AF_UNIX); end.settimeout(60)
try:
    end.connect(sys.argv[1])
except PermissionError:
    print("refused by the file mode")
else:
    try:
        print("cut off" if end.recv(1) == b"" else "answered")
    except ConnectionResetError:
        print("cut off")
"""
LISTEN = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
end = socket.socket(socket.AF_UNIX)
end.bind(sys.argv[1]); end.listen()
print("listening", flush=True)
sys.stdin.read()
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def open_folder():
    """A folder that everybody may enter and write to; pytest's own are closed to other users."""
    folder = Path(tempfile.mkdtemp(prefix="peer-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


async def as_nobody(program, path):
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(path), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


@pytest.mark.parametrize(
    ("mode", "outcome"), [(0o600, b"refused by the file mode"), (0o666, b"cut off")], ids=["closed", "opened"]
)
async def test_a_caller_of_another_user_is_refused_by_the_mode_and_by_its_credentials(
    open_folder, peer, mode, outcome
):
    path = open_folder / "s"
    server = await FrameServer.listen(path, lambda: peer)
    path.chmod(mode)
    try:
        process = await as_nobody(CONNECT, path)
        said, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        server.close()
    assert said.strip() == outcome
    assert peer.connection is None


async def test_a_client_does_not_speak_to_a_worker_of_another_user(open_folder):
    path = open_folder / "s"
    process = await as_nobody(LISTEN, path)
    try:
        await asyncio.wait_for(process.stdout.readline(), 60)
        with pytest.raises(MemberFailedError, match="another user"):
            await WireClient.connect(path)
    finally:
        process.kill()
        await process.wait()
