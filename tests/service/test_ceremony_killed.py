"""A ceremony as a process that is killed (SIGKILL) behind entries of its transcript and within its steps, and goes on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fakes_ceremony import LEDGER
from strongroom.ceremony import CeremonyType, Ended, Resumed, example_script, verify_ceremony

_TESTS = Path(__file__).parents[1]
LAST = 40
"""Entries of the transcript of a rehearsal that nothing interrupts; behind the last there is nothing to go on with."""
EFFECTS = ["make-set", "create", "test", "retire"]


def _rehearse(world: Path, *stop: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "ceremony_in_memory", str(world), *stop, "--"]
    return subprocess.run(
        [
            *command,
            "ceremony",
            "rehearse",
            str(world / "script.yaml"),
            "--folder",
            str(world / "ceremony"),
            "--unattended",
        ],
        env={**os.environ, "PYTHONPATH": f"{_TESTS}:{_TESTS.parent / 'src'}"},
        capture_output=True,
        timeout=100,
        check=False,
    )


def _killed(world: Path, stop: str) -> None:
    died = _rehearse(world, "--stop", stop)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()


def _world(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "script.yaml").write_bytes(example_script(CeremonyType.RESHARE))
    return folder


def _require_whole(world: Path) -> int:
    """Have it end, check that no effect was lost or repeated; return how often it was resumed."""
    done = _rehearse(world)
    assert done.returncode == 0, done.stderr.decode()
    assert (world / LEDGER).read_text().split() == ['"members"', *(f'"{step}"' for step in EFFECTS)]
    entries = verify_ceremony(world / "ceremony").transcript.entries
    assert isinstance(entries[-1], Ended)
    return sum(isinstance(entry, Resumed) for entry in entries)


def test_a_process_that_is_killed_again_and_again_ends_its_ceremony_with_each_effect_once(
    tmp_path: Path,
) -> None:
    world = _world(tmp_path)
    for stop in ("entry:0", "entry:10", "after make-set", "before create", "entry:27"):
        _killed(world, stop)
    assert _require_whole(world) == 5


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_process_that_is_killed_behind_any_entry_goes_on(tmp_path: Path) -> None:
    number = 0
    while True:
        world = _world(tmp_path / str(number))
        if _rehearse(world, "--stop", f"entry:{number}").returncode == 0:
            break
        resumed = _require_whole(world)
        number += 1
        assert resumed == (number < LAST), number - 1
    assert number == LAST


@pytest.mark.slow
@pytest.mark.parametrize("step", ["members", *EFFECTS])
@pytest.mark.parametrize("place", ["before", "after"])
def test_a_process_that_is_killed_within_a_step_goes_on(tmp_path: Path, step: str, place: str) -> None:
    world = _world(tmp_path)
    _killed(world, f"{place} {step}")
    _require_whole(world)
