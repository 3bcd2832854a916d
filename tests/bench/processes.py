"""Processes that the benchmark owns: started to die with it, ended in order, and the processor time they took."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from strongroom.bench import BenchError, Connection, HttpRequest, RequestFailedError
from strongroom.client import Endpoint

_START_LIMIT_S = 60.0
_END_LIMIT_S = 20.0
_LOG_SHOWN = 1500
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class OwnedProcess:
    """A program that runs from entry to exit. The kernel kills it when this process dies (setpriv --pdeathsig)."""

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str], log: Path) -> None:
        self._command = command
        self._environment = dict(environment)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self._command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,  # Ctrl-C is for us; we end it in order
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Ask it to end, and kill it when it does not within 20 s. May be repeated."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_END_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @property
    def pid(self) -> int:
        """Its process id."""
        if self._process is None:
            raise BenchError("the process was not started")
        return self._process.pid

    def wait_until(self, is_ready: Callable[[], bool]) -> None:
        """Wait until it is ready. Raises BenchError, with the end of its log, when it ends or takes over 60 s."""
        until = time.monotonic() + _START_LIMIT_S
        while not is_ready():
            has_ended = self._process is None or self._process.poll() is not None
            if has_ended or time.monotonic() > until:
                said = self._log.read_text(encoding="utf-8", errors="replace")[-_LOG_SHOWN:]
                what = "ended" if has_ended else "was not ready in time"
                raise BenchError(f"{' '.join(self._command[:4])} {what}; the end of its log:\n{said}")
            time.sleep(0.05)


def answers(endpoint: Endpoint, path: str) -> bool:
    """Whether a GET of this path is answered with 200."""
    try:
        with Connection(endpoint) as connection:
            connection.send(HttpRequest("GET", path, {}, b""))
    except RequestFailedError:
        return False
    return True


def free_port() -> int:
    """Return a port that nobody listens at just now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def processes_below(pids: Sequence[int], proc: Path = Path("/proc")) -> dict[int, float]:
    """Return these processes and all their descendants, with the seconds of processor time each took so far."""
    parents: dict[int, int] = {}
    spent: dict[int, float] = {}
    for entry in proc.iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            except OSError:  # it ended meanwhile
                continue
            # proc(5): the fields after the name are state, ppid, … and, 14th and 15th of all, utime and stime.
            parents[int(entry.name)] = int(fields[1])
            spent[int(entry.name)] = (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND
    found = set(pids) & parents.keys()
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return {pid: spent[pid] for pid in found}


def command_line(pid: int, proc: Path = Path("/proc")) -> str:
    """Return a process's command line, empty when it is gone."""
    try:
        return (proc / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
