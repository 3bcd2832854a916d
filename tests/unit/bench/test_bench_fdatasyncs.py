"""Counting fdatasync, leaving it out, and what it costs alone."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.fdatasyncs import disk_cost, filesystem_of, injected, percentile, probe_disk, read_counts

PROGRAM = "import os, sys; fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT); [os.fdatasync(fd) for _ in range(3)]"
BROKEN = "import os; os.fdatasync(-1)"


def _python(environment, *arguments):
    return subprocess.run(
        [sys.executable, "-c", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("mode", ["count", "skip"])
def test_calls_of_all_processes_are_counted(tmp_path, mode):
    folder = tmp_path / "counts"
    environment = injected(mode, folder, os.environ.get("PYTHONPATH", ""))
    assert read_counts(folder).calls == 0
    for name in ("one", "two"):
        assert _python(environment, PROGRAM, str(tmp_path / name)).returncode == 0
    counted = read_counts(folder)
    assert counted.calls == 6
    assert counted.since(counted).calls == 0
    assert counted.seconds >= 0


def test_what_is_left_out_does_not_reach_the_system(tmp_path):
    assert _python(injected("count", tmp_path / "count", ""), BROKEN).returncode == 1
    assert _python(injected("skip", tmp_path / "skip", ""), BROKEN).returncode == 0


def test_a_process_that_is_not_measured_is_left_alone(tmp_path):
    environment = {**injected("skip", tmp_path / "skip", ""), "STRONGROOM_BENCH_FDATASYNC": ""}
    assert _python(environment, BROKEN).returncode == 1


def test_the_probe_leaves_nothing_behind(tmp_path):
    taken = probe_disk(tmp_path, seconds=0.02)
    cost = disk_cost(tmp_path, taken)
    assert list(tmp_path.iterdir()) == []
    assert cost.calls == len(taken) >= 1
    assert 0 <= cost.p50_ms <= cost.p99_ms


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.001, 1))
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(values, share):
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    assert sum(value < found for value in values) < share * len(values) + 1e-9


def test_percentiles_of_a_hundred_values_are_those_values():
    values = [float(number) for number in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.99, 1.0)] == [50.0, 99.0, 100.0]


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 0.0), ([1.0], 1.1)])
def test_a_percentile_of_nothing_is_refused(values, share):
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, share)


def test_the_innermost_mount_names_the_file_system(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/root / ext4 rw 0 0\ntmpfs {tmp_path} tmpfs rw 0 0\n/dev/x {tmp_path}/with\\040blank xfs rw 0 0\n"
    )
    (tmp_path / "with blank").mkdir()
    assert filesystem_of(tmp_path, mounts) == "tmpfs"
    assert filesystem_of(tmp_path / "with blank", mounts) == "xfs"
