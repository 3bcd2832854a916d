"""A service that is killed while it makes and destroys keys on real tokens loses none and leaves none behind."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from running_service import copy_home
from strongroom.wiring.home import remove_runtime_folder

pytestmark = pytest.mark.softhsm

PROGRAM = Path(__file__).with_name("replicating_program.py")


@pytest.fixture
def home(initialised_home, tmp_path):
    made = copy_home(initialised_home, tmp_path / "home")
    yield made
    remove_runtime_folder(made)


def killed_run(home, after_s):
    """Run the program, kill it a while after it is ready, and return what it said."""
    process = subprocess.Popen(
        [sys.executable, PROGRAM, home.root, "make"],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    said = []
    try:
        assert process.stdout.readline().strip() == "ready"
        os.set_blocking(process.stdout.fileno(), True)
        killer = time.monotonic() + after_s
        while time.monotonic() < killer:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        said = process.stdout.read().splitlines()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    return [line.split() for line in said if len(line.split()) == 2]


def looked_at(home):
    done = subprocess.run(
        [sys.executable, PROGRAM, home.root, "check"],
        stdout=subprocess.PIPE,
        text=True,
        timeout=100,
        check=True,
    )
    return json.loads(done.stdout)


def go_through(home, kills):
    made, destroying, destroyed = set(), set(), set()
    for _ in range(kills):
        for word, key in killed_run(home, random.uniform(0.05, 0.8)):
            {"made": made, "destroying": destroying, "destroyed": destroyed}[word].add(key)
    found = looked_at(home)
    active = set(found["active"])
    assert made - destroying <= active  # no acknowledged key is lost
    assert not destroyed & active  # no destroyed key is back
    assert destroyed <= set(found["destroyed"])
    assert found["pending"] == 0
    assert found["held"] == {"alpha": found["active"], "beta": found["active"]}
    assert found["strange"] == {"alpha": [], "beta": []}
    return made


def test_killed_once(home):
    go_through(home, 1)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_again_and_again(home):
    assert len(go_through(home, 25)) > 5, "hardly a key was made: it shows little"
