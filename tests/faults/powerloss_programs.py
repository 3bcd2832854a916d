"""Running small programs under the power-loss layer."""

import os
import signal
import subprocess
import sys
import textwrap
import time

_PRELUDE = """
import os, sys, threading, time
from pathlib import Path

def sync(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)

def write(path, text, synced=True):
    with open(path, "w") as file:
        file.write(text)
        file.flush()
        if synced:
            os.fsync(file.fileno())
"""


def python_command(program):
    return [sys.executable, "-c", _PRELUDE + textwrap.dedent(program)]


def run_and_cut(layer, program):
    """Run a program in the root until it ends, then cut the power."""
    subprocess.run(
        python_command(program),
        env={**os.environ, **layer.environment()},
        cwd=layer.root,
        check=True,
        timeout=60,
    )
    layer.cut_power()


def kill_and_cut(layer, command, seconds):
    """Start a program, kill it a while after its first line, cut the power; return the whole lines it printed."""
    environment = {**os.environ, **layer.environment()}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=layer.root, env=environment, start_new_session=True
    ) as process:
        try:
            first = process.stdout.readline()
            time.sleep(seconds)
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # it, and the children that it made
        printed = (first + process.stdout.read()).decode()
    layer.cut_power()
    lines = [line.strip() for line in printed.splitlines(keepends=True) if line.endswith("\n")]
    assert lines
    return lines
