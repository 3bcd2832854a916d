"""Verification takes constant memory: the whole of it, chains, tree and checkpoints."""

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from large_audit_log import make_large_log
from strongroom.audit import inspect_log, verify_tree
from unit.audit.signed_logs import COSIGNER_KEY, KEY

MILLION = 1_000_000
SMALL_MIB = 64
"""What the interpreter, the modules and all buffers may take together."""


def _verified(directory):
    assert inspect_log(directory).problems == ()
    return verify_tree(directory, [KEY, COSIGNER_KEY])


def test_four_times_the_entries_take_no_more_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fdatasync", lambda _fd: None)
    monkeypatch.setattr(os, "fsync", lambda _fd: None)
    peaks = []
    for count in (1_500, 6_000):
        directory = tmp_path / str(count)
        make_large_log(directory, count, segment_bytes=200_000)
        tracemalloc.start()
        report = _verified(directory)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (report.entries, report.checkpointed, report.warnings) == (count, count, ())
    assert peaks[1] < 1.2 * peaks[0] + 100_000


_CHECK = """
import sys, time
from pathlib import Path
from strongroom.audit import CheckpointFiles, inspect_log, verify_tree
directory = Path(sys.argv[1])
began = time.process_time()
problems = inspect_log(directory).problems
report = verify_tree(directory, CheckpointFiles(directory).keys())
seconds = time.process_time() - began
print(len(problems), report.entries, report.checkpointed, len(report.warnings))
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(int(peak.split()[1]) // 1024, "MiB,", f"{report.entries / seconds:,.0f} a second of one core")
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_million_entries_are_verified_in_little_memory(tmp_path):
    script = Path(__file__).parents[2] / "large_audit_log.py"
    environment = {**os.environ, "PYTHONPATH": str(script.parent)}
    subprocess.run([sys.executable, script, tmp_path, str(MILLION)], env=environment, check=True)
    told = subprocess.run(
        [sys.executable, "-c", _CHECK, tmp_path], capture_output=True, text=True, check=True
    ).stdout.split("\n")
    print(told[1])
    assert told[0] == f"0 {MILLION} {MILLION} 0"
    assert int(told[1].split()[0]) < SMALL_MIB
