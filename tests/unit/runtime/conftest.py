"""Folders that are short enough for sockets, and a keeper that is in a hurry."""

import shutil
import tempfile
from pathlib import Path

import pytest

from fakes_runtime import KeptMember
from strongroom.runtime import _keeper, _watch


@pytest.fixture
def short_folder():
    folder = Path(tempfile.mkdtemp(prefix="sr-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
async def kept(short_folder, monkeypatch):
    for name, seconds in {
        "_PING_EVERY_S": 0.02,
        "_PING_LIMIT_S": 0.5,
        "_SUSPECT_PING_LIMIT_S": 0.1,
        "_END_NOTICE_S": 0.05,
        "_PROOF_LIMIT_S": 0.2,
    }.items():
        monkeypatch.setattr(_watch, name, seconds)
    monkeypatch.setattr(_keeper, "_FIRST_PAUSE_S", 0.002)
    made = KeptMember(short_folder)
    yield made
    await made.stop()
