"""The order of measurements: rounds, and in each every subject right after the other at the same task.

Whatever else the machine does then meets all subjects alike, and a ratio is taken between neighbours.
"""

import resource
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench.processes import TICKS_A_SECOND, processes_below
from bench.subjects import Subject
from strongroom.bench import Run, Wrk, drive

_WARM_UP_S = 0.5


class Sample(msgspec.Struct, frozen=True):
    """One run, and the processor time that each side took for a request."""

    run: Run
    server_us: float
    """Microseconds of processor time of all processes of the subject, per request."""
    client_us: float
    """Microseconds of processor time of wrk, per request."""
    others: float
    """Share of the whole processor that neither of the two used, yet was not idle."""


class Task(NamedTuple):
    """What is measured at one time."""

    subject: str
    operation: str
    connections: int


Samples = dict[Task, list[Sample]]


def plan(
    subjects: Sequence[Subject], operations: Sequence[str], connections: Sequence[int]
) -> Iterator[tuple[Subject, str, int]]:
    """Yield the tasks of one round; those that are compared stand next to each other."""
    for number in connections:
        for operation in operations:
            for subject in subjects:
                if operation in subject.operations:
                    yield subject, operation, number


def measure(
    wrk: Wrk,
    subjects: Sequence[Subject],
    operations: Sequence[str],
    connections: Sequence[int],
    *,
    rounds: int,
    seconds: float,
    progress: Callable[[str], None],
    after_round: Callable[[], None],
) -> Samples:
    """Measure everything, in rounds. Raises BenchError."""
    for subject, operation, number in plan(subjects, operations, connections[-1:]):
        requests = subject.requests(operation)
        drive(wrk, subject.endpoint, requests, connections=number, seconds=min(seconds, _WARM_UP_S))
    samples: Samples = defaultdict(list)
    tasks = list(plan(subjects, operations, connections))
    for round_number in range(rounds):
        for done, (subject, operation, number) in enumerate(tasks):
            sample = take(wrk, subject, operation, connections=number, seconds=seconds)
            samples[Task(subject.name, operation, number)].append(sample)
            progress(
                f"round {round_number + 1}/{rounds} {done + 1:>3}/{len(tasks)}  {subject.name:<28} {operation:<16}"
                f" {number:>4} conn. {sample.run.rate:>9,.0f}/s  p50 {sample.run.p50_ms:.2f} ms"
                f"  p99 {sample.run.p99_ms:.2f} ms"
                + (f"  {sample.run.errors}" if sample.run.errors.total else "")
            )
        after_round()
    return dict(samples)


def take(wrk: Wrk, subject: Subject, operation: str, *, connections: int, seconds: float) -> Sample:
    """Measure once."""
    requests = subject.requests(operation)
    server_before, client_before, all_before = _server_seconds(subject), _client_seconds(), processor_times()
    run = drive(wrk, subject.endpoint, requests, connections=connections, seconds=seconds)
    server, client = _server_seconds(subject) - server_before, _client_seconds() - client_before
    busy, whole = (after - before for after, before in zip(processor_times(), all_before, strict=True))
    return Sample(
        run,
        server_us=round(server / run.requests * 1e6, 1),
        client_us=round(client / run.requests * 1e6, 1),
        others=round(max(0.0, busy - server - client) / whole, 3) if whole else 0.0,
    )


def processor_times(stat: Path = Path("/proc/stat")) -> tuple[float, float]:
    """Return the seconds that all processors together were busy, and all their seconds, since the start (proc(5))."""
    fields = [int(field) / TICKS_A_SECOND for field in stat.read_text().splitlines()[0].split()[1:9]]
    idle = fields[3] + fields[4]  # waiting for a disk is idle too
    return sum(fields) - idle, sum(fields)


def _server_seconds(subject: Subject) -> float:
    return sum(processes_below(subject.pids).values())


def _client_seconds() -> float:
    """Processor time of our children that have ended: between two looks, that is wrk's."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
