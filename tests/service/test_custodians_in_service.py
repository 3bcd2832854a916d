"""Custodians on a whole service: challenged, proved, and missed, as commands, log, metrics and audit log tell."""

import asyncio
import json
import os
import subprocess
import sys
import time

import pytest

from held_sets import make_set, put_set
from running_service import RunningService, copy_home
from strongroom.audit import read_entries
from strongroom.core import SystemClock
from strongroom.storage import Store

pytestmark = [pytest.mark.softhsm, pytest.mark.slow]
MADE = make_set()


@pytest.fixture
def home(initialised_home, tmp_path):
    copied = copy_home(initialised_home, tmp_path / "home")
    with Store.open(copied.database) as store:
        asyncio.run(put_set(store, MADE, at=SystemClock().now()))
    return copied


def strongroom(service, folder, *arguments, words=None):
    return subprocess.run(
        [sys.executable, "-m", "strongroom", *arguments, "--json"],
        cwd=folder,
        env={**os.environ, "STRONGROOM_HOME": str(service.home.root), "STRONGROOM_PORT": str(service.port)},
        input=words,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def eventually(holds):
    until = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.2)


def test_a_year_in_the_life_of_custodians(home, tmp_path):
    with RunningService(home) as service:
        service.start()
        done = strongroom(service, tmp_path, "custodians", "challenge")
        assert done.returncode == 0, done.stderr
        made = json.loads(done.stdout)
        assert [one["custodian"] for one in made] == list(MADE.shares)
        words = " ".join(MADE.shares["anna"].words)
        prove = ("share", "prove", "-", "--challenge-file", "anna.challenge")
        proved = strongroom(service, tmp_path, *prove, words=words)
        assert proved.returncode == 0, proved.stderr
        recorded = strongroom(service, tmp_path, "custodians", "record-proof", "anna.proof")
        assert json.loads(recorded.stdout) == {"custodian": "anna"}
        for name in ("dora", "emil"):
            strongroom(service, tmp_path, "custodians", "left", name, "--because", "another company")
        assert strongroom(service, tmp_path, "custodians", "list").returncode == 1
        assert len(service.events("custodians.too_few")) == 1
        eventually(lambda: "strongroom_custodians_too_few 1" in service.get("/metrics"))
        assert "strongroom_custodians_counted 3" in service.get("/metrics")
        assert " ".join(words.split()[:5]) not in service.log()
    told = [entry.event for entry in read_entries(home.audit) if entry.event.startswith("custodian")]
    assert told.count("custodian.Challenge") == 10
    assert told.count("custodian.RecordProof") == 2
    assert told.count("custodian.Left") == 4
    assert told.count("custodians.too_few") == 1
