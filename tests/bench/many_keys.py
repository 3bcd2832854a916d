"""``./dev bench keys``: Encrypt and Decrypt with few keys and with very many, each as likely as any other.

One service, one home, one table of requests as long as there are keys at most: what changes is how many of the keys the
requests name. All sizes are measured right after each other, in rounds.
"""

import argparse
import asyncio
import random
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec

from bench.comparison import commit_of_sources, run_folder
from bench.many_keys_home import FilledKey, fill
from bench.many_keys_page import (
    KEYS_FILE,
    KEYS_PAGE,
    KeysCell,
    KeysResults,
    Warming,
    render_keys_page,
    rows_of,
)
from bench.measure import Sample, take
from bench.processes import command_line, processes_below
from bench.subjects import API_PROGRAM, StrongroomSubject, make_home, set_cache
from strongroom.bench import (
    PLAINTEXT_BYTES,
    BenchError,
    Connection,
    HttpRequest,
    Machine,
    Wrk,
    describe_machine,
    summarise,
)
from strongroom.client import Endpoint
from strongroom.core import StrongroomError, random_bytes

OPERATIONS = ("Encrypt", "Decrypt")
_MAX_KEYS = 1_000_000
_WARM_UP_S = 60.0
"""For one table of requests, whose signatures take seconds when there are many keys."""
_MOST_WARM_UPS = 6
_COLD_SHARE = 0.01
"""Of requests that find their key not in memory: below it everything counts as warm."""
_WARM_USES = 5
"""Of each key by another operation, which has a record of its own to find: all processes then know nearly all keys by it."""
_ROOT = Path(__file__).parents[2]


class Settings(NamedTuple):
    """What to measure."""

    numbers: Sequence[int]
    operations: Sequence[str]
    connections: int
    seconds: float
    rounds: int
    ttl_s: float
    max_keks: int
    max_domains: int


class KeysSubject:
    """The service, its requests spread over some of its keys."""

    operations = OPERATIONS

    def __init__(self, service: StrongroomSubject, keys: Sequence[FilledKey]) -> None:
        self.name = service.name
        self.endpoint = service.endpoint
        self.n_keys = len(keys)
        self._service = service
        self._caller = service.caller
        self._keys = keys

    @property
    def pids(self) -> Sequence[int]:
        """The main process."""
        return self._service.pids

    def use(self, n_keys: int) -> None:
        """Name so many keys in the requests from here on."""
        self.n_keys = n_keys

    def requests(self, operation: str) -> list[HttpRequest]:
        """Return as many requests as there are keys, in random order, with each key in use as often as any other."""
        used = [self._keys[at % self.n_keys] for at in range(len(self._keys))]
        random.shuffle(used)
        return [self._caller.request(operation, _members(operation, key)) for key in used]


def _members(operation: str, key: FilledKey) -> Mapping[str, object]:
    if operation == "Decrypt":
        return {"CiphertextBlob": key.ciphertext}
    return {"KeyId": key.key_id, "Plaintext": random_bytes(PLAINTEXT_BYTES)}


def measure_keys(settings: Settings, workspace: Path, *, progress: Callable[[str], None]) -> KeysResults:
    """Make the keys, and measure. Raises StrongroomError. ``workspace`` as for ``compare``."""
    machine, wrk = describe_machine(), Wrk.find()
    with ExitStack() as stack:
        folder = stack.enter_context(run_folder(workspace))
        home = make_home(folder / "home", tls=False)
        set_cache(home, ttl_s=settings.ttl_s, max_keks=settings.max_keks, max_domains=settings.max_domains)
        service = StrongroomSubject("Strongroom", home, python=sys.executable, operations=OPERATIONS)
        stack.enter_context(service.process)
        service.wait_ready()
        progress(f"making {settings.numbers[-1]:,} keys")
        subject = KeysSubject(
            service, asyncio.run(fill(home, settings.numbers[-1], plaintext_bytes=PLAINTEXT_BYTES))
        )
        warming = _warm(wrk, subject, settings, progress)
        samples = _measured(wrk, subject, settings, progress)
        return _results(machine, settings, warming, samples, _api_memory_mib(service))


def _results(
    machine: Machine,
    settings: Settings,
    warming: Warming,
    samples: dict[tuple[str, int], list[Sample]],
    api_memory_mib: list[int],
) -> KeysResults:
    return KeysResults(
        taken_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        commit=commit_of_sources(),
        machine=machine,
        seconds=settings.seconds,
        rounds=settings.rounds,
        connections=settings.connections,
        ttl_s=settings.ttl_s,
        max_keks=settings.max_keks,
        max_domains=settings.max_domains,
        warming=warming,
        api_memory_mib=api_memory_mib,
        cells=[
            KeysCell(
                n_keys,
                median(sample.server_us for sample in taken),
                summarise(operation, settings.connections, [sample.run for sample in taken]),
            )
            for (operation, n_keys), taken in samples.items()
        ],
    )


def _warm(wrk: Wrk, subject: KeysSubject, settings: Settings, progress: Callable[[str], None]) -> Warming:
    """Use all keys until every process has them in memory, or has had its chance."""
    cost = None
    for turn in range(_MOST_WARM_UPS):
        before = _misses(subject.endpoint)
        sample = take(wrk, subject, "Encrypt", connections=settings.connections, seconds=_warm_up_s(subject))
        cold = (_misses(subject.endpoint) - before) / sample.run.requests
        cost = cost or Warming(sample.run.rate, sample.server_us, cold, 0, cold)
        progress(f"warming up: {sample.run.rate:,.0f}/s, {cold:.1%} of the keys were not in memory")
        cost = msgspec.structs.replace(cost, runs=turn + 1, cold_at_end=cold)
        if cold < _COLD_SHARE:
            break
    for operation in settings.operations[1:]:
        answered = 0
        for _ in range(_MOST_WARM_UPS):
            answered += take(
                wrk, subject, operation, connections=settings.connections, seconds=_warm_up_s(subject)
            ).run.requests
            if answered >= _WARM_USES * subject.n_keys:
                break
        progress(f"warming up: {operation}, {answered / subject.n_keys:.1f} uses of each key")
    if cost is None:
        raise BenchError("nothing was warmed up")
    return cost


def _warm_up_s(subject: KeysSubject) -> float:
    """Return how long to warm up at a time: as long as there are keys, and 5 s at least."""
    return min(_WARM_UP_S, max(5.0, subject.n_keys / 1_000))


def _measured(
    wrk: Wrk, subject: KeysSubject, settings: Settings, progress: Callable[[str], None]
) -> dict[tuple[str, int], list[Sample]]:
    samples: dict[tuple[str, int], list[Sample]] = {}
    for number in range(settings.rounds):
        for operation, n_keys in product(settings.operations, settings.numbers):
            subject.use(n_keys)
            sample = take(wrk, subject, operation, connections=settings.connections, seconds=settings.seconds)
            samples.setdefault((operation, n_keys), []).append(sample)
            progress(
                f"round {number + 1}/{settings.rounds}  {operation:<8} {n_keys:>9,} keys {sample.run.rate:>9,.0f}/s"
                f"  p99 {sample.run.p99_ms:.2f} ms  {sample.server_us:.1f} µs"
            )
    return samples


def _misses(endpoint: Endpoint) -> int:
    """Return how often a KEK was not in memory, over all processes so far."""
    with Connection(endpoint) as connection:
        told = connection.send(HttpRequest("GET", "/metrics", {}, b"")).decode()
    return sum(int(float(one)) for one in re.findall(r"(?m)^\w*kek_cache_misses_total\S* (\S+)$", told))


def _api_memory_mib(service: StrongroomSubject, proc: Path = Path("/proc")) -> list[int]:
    """Return the resident memory of each API process."""
    found = []
    for pid in processes_below(service.pids):
        if API_PROGRAM in command_line(pid):
            told = re.search(r"(?m)^VmRSS:\s+(\d+) kB", (proc / str(pid) / "status").read_text())
            found.append(int(told[1]) // 1024 if told else 0)
    return sorted(found)


def main(arguments: list[str]) -> int:
    """Run it; returns the exit status."""
    options = _options(arguments)
    numbers = options.keys
    settings = Settings(
        numbers=numbers,
        operations=OPERATIONS,
        connections=options.connections,
        seconds=options.seconds,
        rounds=options.rounds,
        ttl_s=options.ttl,
        max_keks=options.max_keks or 3 * numbers[-1],
        max_domains=1_000,
    )
    try:
        options.workspace.mkdir(parents=True, exist_ok=True)
        results = measure_keys(settings, options.workspace, progress=_progress)
    except StrongroomError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    _show(results, as_json=options.json)
    if results.failed_requests:
        print(f"bench: {results.failed_requests} requests failed; the figures say nothing", file=sys.stderr)
        return 1
    if options.docs:
        folder = _ROOT / "docs" / "benchmarks"
        document = msgspec.json.format(msgspec.json.encode(results), indent=1)
        (folder / KEYS_FILE).write_bytes(document + b"\n")
        (folder / KEYS_PAGE).write_text(render_keys_page(results))
    return 0


def _show(results: KeysResults, *, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(results), indent=1).decode())
    else:
        print("\n".join("  ".join(row) for row in rows_of(results)))
    for verdict in results.verdicts:
        print(f"{verdict.word:<10} {verdict.target}: {verdict.seen}", file=sys.stderr)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench keys", description=__doc__)
    parser.add_argument("--keys", type=_numbers, default=[10, 1_000, 100_000], help="(10,1000,100000)")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each run (3)")
    parser.add_argument("--rounds", type=int, choices=range(1, 21), metavar="N", default=3, help="rounds (3)")
    parser.add_argument("--connections", type=int, default=64, help="(64)")
    parser.add_argument("--ttl", type=float, default=3_600.0, help="cache.ttl_s of the service (3600)")
    parser.add_argument("--max-keks", type=int, default=0, help="cache.max_keks (three times the keys)")
    parser.add_argument("--json", action="store_true", help="print the whole document")
    parser.add_argument("--docs", action="store_true", help=f"write docs/benchmarks/{KEYS_PAGE} anew")
    parser.add_argument("--workspace", type=Path, default=_ROOT / ".deps" / "bench", help="(.deps/bench)")
    return parser.parse_args(arguments)


def _numbers(text: str) -> list[int]:
    numbers = sorted({int(part) for part in text.split(",")})
    if not 1 <= numbers[0] <= numbers[-1] <= _MAX_KEYS:
        raise ValueError(text)
    return numbers


def _progress(step: str) -> None:
    print(step, file=sys.stderr, flush=True)
