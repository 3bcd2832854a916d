"""Checks of ``doctor`` that look at the machine: memory, clock, port, and what the cryptography is worth."""

import datetime as dt
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

from strongroom.cli._answers import Readiness
from strongroom.cli._checks import Finding
from strongroom.client import AccessKey, ClientError, Service, ServiceClient, home_endpoint, read_answer
from strongroom.config import Config, Home, port_override
from strongroom.core import Clock, Secret

_PROBE_TIMEOUT_S = 3.0
_FIRST_YEAR, _LAST_YEAR = 2025, 2100
_SWAPS = Path("/proc/swaps")
_FIPS = Path("/proc/sys/crypto/fips_enabled")


def check_memory(swaps: Path = _SWAPS) -> Iterator[Finding]:
    """Whether keys in memory can reach a disk: core dumps, swap."""
    core_limit = resource.getrlimit(resource.RLIMIT_CORE)[0]
    mine = "this shell allows them" if core_limit else "this shell does not allow them either"
    yield Finding("core dumps", "ok", f"the service forbids them, and ptrace, for its processes; {mine}")
    soft = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    if os.geteuid() == 0 or soft == resource.RLIM_INFINITY:
        yield Finding("locked memory", "ok", "the service can lock its memory: keys never reach swap")
        return
    limit = f"this user may lock {soft // 1024} KiB, so the service does not lock its memory"
    if len(_lines(swaps)) > 1:  # the first line is the heading
        yield Finding(
            "locked memory",
            "warn",
            f"{limit}, and swap is on: keys in memory may reach the disk",
            "raise LimitMEMLOCK (ulimit -l) to unlimited, or switch swap off",
        )
    else:
        yield Finding(
            "locked memory", "note", f"{limit}; no swap is on, so keys do not reach the disk that way"
        )


def check_clock(home: Home, clock: Clock) -> Iterator[Finding]:
    """Whether the clock can be right: signatures of requests are refused when it is 5 minutes off."""
    now = clock.now()
    year = dt.datetime.fromtimestamp(now, dt.UTC).year
    newest = max(
        (path.stat().st_mtime for path in (home.database, home.config_file) if path.exists()), default=0
    )
    step = "set the clock, and keep it with NTP"
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        yield Finding("clock", "fail", f"the clock says that it is the year {year}", step)
    elif newest > now + 60:
        yield Finding("clock", "warn", "files of the home are from the future: the clock went back", step)
    else:
        yield Finding("clock", "ok", f"{dt.datetime.fromtimestamp(now, dt.UTC):%Y-%m-%d %H:%M:%S} UTC")


def check_port(home: Home, config: Config, clock: Clock) -> Iterator[Finding]:
    """Whether the port is free, served by this home's service, or taken by something else."""
    host, port = config.service.host, port_override() or config.service.port
    if _can_listen(host, port):
        yield Finding(
            "port", "ok", f"{port} is free: the service is not running", "start it: strongroom serve"
        )
        return
    endpoint = home_endpoint(home, config)
    nobody = Service(endpoint, AccessKey("-", Secret(b"")), "-")  # /readyz takes no signature
    try:
        with ServiceClient(nobody, clock=clock, timeout_s=_PROBE_TIMEOUT_S) as client:
            answer = client.probe("/readyz")
            readiness = read_answer(
                answer._replace(status=200) if answer.status == 503 else answer, Readiness
            )
    except ClientError as error:
        yield Finding(
            "port",
            "fail",
            f"cannot listen on {host} port {port}, and no Strongroom of this home answers: {error.message}",
            "stop what listens there, or set STRONGROOM_PORT to another port",
        )
        return
    if readiness.ready:
        yield Finding("port", "ok", f"{endpoint.url} is served, and ready")
    else:
        yield Finding("port", "warn", f"{endpoint.url} is served, not ready", "see: strongroom status")


def _can_listen(host: str, port: int) -> bool:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.create_server((host, port), family=family):
            return True
    except OSError:
        return False


def check_labels(config: Config, fips: Path = _FIPS) -> Iterator[Finding]:
    """What the protection here is worth, said plainly."""
    soft = [member.name for member in config.cluster.members if member.profile == "softhsm2"]
    if soft:
        yield Finding(
            "SoftHSM",
            "note",
            f"{', '.join(soft)}: for development only. Keys lie in files; whoever reads the home has the root key",
        )
    yield from _fips_findings(config, fips)


def _fips_findings(config: Config, fips: Path) -> Iterator[Finding]:
    from strongroom.keyring import find_software_module

    software = find_software_module()
    seen = f"{software.name}: {software.because}"
    if config.policy.fips:
        yield Finding(
            "FIPS mode",
            "ok",
            "keys are made and used by approved mechanisms and key sizes alone (policy.fips)",
        )
    if software.is_fips:
        yield Finding(
            "FIPS",
            "ok",
            f"Envelope keys work in {seen}. Whether that provider is validated, its certificate says",
        )
        return
    text = f"keys below the root are used in software that is not a FIPS 140 validated module ({seen})"
    if config.policy.fips:
        yield Finding(
            "FIPS",
            "note",
            f"{text}: Envelope keys, data keys, verifying and RSA encryption are refused. TLS, signatures of requests and the"
            " secrets of access keys are done in it all the same",
            "load an OpenSSL FIPS provider, or use Direct keys alone",
        )
    elif _lines(fips)[:1] == ["1"]:
        yield Finding(
            "FIPS",
            "warn",
            f"this system is in FIPS mode; {text}",
            "set policy.fips = true, and do not use Envelope keys where FIPS is required",
        )
    else:
        yield Finding("FIPS", "note", text)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
