"""The audit log under the power-loss layer: what was committed is there, and nobody has to mend anything."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from faults.powerloss_programs import kill_and_cut, python_command, run_and_cut
from strongroom.audit import AuditLog, inspect_log, read_entries, verify_log
from strongroom.audit._format import HEADER_BYTES
from strongroom.audit._segments import KEPT_BYTES
from strongroom.core import SystemClock

_CRASH_WRITER = Path(__file__).parents[1] / "unit" / "audit" / "crash_writer.py"
both = pytest.mark.parametrize("layer", ["default", "strict"], indirect=True)


@both
def test_the_audit_log_keeps_every_committed_entry(layer, root):
    committed = []
    for number in range(3):
        command = [sys.executable, str(_CRASH_WRITER), str(root / "audit"), f"run-{number}"]
        committed += kill_and_cut(layer, command, 0.15)
        verify_log(root / "audit")
    assert set(committed) <= {entry.request_id for entry in read_entries(root / "audit")}


_DIES_BEFORE_A_SYNC = """
import runpy, signal
sync_really, write_really, left, written = os.fdatasync, os.pwrite, int(sys.argv.pop(1)), 0
def write(fd, data, offset):
    global written
    written += len(bytes(data).rstrip(bytes(1)))  # not the zeros that are written ahead
    return write_really(fd, data, offset)
def sync(fd):
    global left, written
    left -= written > 2 * 4096
    written = 0
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    sync_really(fd)
os.fdatasync, os.pwrite = sync, write
runpy.run_path(sys.argv.pop(1))
"""


def _die_before_a_sync(layer, run, nth):
    """Write an audit log with 64 tasks and die when a group of several pages, the nth, is written and not synced.

    Returns what was committed before.
    """
    command = [
        *python_command(_DIES_BEFORE_A_SYNC),
        str(nth),
        str(_CRASH_WRITER),
        str(layer.root / "audit"),
        run,
        "64",
    ]
    environment = {**os.environ, **layer.environment()}
    done = subprocess.run(
        command, cwd=layer.root, env=environment, stdout=subprocess.PIPE, check=False, timeout=60
    )
    assert done.returncode == -signal.SIGKILL
    return done.stdout.decode().split()


def test_the_audit_log_heals_by_itself_whatever_pages_of_its_last_group_survive(layer, root):
    committed, was_out_of_order = [], False
    for seed in range(6):
        committed += _die_before_a_sync(layer, f"run-{seed}", nth=1 + seed % 4)
        layer.cut_power(pages=random.Random(seed))
        was_out_of_order |= bool(inspect_log(root / "audit").problems)
        AuditLog.open(root / "audit", "main", clock=SystemClock()).close()
        layer.make_durable()
        report = verify_log(root / "audit")
        assert set(committed) <= {entry.request_id for entry in read_entries(root / "audit")}
    assert was_out_of_order
    assert any(".torn keeps them" in str(warning) for warning in report.warnings)


def test_entries_that_a_killed_process_never_synced_outlive_the_segment_that_builds_on_them(layer, root):
    _die_before_a_sync(layer, "run", nth=2)
    n_entries = len(
        list(read_entries(root / "audit"))
    )  # no power was lost: all of them are in the kernel's cache
    program = """
    from strongroom.audit import AuditLog
    from strongroom.core import SystemClock
    AuditLog.open(Path("audit"), "main", clock=SystemClock()).close()
    """
    run_and_cut(layer, program)
    assert verify_log(root / "audit").entries == n_entries


def test_an_audit_log_that_did_not_sync_would_be_found_out(layer, root):
    empty = HEADER_BYTES + KEPT_BYTES
    program = f"""
    import runpy
    sync_really = os.fdatasync
    os.fdatasync = lambda fd: sync_really(fd) if os.fstat(fd).st_size == {empty} else None  # without any entry
    runpy.run_path(sys.argv.pop(1))
    """
    command = [*python_command(program), str(_CRASH_WRITER), str(root / "audit"), "run"]
    assert kill_and_cut(layer, command, 0.05)  # these were reported, and this is what is left of them:
    left = (root / "audit/wal/main/00000001.wal").read_bytes()
    assert (len(left), left[HEADER_BYTES:]) == (empty, bytes(KEPT_BYTES))
