"""From samples to results: medians, ratios between neighbours, and the targets with what was seen of them."""

from collections.abc import Sequence
from statistics import median

import msgspec

from bench.fdatasyncs import DiskCost
from bench.measure import Sample, Samples, Task
from strongroom.bench import Cell, Machine, summarise

STRONGROOM = "Strongroom"
STRONGROOM_TLS = "Strongroom, TLS"
WITHOUT_FDATASYNC = "Strongroom without fdatasync"
OPENBAO = "OpenBao transit"

JUDGED_CONNECTIONS = 64
WANTED_TIMES_OPENBAO = 4.0
WANTED_AUDIT_COST = 0.45
WANTED_FDATASYNCS = 1.2
QUIET_OTHERS = 0.08


class SubjectCell(msgspec.Struct, frozen=True):
    """One subject at one task."""

    subject: str
    server_us: float
    client_us: float
    others: float
    """Share of the processor that others used meanwhile."""
    cell: Cell


class SyncCount(msgspec.Struct, frozen=True):
    """How often a service called fdatasync while it answered."""

    operation: str
    connections: int
    requests: int
    calls: int
    mean_ms: float
    """Of one call, as the service saw it."""

    @property
    def per_request(self) -> float:
        """Calls for each request."""
        return self.calls / self.requests


class Ratio(msgspec.Struct, frozen=True):
    """Rate of one subject over that of another: the median over rounds, and its extremes."""

    of: str
    to: str
    operation: str
    connections: int
    value: float
    lowest: float
    highest: float


class Verdict(msgspec.Struct, frozen=True):
    """One target. ``passed`` is None when this run could not judge it."""

    target: str
    seen: str
    passed: bool | None

    @property
    def word(self) -> str:
        """The verdict in a word."""
        return {True: "PASS", False: "FAIL", None: "not judged"}[self.passed]


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """The whole document: everything that the page and its charts are made from."""

    taken_at: str
    strongroom: str
    commit: str
    machine: Machine
    versions: dict[str, str]
    seconds: float
    rounds: int
    connections: list[int]
    operations: list[str]
    api_processes: int
    plaintext_bytes: int
    disk: DiskCost
    audit_entries: int
    """Entries that the audit log of the first service held at the end; the log verified."""
    cells: list[SubjectCell]
    fdatasyncs: list[SyncCount]
    ratios: list[Ratio] = []
    verdicts: list[Verdict] = []

    @property
    def others(self) -> float:
        """Share of the processor that neither subject nor load generator used, while something was measured."""
        return median(found.others for found in self.cells)

    @property
    def was_quiet(self) -> bool:
        """Whether nothing else of weight ran, before and meanwhile."""
        return self.machine.was_quiet and self.others <= QUIET_OTHERS

    @property
    def failed_requests(self) -> int:
        """Over all subjects and rounds."""
        return sum(found.cell.errors for found in self.cells)

    def find(self, subject: str, operation: str, connections: int) -> SubjectCell | None:
        """Return one cell, if it was measured."""
        for found in self.cells:
            if (found.subject, found.cell.operation, found.cell.connections) == (
                subject,
                operation,
                connections,
            ):
                return found
        return None


def cells_of(samples: Samples) -> list[SubjectCell]:
    """Take the medians."""
    return [_subject_cell(task, taken) for task, taken in samples.items()]


def _subject_cell(task: Task, taken: Sequence[Sample]) -> SubjectCell:
    return SubjectCell(
        subject=task.subject,
        server_us=median(sample.server_us for sample in taken),
        client_us=median(sample.client_us for sample in taken),
        others=median(sample.others for sample in taken),
        cell=summarise(task.operation, task.connections, [sample.run for sample in taken]),
    )


def judged(results: Results, ceilings: Sequence[str]) -> Results:
    """Return the results with ratios and verdicts; ``ceilings`` are the names of the bare servers."""
    ratios = []
    for number in results.connections:
        for operation in results.operations:
            for of, to in (
                (STRONGROOM, OPENBAO),
                (STRONGROOM, WITHOUT_FDATASYNC),
                (STRONGROOM_TLS, STRONGROOM),
            ):
                ratios += _ratio(results, of, to, operation, operation, number)
            for ceiling in ceilings:
                ratios += _ratio(results, STRONGROOM, ceiling, operation, "Echo", number)
    with_ratios = msgspec.structs.replace(results, ratios=ratios)
    return msgspec.structs.replace(with_ratios, verdicts=_verdicts(with_ratios))


def _ratio(results: Results, of: str, to: str, operation: str, to_operation: str, number: int) -> list[Ratio]:
    upper, lower = results.find(of, operation, number), results.find(to, to_operation, number)
    if upper is None or lower is None:
        return []
    values = [a.rate / b.rate for a, b in zip(upper.cell.runs, lower.cell.runs, strict=True)]
    return [Ratio(of, to, operation, number, median(values), min(values), max(values))]


def _verdicts(results: Results) -> list[Verdict]:
    return [
        *_against_openbao(results),
        *_cost_of_audit(results),
        *_fdatasyncs_a_request(results),
        *_time_added(results),
    ]


def _against_openbao(results: Results) -> list[Verdict]:
    return [
        Verdict(
            f"{ratio.operation}, {JUDGED_CONNECTIONS} connections: at least {WANTED_TIMES_OPENBAO:g} times OpenBao",
            f"{ratio.value:.2f} ({ratio.lowest:.2f} to {ratio.highest:.2f})",
            ratio.value >= WANTED_TIMES_OPENBAO,
        )
        for ratio in results.ratios
        if ratio.connections == JUDGED_CONNECTIONS and (ratio.of, ratio.to) == (STRONGROOM, OPENBAO)
    ]


def _cost_of_audit(results: Results) -> list[Verdict]:
    verdicts = []
    for ratio in results.ratios:
        if ratio.connections == JUDGED_CONNECTIONS and (ratio.of, ratio.to) == (
            STRONGROOM,
            WITHOUT_FDATASYNC,
        ):
            cost = 1 - ratio.value
            verdicts.append(
                Verdict(
                    f"{ratio.operation}, {JUDGED_CONNECTIONS} connections: durable audit costs at most "
                    f"{WANTED_AUDIT_COST:.0%} of the rate",
                    f"{cost:.0%} ({1 - ratio.highest:.0%} to {1 - ratio.lowest:.0%})",
                    None if _is_in_memory(results) else cost <= WANTED_AUDIT_COST,
                )
            )
    return verdicts


def _fdatasyncs_a_request(results: Results) -> list[Verdict]:
    """Under one call a request at one connection means that some answer went out before its entry was durable."""
    return [
        Verdict(
            f"{count.operation}, 1 connection: at most {WANTED_FDATASYNCS:g} fdatasync a request",
            f"{count.per_request:.3f}",
            0.99 <= count.per_request <= WANTED_FDATASYNCS,
        )
        for count in results.fdatasyncs
        if count.connections == 1
    ]


def _time_added(results: Results) -> list[Verdict]:
    verdicts = []
    for operation in results.operations:
        durable = results.find(STRONGROOM, operation, 1)
        without = results.find(WITHOUT_FDATASYNC, operation, 1)
        if durable is not None and without is not None:
            pairs = zip(durable.cell.runs, without.cell.runs, strict=True)
            added_ms = median(a.p50_ms - b.p50_ms for a, b in pairs)
            times = added_ms / results.disk.p50_ms
            verdicts.append(
                Verdict(
                    f"{operation}, 1 connection: durable audit adds at most the time of {WANTED_FDATASYNCS:g} "
                    "fdatasync of this disk",
                    f"{times:.2f} ({added_ms:.3f} ms; one fdatasync {results.disk.p50_ms:.3f} ms)",
                    None if _is_in_memory(results) else times <= WANTED_FDATASYNCS,
                )
            )
    return verdicts


def _is_in_memory(results: Results) -> bool:
    return results.disk.filesystem in {"tmpfs", "ramfs"}
