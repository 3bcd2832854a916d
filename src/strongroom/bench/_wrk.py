"""wrk, the load generator: the script that it is given, how it is run, and what it says at the end.

The script holds the requests as bytes, so wrk does nothing but send, read and count. What it says is one line
of JSON behind a marker, made by wrk's ``done`` hook from its own histogram of latencies; the words around
it are for people and are not read.
"""

import math
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

import msgspec

from strongroom.bench._errors import BenchError, WrkMissingError
from strongroom.bench._http import HttpRequest, render_request
from strongroom.bench._results import Errors, Run
from strongroom.client import Endpoint
from strongroom.config import worker_environment

MAX_SECONDS = 120.0
"""A signature holds for 300 s: a run, and the making of its requests, end well before."""
MAX_CONNECTIONS = 10_000
_MARKER = "strongroom-bench-report "
_TIMEOUT_S = 10
_END_LIMIT_S = 30.0
_CORES_PER_THREAD = 4

_SCRIPT_HEAD = "local requests = {\n"
_SCRIPT_TAIL = """}
local next_request = 0
local threads = 0

function setup(thread)
  thread:set("first", threads * 137)
  threads = threads + 1
end

function init(args)
  next_request = first
end

function request()
  next_request = next_request % #requests + 1
  return requests[next_request]
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\\nMARKER{"requests":%d,"duration_us":%d,"p50_us":%.1f,"p99_us":%.1f,"max_us":%.1f,'
      .. '"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
"""


class _Report(msgspec.Struct, frozen=True):
    requests: int
    duration_us: int
    p50_us: float
    p99_us: float
    max_us: float
    connect: int
    read: int
    write: int
    timeout: int
    status: int


class Wrk(NamedTuple):
    """The program on this machine."""

    path: str

    @classmethod
    def find(cls) -> Self:
        """Look for it in PATH. Raises WrkMissingError."""
        path = shutil.which("wrk")
        if path is None:
            raise WrkMissingError(
                "the load generator wrk is not installed",
                next_step="install it (Debian: apt-get install wrk), or use ./dev bench, which does",
            )
        return cls(path)

    def version(self) -> str:
        """Return what it says its version is, ``unknown`` when it says nothing of the kind."""
        said = subprocess.run(
            [self.path, "-v"], capture_output=True, text=True, check=False, env=worker_environment({})
        )
        found = re.match(r"wrk (\S+)", said.stdout or said.stderr)
        return found[1] if found else "unknown"


def lua_script(requests: Sequence[bytes]) -> str:
    """Return the script that sends these requests in turn; each thread of wrk begins elsewhere in the table."""
    if not requests:
        raise ValueError("a run needs at least one request")
    table = "".join(f"  {_lua_string(request)},\n" for request in requests)
    return _SCRIPT_HEAD + table + _SCRIPT_TAIL.replace("MARKER", _MARKER)


def _lua_string(data: bytes) -> str:
    """Quote bytes as a Lua string; everything but plain characters as a decimal escape (Lua 5.1, 2.1)."""
    quoted = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03d}" for byte in data
    )
    return f'"{quoted}"'


def drive(
    wrk: Wrk,
    endpoint: Endpoint,
    requests: Sequence[HttpRequest],
    *,
    connections: int,
    seconds: float,
) -> Run:
    """Send requests over so many connections for so long, each connection waiting for its answer.

    Raises BenchError when wrk does not end well or nothing was answered; refused requests are counted.
    """
    if not 0 < seconds <= MAX_SECONDS or not 1 <= connections <= MAX_CONNECTIONS:
        raise ValueError(f"not measurable: {connections} connections for {seconds} s")
    with tempfile.TemporaryDirectory(prefix="strongroom-bench-") as folder:
        script = Path(folder) / "requests.lua"
        script.write_text(lua_script([render_request(request, endpoint) for request in requests]))
        command = [
            wrk.path,
            f"-t{_threads_for(connections)}",
            f"-c{connections}",
            f"-d{math.ceil(seconds)}s",
            f"--timeout={_TIMEOUT_S}s",
            "-s",
            str(script),
            f"{endpoint.url}/",
        ]
        return parse_report(_run(command, seconds))


def _threads_for(connections: int) -> int:
    """One thread of wrk sends over 100,000 requests a second; more only where there are cores to spare."""
    return max(1, min(connections, len(os.sched_getaffinity(0)) // _CORES_PER_THREAD))


def _run(command: Sequence[str], seconds: float) -> str:
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=worker_environment({})
    ) as process:
        try:
            said = _said_within(process, seconds)
        finally:
            process.kill()
    if process.returncode != 0:
        raise BenchError(f"wrk ended with {process.returncode}: {said.strip()[-300:]}")
    return said


def _said_within(process: subprocess.Popen[str], seconds: float) -> str:
    """Return all that wrk says. It counts whole seconds; an interrupt ends it in order before that."""
    try:
        if seconds != math.ceil(seconds):
            try:
                return process.communicate(timeout=seconds)[0]
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
        return process.communicate(timeout=seconds + _TIMEOUT_S + _END_LIMIT_S)[0]
    except subprocess.TimeoutExpired as error:
        raise BenchError("wrk did not end when its time was over") from error


def parse_report(said: str) -> Run:
    """Read what wrk said at its end.

    Raises BenchError when the report is not there or not as our script makes it, and when it reports no answer.
    """
    lines = [line for line in said.splitlines() if line.startswith(_MARKER)]
    if len(lines) != 1:
        raise BenchError(f"wrk gave {len(lines)} reports instead of one: {said.strip()[-300:]}")
    try:
        report = msgspec.json.decode(lines[0].removeprefix(_MARKER), type=_Report)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise BenchError(f"wrk's report cannot be read: {lines[0][:300]}") from error
    seconds = report.duration_us / 1e6
    if seconds <= 0 or min(msgspec.structs.astuple(report)) < 0:
        raise BenchError(f"wrk's report makes no sense: {lines[0][:300]}")
    if report.requests == 0:
        raise BenchError("not one request was answered", next_step="look at the log of the service")
    return Run(
        requests=report.requests,
        seconds=seconds,
        rate=round(report.requests / seconds, 1),
        p50_ms=report.p50_us / 1000,
        p99_ms=report.p99_us / 1000,
        max_ms=report.max_us / 1000,
        errors=Errors(report.connect, report.read, report.write, report.timeout, report.status),
    )
