"""One run of the whole comparison: start the subjects, measure them in rounds, count fdatasyncs, judge."""

import fcntl
import platform
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from bench.echo import OPERATION as ECHO
from bench.echo import EchoSubject
from bench.fdatasyncs import disk_cost, injected, probe_disk, read_counts
from bench.findings import (
    OPENBAO,
    STRONGROOM,
    STRONGROOM_TLS,
    WITHOUT_FDATASYNC,
    Results,
    SyncCount,
    cells_of,
)
from bench.measure import Samples, measure
from bench.openbao import OpenBaoSubject, bao_version, find_bao
from bench.signing import signing_alone_us
from bench.subjects import StrongroomSubject, Subject, copy_home, make_home
from bench.verdicts import judged
from strongroom import __version__
from strongroom.audit import inspect_log
from strongroom.bench import (
    PLAINTEXT_BYTES,
    SINGLE_OPERATIONS,
    TABLE_SIZE,
    BenchError,
    Wrk,
    describe_machine,
    drive,
)
from strongroom.config import worker_environment

_ECHO_KINDS = ("uvicorn", "protocol")
_RUN_PREFIX = "run-"
_PROBE_S = 0.5
_PACKAGES = ("uvicorn", "httptools", "uvloop", "cryptography")

Progress = Callable[[str], None]


class Settings(NamedTuple):
    """What to measure, and for how long."""

    seconds: float
    rounds: int
    connections: Sequence[int]
    operations: Sequence[str]
    with_openbao: bool


class Subjects(NamedTuple):
    """Everything that runs at the same time."""

    plain: StrongroomSubject
    without_fdatasync: StrongroomSubject
    skipped: Path
    """Where the calls that were left out are counted."""
    all: Sequence[Subject]
    ceilings: Sequence[str]
    """Names of the bare servers."""


def compare(settings: Settings, workspace: Path, *, progress: Progress) -> Results:
    """Run everything and end it again. Raises StrongroomError.

    ``workspace``: an existing folder on the disk that is to be measured; left as it was.
    """
    machine, wrk = describe_machine(), Wrk.find()
    disk_times: list[float] = []
    signing_us: list[float] = []

    def probe(folder: Path) -> None:
        disk_times.extend(probe_disk(folder, seconds=_PROBE_S))
        signing_us.append(signing_alone_us(seconds=_PROBE_S))

    with ExitStack() as stack:
        folder = stack.enter_context(run_folder(workspace))
        progress("making homes and starting everything")
        subjects = _start(settings, folder, stack)
        api_processes = subjects.plain.api_processes()
        samples = measure(
            wrk,
            subjects.all,
            [*settings.operations, ECHO],
            settings.connections,
            rounds=settings.rounds,
            seconds=settings.seconds,
            progress=progress,
            after_round=lambda: probe(folder),
        )
        if subjects.without_fdatasync.operations and read_counts(subjects.skipped).calls == 0:
            raise BenchError("no fdatasync was left out: the service no longer calls os.fdatasync")
        subjects.plain.process.end()
        entries = _check_audit(subjects.plain, samples)
        counts = _count(wrk, settings, subjects.plain, folder, progress)
        results = Results(
            taken_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            strongroom=__version__,
            commit=commit_of_sources(),
            machine=machine,
            versions=_versions(wrk, settings),
            seconds=settings.seconds,
            rounds=settings.rounds,
            connections=list(settings.connections),
            operations=list(settings.operations),
            api_processes=api_processes,
            plaintext_bytes=PLAINTEXT_BYTES,
            disk=disk_cost(folder, disk_times),
            audit_entries=entries,
            cells=cells_of(samples),
            fdatasyncs=counts,
            signing_alone_us=signing_us,
        )
        return judged(results, subjects.ceilings)


@contextmanager
def run_folder(workspace: Path) -> Iterator[Path]:
    """Make a folder for this run, and remove what a killed one left. Raises BenchError when another one is on."""
    with (workspace / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BenchError("another benchmark runs in this workspace") from error
        for left_over in workspace.glob(f"{_RUN_PREFIX}*"):
            shutil.rmtree(left_over)
        with tempfile.TemporaryDirectory(prefix=_RUN_PREFIX, dir=workspace) as made:
            yield Path(made)


def _start(settings: Settings, folder: Path, stack: ExitStack) -> Subjects:
    python = sys.executable
    skipped = folder / "skipped"
    skipping = injected("skip", skipped, worker_environment({}).get("PYTHONPATH", ""))
    template = make_home(folder / "template")
    single = [operation for operation in settings.operations if operation in SINGLE_OPERATIONS]
    plain, tls, without = (
        StrongroomSubject(
            name,
            copy_home(template, folder / home, tls=home == "tls"),
            python=python,
            operations=operations,
            environment=environment,
        )
        for name, home, operations, environment in (
            (STRONGROOM, "plain", settings.operations, {}),
            (STRONGROOM_TLS, "tls", single, {}),
            (WITHOUT_FDATASYNC, "without", single, skipping),
        )
    )
    subjects: list[Subject] = [plain, tls, without]
    for service in (plain, tls, without):
        stack.enter_context(service.process)
    for service in (plain, tls, without):
        service.wait_ready()
    if settings.with_openbao:
        subjects.insert(1, _start_openbao(settings, folder, stack))
    echoes = _start_echoes(plain, folder, stack)
    return Subjects(plain, without, skipped, [*subjects, *echoes], [echo.name for echo in echoes])


def _start_openbao(settings: Settings, folder: Path, stack: ExitStack) -> OpenBaoSubject:
    bao = find_bao(Path(sys.executable).parent)
    openbao = OpenBaoSubject(
        OPENBAO,
        bao,
        folder,
        operations=settings.operations,
        table_size=TABLE_SIZE,
        plaintext_bytes=PLAINTEXT_BYTES,
    )
    stack.enter_context(openbao.process)
    openbao.set_up()
    return openbao


def _start_echoes(plain: StrongroomSubject, folder: Path, stack: ExitStack) -> list[EchoSubject]:
    """Start bare servers of one process, and of as many as the service has."""
    echoes = [
        EchoSubject(kind, processes, folder, python=sys.executable, sample=lambda: plain.requests("Encrypt"))
        for kind in _ECHO_KINDS
        for processes in sorted({1, plain.api_processes()})
    ]
    for echo in echoes:
        for process in echo.processes:
            stack.enter_context(process)
        echo.wait_ready()
    return echoes


def _count(
    wrk: Wrk, settings: Settings, plain: StrongroomSubject, folder: Path, progress: Progress
) -> list[SyncCount]:
    """Serve the first home once more, with every fdatasync counted."""
    counted = folder / "counted"
    environment = injected("count", counted, worker_environment({}).get("PYTHONPATH", ""))
    service = StrongroomSubject(
        STRONGROOM,
        plain.home,
        python=sys.executable,
        operations=settings.operations,
        environment=environment,
    )
    counts = []
    with service.process:
        service.wait_ready()
        for number in settings.connections:
            for operation in settings.operations:
                requests = service.requests(operation)
                before = read_counts(counted)
                run = drive(wrk, service.endpoint, requests, connections=number, seconds=settings.seconds)
                made = read_counts(counted).since(before)
                mean_ms = made.seconds / made.calls * 1000 if made.calls else 0.0
                counts.append(SyncCount(operation, number, run.requests, made.calls, round(mean_ms, 4)))
                progress(
                    f"{operation}, {number} connections: {made.calls / run.requests:.3f} fdatasync a request"
                )
    return counts


def _check_audit(plain: StrongroomSubject, samples: Samples) -> int:
    """Return how many entries the log holds. Raises BenchError unless it verifies and has one for each answer."""
    report = inspect_log(plain.home.audit)
    answered = sum(
        sample.run.requests
        for task, taken in samples.items()
        if task.subject == plain.name
        for sample in taken
    )
    if report.problems or report.entries < answered:
        raise BenchError(
            f"the audit log holds {report.entries} entries for {answered} answers, and has "
            f"{len(report.problems)} problems"
        )
    return report.entries


def _versions(wrk: Wrk, settings: Settings) -> dict[str, str]:
    versions = {"Python": platform.python_version(), "wrk": wrk.version()}
    if settings.with_openbao:
        versions["OpenBao"] = bao_version(find_bao(Path(sys.executable).parent))
    for package in _PACKAGES:
        versions[package] = metadata.version(package)
    return {**versions, "OpenSSL of Python": ssl.OPENSSL_VERSION.split()[1]}


def commit_of_sources() -> str:
    """Return the commit of what is measured, and whether anything was changed since."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip()

    changed = ", with uncommitted changes" if git("status", "--porcelain", "--", "../../src") else ""
    return (git("rev-parse", "--short", "HEAD") or "no git") + changed
