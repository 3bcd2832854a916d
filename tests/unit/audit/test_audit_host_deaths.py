"""A host that dies again and again: writers, tree, checkpoints and the position of a sink together hold all that was promised."""

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from faults.powerloss import PowerlossLayer
from strongroom.audit import AuditLog, CheckpointFiles, TreeLog, read_entries, verify_log, verify_tree
from strongroom.audit._tree import tree_root
from strongroom.audit._tree_files import TreeFiles
from strongroom.core import SystemClock
from strongroom.shipping import read_record, record_path
from unit.audit.signed_logs import COSIGNER_KEY, KEY, ORIGIN, sign

PROGRAM = Path(__file__).with_name("host_program.py")
_LONG = [pytest.mark.slow, pytest.mark.timeout(3600)]


def _die(directory, run, seconds, environment):
    """Run the host, kill it some time after its first commit; return the ids that it printed."""
    tests = str(PROGRAM.parents[2])
    with subprocess.Popen(
        [sys.executable, str(PROGRAM), str(directory), run],
        stdout=subprocess.PIPE,
        env={**os.environ, **environment, "PYTHONPATH": tests},
    ) as process:
        try:
            first = process.stdout.readline()
            time.sleep(seconds)
        finally:
            process.kill()
        printed = (first + process.stdout.read()).decode()
    return {line.strip() for line in printed.splitlines(keepends=True) if line.endswith("\n")}


def _start_again(directory):
    """Do what the start of a service does with what a death left, up to a checkpoint over all of it."""
    for name in ("api-0", "main"):
        AuditLog.open(directory, name, clock=SystemClock()).close()
    tree = TreeLog(directory, ORIGIN)
    tree.gather(is_last=True)
    sign(tree, at=int(time.time()))
    tree.close()


def _require_whole(directory, told, seen):
    verify_log(directory)
    report = verify_tree(directory, [KEY, COSIGNER_KEY])
    entries = list(read_entries(directory))
    assert told <= {entry.request_id for entry in entries}
    assert report.entries == report.checkpointed == len(entries)
    nodes = TreeFiles(directory).nodes()
    for checkpoint in seen:
        assert tree_root(checkpoint.size, nodes) == checkpoint.root
    return entries


def _require_accepted(directory, entries):
    """Check that the sink's file holds all entries before the position that is kept of it."""
    positions = read_record(record_path(directory, "lines")).positions
    lines = set()
    with contextlib.suppress(FileNotFoundError):
        for line in (directory / "lines.jsonl").read_bytes().splitlines():
            with contextlib.suppress(ValueError):  # cut short
                one = json.loads(line)
                lines.add((one["writer"], one["seq"], one.get("request_id", "")))
    for entry in entries:
        position = positions.get(entry.writer)
        if position is not None and entry.seq < position.sure.seq:
            assert (entry.writer, entry.seq, entry.request_id) in lines


def _die_again_and_again(directory, rounds, layer=None):
    chance, told, seen = random.Random(rounds), set(), []
    for number in range(rounds):
        environment = {} if layer is None else layer.environment()
        told |= _die(directory, f"run-{number}", chance.random() / 2, environment)
        if (kept := CheckpointFiles(directory).last()) is not None:
            seen = [*seen[-5:], kept.checkpoint]
        if layer is not None:
            layer.cut_power(pages=chance if number % 2 else None)
        _start_again(directory)
        _require_accepted(directory, _require_whole(directory, told, seen))
        if layer is not None:
            layer.make_durable()
    checkpoints = sum(1 for _ in CheckpointFiles(directory).read())
    print(f"{rounds} deaths: {len(told)} entries promised, {checkpoints} checkpoints")
    assert len(told) >= rounds
    return told


@pytest.mark.parametrize("rounds", [2, pytest.param(200, marks=_LONG)])
def test_kill_9_of_a_host(tmp_path, rounds):
    _die_again_and_again(tmp_path / "audit", rounds)


@pytest.mark.parametrize(
    ("is_strict", "rounds"),
    [
        pytest.param(True, 3, id="strict"),
        pytest.param(True, 200, id="strict-long", marks=_LONG),
        pytest.param(False, 200, id="ext4-long", marks=_LONG),
    ],
)
def test_power_failures_of_a_host(tmp_path, rounds, is_strict):
    layer = PowerlossLayer(tmp_path / "audit", tmp_path / "shadow", tmp_path / "build", is_strict=is_strict)
    (tmp_path / "audit").mkdir()
    layer.make_durable()
    _die_again_and_again(tmp_path / "audit", rounds, layer)
