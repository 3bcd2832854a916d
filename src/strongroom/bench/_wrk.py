"""wrk, the load generator: the script that it is given, how it is run, and what it says at the end.

The script reads the requests, bytes that are ready to be sent, from a file beside it before the clock starts, so wrk does
nothing but send, read and count. What it says is one line
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
from collections.abc import Iterable, Sequence
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

# A file and no table in the script: the constants of a Lua function are limited to 65,536, requests are not.
_SCRIPT = """\
local requests = {}
local file = assert(io.open(FILE, "rb"))
while true do
  local length = file:read("*n")
  if not length then break end
  file:read(1)
  requests[#requests + 1] = file:read(length)
end
file:close()
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


def lua_script(table: Path) -> str:
    """Return the script that sends the requests of a file in turn; each thread of wrk begins elsewhere in the table."""
    return _SCRIPT.replace("FILE", _lua_string(os.fsencode(table))).replace("MARKER", _MARKER)


def request_table(requests: Iterable[bytes]) -> bytes:
    """Return the file of requests that the script reads: the length of each in decimal, a line feed, and its bytes.

    Raises ValueError when there is none, or one without bytes.
    """
    made = list(requests)
    if not made or not all(made):
        raise ValueError("a run needs at least one request, and each has bytes")
    return b"".join(b"%d\n%b\n" % (len(one), one) for one in made)


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
        script, table = Path(folder) / "requests.lua", Path(folder) / "requests"
        table.write_bytes(request_table(render_request(request, endpoint) for request in requests))
        script.write_text(lua_script(table))
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
