"""Folders that are short enough for sockets, and a keeper that looks often and has patience."""

import shutil
import tempfile
from pathlib import Path

import pytest

from fakes_runtime import KeptMember
from strongroom.hsm.cluster import RemoteMember
from strongroom.hsm.wire import FrameServer
from strongroom.runtime import _restart_pauses, _watch

PATIENT_S = 60.0
"""What a worker that is well may take to answer: this process may stand still for seconds. Who tests silence says less."""


@pytest.fixture
def short_folder():
    folder = Path(tempfile.mkdtemp(prefix="sr-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
async def kept(short_folder, monkeypatch):
    for name, seconds in {
        "_PING_EVERY_S": 0.02,
        "_PING_LIMIT_S": PATIENT_S,
        "_SUSPECT_PING_LIMIT_S": PATIENT_S,
        "_END_NOTICE_S": 0.05,
        "_PROOF_LIMIT_S": PATIENT_S,
    }.items():
        monkeypatch.setattr(_watch, name, seconds)
    monkeypatch.setattr(_restart_pauses, "_FIRST_PAUSE_S", 0.002)
    made = KeptMember(short_folder)

    async def ping(member, *, deadline):
        return await made.ping(member, deadline=deadline)

    monkeypatch.setattr(RemoteMember, "ping", ping)
    yield made
    await made.stop()


class Silent:
    """Takes whatever it is sent and never answers."""

    made = lost = staticmethod(lambda _connection: None)
    received = staticmethod(lambda _connection, _payload: None)


@pytest.fixture
async def silent(kept):
    """Replaces the worker's socket by one that never answers, as that of a stopped process."""
    servers = []

    async def replace():
        path = kept.worker.use_path
        servers.append(await FrameServer.listen(path, Silent))
        kept.keeper.member.close()

    yield replace
    for server in servers:
        server.close()
