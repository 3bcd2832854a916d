"""kill -9 at random moments: what was committed is there, and the log is sound."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from strongroom.audit import read_entries, verify_log

_WRITER = Path(__file__).with_name("crash_writer.py")


def _killed_run(directory, run, seconds):
    """Start a writer, kill it some time after its first commit, return the ids that it printed."""
    with subprocess.Popen(
        [sys.executable, str(_WRITER), str(directory), run], stdout=subprocess.PIPE
    ) as process:
        try:
            first = process.stdout.readline()
            time.sleep(seconds)
        finally:
            process.kill()
        printed = (first + process.stdout.read()).decode()
    return [line.strip() for line in printed.splitlines(keepends=True) if line.endswith("\n")]


def _crash(directory, rounds):
    committed = []
    for number in range(rounds):
        ids = _killed_run(directory, f"run-{number}", random.uniform(0, 0.04))
        assert ids
        committed += ids
        verify_log(directory)
    return committed


def _check(directory, committed):
    present = [entry.request_id for entry in read_entries(directory)]
    assert set(committed) <= set(present)
    assert len(present) == len(set(present)) + max(0, present.count("") - 1)  # log.recovered has no id


def test_nothing_committed_is_lost_by_kill_9(tmp_path):
    _check(tmp_path, _crash(tmp_path, rounds=12))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nothing_committed_is_lost_by_200_times_kill_9(tmp_path):
    _check(tmp_path, _crash(tmp_path, rounds=200))
