"""Processes that the benchmark owns: they end with it, however it ends; and what they cost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.measure import processor_times
from bench.processes import OwnedProcess, command_line, processes_below
from strongroom.bench import BenchError, describe_machine

TESTS = Path(__file__).parents[2]
ENVIRONMENT = {"PATH": os.environ["PATH"]}


def _is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _gone_within(pid, seconds):
    until = time.monotonic() + seconds
    while _is_alive(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not _is_alive(pid)


def _runs_within(pid, command, seconds):
    """Wait until it is what was asked for: before that it is setpriv, which has not asked to die with us yet."""
    until = time.monotonic() + seconds
    while not command_line(pid).startswith(command) and time.monotonic() < until:
        time.sleep(0.01)
    return command_line(pid).startswith(command)


def test_it_runs_from_entry_to_exit(tmp_path):
    with OwnedProcess(["sleep", "60"], environment=ENVIRONMENT, log=tmp_path / "log") as process:
        pid = process.pid
        assert _is_alive(pid)
    assert not _is_alive(pid)


def test_it_ends_when_what_is_around_it_fails(tmp_path):
    pids = []
    process = OwnedProcess(["sleep", "60"], environment=ENVIRONMENT, log=tmp_path / "log")

    def fail():
        with process:
            pids.append(process.pid)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not _is_alive(pids[0])


def test_it_dies_when_its_owner_is_killed(tmp_path):
    program = (
        "import sys, time; from pathlib import Path; from bench.processes import OwnedProcess\n"
        f"with OwnedProcess(['sleep', '60'], environment={ENVIRONMENT!r}, log=Path({str(tmp_path / 'log')!r})) as owned:\n"
        "    print(owned.pid, flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, sys.path)])}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment) as owner:
        pid = int(owner.stdout.readline())
        assert _runs_within(pid, "sleep 60", 10)
        owner.send_signal(signal.SIGKILL)
    assert _gone_within(pid, 5)


def test_one_that_ends_early_is_an_error_that_shows_its_log(tmp_path):
    command = ["sh", "-c", "echo the reason; exit 3"]
    with (
        OwnedProcess(command, environment=ENVIRONMENT, log=tmp_path / "log") as process,
        pytest.raises(BenchError, match=r"(?s)ended.*the reason"),
    ):
        process.wait_until(lambda: False)


def test_descendants_are_found_with_the_time_they_took(tmp_path):
    command = ["sh", "-c", "trap 'kill $child' TERM; sleep 60 & child=$!; wait"]
    with OwnedProcess(command, environment=ENVIRONMENT, log=tmp_path / "log") as process:

        def below():
            return processes_below([process.pid])

        process.wait_until(lambda: any(command_line(pid).startswith("sleep 60") for pid in below()))
        found = below()
        parent = process.pid
    assert len(found) == 2
    assert parent in found
    assert all(seconds >= 0 for seconds in found.values())
    assert all(_gone_within(pid, 5) for pid in found)


def test_a_process_that_is_gone_has_no_descendants():
    assert processes_below([2**30]) == {}
    assert command_line(2**30) == ""


def test_processor_times_are_read_as_the_kernel_writes_them(tmp_path):
    tick = 1 / os.sysconf("SC_CLK_TCK")
    stat = tmp_path / "stat"
    stat.write_text("cpu  10 1 20 300 5 2 3 4 99 99\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
    busy, whole = processor_times(stat)
    assert (busy, whole) == (pytest.approx(40 * tick), pytest.approx(345 * tick))


def test_the_machine_is_described_and_its_silence_survived(tmp_path):
    machine = describe_machine()
    assert machine.cores >= 1
    assert machine.memory_mib > 0
    bare = describe_machine(tmp_path)
    assert (bare.memory_mib, bare.load_before) == (0, 0.0)
    assert bare.cpu
