"""docs/walkthrough-decrypt.md tells what the code does: a traced cold Decrypt takes its steps in its order."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from running_service import copy_home

DOC = Path(__file__).parents[2] / "docs" / "walkthrough-decrypt.md"
STEP = re.compile(r"^\d+\. `([\w/]+\.py)` `([\w.]+)`", re.MULTILINE)
# The order in which DESIGN's rooms are entered for the first time.
ROOMS = [
    "api",
    "service",
    "keyring",
    "hsm/cluster",
    "hsm/wire",
    "hsm/worker",
    "hsm/token",
    "hsm/cryptoki",
    "audit",
]


@pytest.fixture(scope="module")
def traced(initialised_home: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    home = copy_home(initialised_home, tmp_path_factory.mktemp("walk") / "home")
    script = Path(__file__).with_name("cold_decrypt.py")
    with tempfile.TemporaryDirectory() as sockets:
        run = subprocess.run(
            [sys.executable, str(script), str(home.root), sockets],
            env={**os.environ, "SOFTHSM2_CONF": str(home.tokens / "alpha.conf")},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert run.returncode == 0, run.stderr
    return [(path, name) for path, name in json.loads(run.stdout)]


def test_the_steps_are_taken_in_the_order_of_the_page(traced: list[tuple[str, str]]) -> None:
    steps = STEP.findall(DOC.read_text())
    assert len(steps) == 25
    at = 0
    for step in steps:
        assert step in traced[at:], f"{step} does not come after the step before it"
        at = traced.index(step, at)


def test_the_steps_enter_the_rooms_in_the_order_of_the_design() -> None:
    entered: list[str] = []
    for path, _ in STEP.findall(DOC.read_text()):
        parts = path.split("/")
        room = "/".join(parts[:2]) if parts[0] == "hsm" else parts[0]
        if room in ROOMS and room not in entered:
            entered.append(room)
    assert entered == ROOMS
