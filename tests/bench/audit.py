"""``./dev bench audit``: what the audit log costs, and what a sink that hangs costs on top of it.

Three services in turn: one as it is, with tree and checkpoints, one where uses of keys leave no entries, and one where ``os.fdatasync`` does nothing. Then one service
that ships to a real rsyslog over mutual TLS, in windows in which rsyslog runs and in which it is frozen by SIGSTOP.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from cryptography import x509

from bench.comparison import run_folder
from bench.fdatasyncs import disk_cost, injected, probe_disk
from bench.measure import Sample, take
from bench.subjects import StrongroomSubject, copy_home, make_home
from client_certificates import make_certificate
from rsyslog_server import Rsyslog, missing
from strongroom.audit import inspect_log
from strongroom.bench import SINGLE_OPERATIONS, BenchError, Wrk, describe_machine, drive
from strongroom.config import Home, worker_environment
from strongroom.core import StrongroomError

CONNECTIONS = (1, 8, 64)
WANTED_COST = 0.40
WANTED_FROZEN = 1.10
_PROBE_S = 0.5
_ROOT = Path(__file__).parents[2]


def main(arguments: Sequence[str]) -> int:
    """Measure, and print what was seen; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="./dev bench audit", description="What the audit log costs, and a sink that hangs."
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="length of each run (2)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (5)")
    parser.add_argument("--operation", choices=SINGLE_OPERATIONS, default="Encrypt", help="(Encrypt)")
    parser.add_argument("--workspace", type=Path, default=_ROOT / ".deps" / "bench", help="(.deps/bench)")
    options = parser.parse_args(arguments)
    try:
        options.workspace.mkdir(parents=True, exist_ok=True)
        _say(f"load average before: {describe_machine().load_before:g}")
        with run_folder(options.workspace) as folder:
            _cost(folder, options.operation, options.seconds, options.rounds)
            if lacks := missing():
                _say(f"not measured with a frozen sink: needs {lacks}")
            else:
                _frozen(folder, options.operation, options.seconds, options.rounds)
    except StrongroomError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def _cost(folder: Path, operation: str, seconds: float, rounds: int) -> None:
    template = make_home(folder / "template")
    skipped = folder / "skipped"
    with ExitStack() as stack:
        on = _service(stack, copy_home(template, folder / "on", tls=False), {})
        path = worker_environment({}).get("PYTHONPATH", "")
        none = injected("none", folder / "none", path)
        off = _service(stack, copy_home(template, folder / "off", tls=False), none)
        skipping = injected("skip", skipped, path)
        unsynced = _service(stack, copy_home(template, folder / "unsynced", tls=False), skipping)
        wrk, disk = Wrk.find(), list[float]()
        found: dict[tuple[str, int], list[Sample]] = {}
        for number in range(rounds):
            for connections in CONNECTIONS:
                subjects = (("on", on), ("off", off), ("unsynced", unsynced))
                for name, subject in subjects if number % 2 else reversed(subjects):
                    sample = take(wrk, subject, operation, connections=connections, seconds=seconds)
                    found.setdefault((name, connections), []).append(sample)
            disk += probe_disk(folder, seconds=_PROBE_S)
        on.process.end()
        if inspect_log(on.home.audit).problems:
            raise BenchError("the audit log does not verify")
    one_ms = disk_cost(folder, disk).p50_ms
    _say(f"one fdatasync of this disk: median {one_ms:.3f} ms")
    for connections in CONNECTIONS:
        pairs = list(zip(found["on", connections], found["off", connections], strict=True))
        costs = [1 - a.run.rate / b.run.rate for a, b in pairs]
        p99 = [a.run.p99_ms / one_ms for a, _ in pairs]
        cpu = [1 - b.server_us / a.server_us for a, b in pairs]
        syncs = [1 - a.run.rate / b.run.rate for a, b in zip(found["on", connections], found["unsynced", connections], strict=True)]  # fmt: skip
        _say(f"{operation}, {connections:>2} connections: audit costs {_spread(costs, '.0%')} of the rate"
             f", its fdatasync alone {_spread(syncs, '.0%')}; p99 is {_spread(p99, '.1f')} times one fdatasync; {_spread(cpu, '.0%')} of the processor time")  # fmt: skip
        if connections == CONNECTIONS[-1]:
            _verdict(
                f"at most {WANTED_COST:.0%} at {connections} connections", is_met=median(costs) <= WANTED_COST
            )
    _say(
        f"others used {median(one.others for taken in found.values() for one in taken):.0%} of the processor"
    )


def _frozen(folder: Path, operation: str, seconds: float, rounds: int) -> None:
    rsyslog = _rsyslog(folder / "rsyslog")
    with ExitStack() as stack:
        rsyslog.start()
        stack.callback(rsyslog.close)
        sink = _SYSLOG.format(folder=rsyslog.folder, port=rsyslog.port)
        home = copy_home(Home(folder / "template"), folder / "shipping", tls=False)
        service = _service(stack, _with_sink(home, sink), {})
        wrk = Wrk.find()
        drive(wrk, service.endpoint, service.requests(operation), connections=64, seconds=1)
        for connections in CONNECTIONS:
            running, frozen = list[Sample](), list[Sample]()
            for number in range(rounds):
                for is_frozen in (True, False) if number % 2 else (False, True):
                    (rsyslog.freeze if is_frozen else rsyslog.thaw)()
                    sample = take(wrk, service, operation, connections=connections, seconds=seconds)
                    (frozen if is_frozen else running).append(sample)
            rsyslog.thaw()
            ratios = [a.run.p99_ms / b.run.p99_ms for a, b in zip(frozen, running, strict=True)]
            rates = [a.run.rate / b.run.rate for a, b in zip(frozen, running, strict=True)]
            _say(f"{operation}, {connections:>2} connections: p99 with the sink frozen over that with it running"
                 f" {_spread(ratios, '.2f')}; rate {_spread(rates, '.2f')}")  # fmt: skip
            _verdict(f"p99 at most {WANTED_FROZEN - 1:.0%} higher", is_met=median(ratios) <= WANTED_FROZEN)


def _service(stack: ExitStack, home: Home, environment: Mapping[str, str]) -> StrongroomSubject:
    made = StrongroomSubject(
        home.root.name,
        home,
        python=sys.executable,
        operations=SINGLE_OPERATIONS,
        environment=environment,
    )
    stack.enter_context(made.process)
    made.wait_ready()
    return made


_SYSLOG = (
    '[[audit.sinks]]\nkind = "syslog"\nname = "siem"\nhost = "127.0.0.1"\nserver_name = "localhost"\nport = {port}\n'
    'ca_file = "{folder}/ca.pem"\ncertificate = "{folder}/client.pem"\nkey = "{folder}/client.pem"\n'
)


def _with_sink(home: Home, sink: str) -> Home:
    home.config_file.write_text(f"{home.config_file.read_text()}\n{sink}")
    return home


def _rsyslog(folder: Path) -> Rsyslog:
    folder.mkdir()
    ca = make_certificate(folder, "ca", "bench CA")
    make_certificate(folder, "server", "localhost", ca, [x509.DNSName("localhost")])
    make_certificate(folder, "client", "strongroom", ca, [x509.DNSName("strongroom")])
    return Rsyslog(folder)


def _spread(values: Sequence[float], form: str) -> str:
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def _verdict(target: str, *, is_met: bool) -> None:
    _say(f"    {'PASS' if is_met else 'FAIL'}: {target}")


def _say(text: str) -> None:
    print(text, flush=True)
