"""The document of results: what was measured, as medians over rounds; ``verdicts`` adds ratios and judges."""

from collections.abc import Sequence
from statistics import median

import msgspec

from bench.fdatasyncs import DiskCost
from bench.measure import Sample, Samples, Task
from strongroom.bench import Cell, Machine, items_of, summarise

STRONGROOM = "Strongroom"
STRONGROOM_TLS = "Strongroom, TLS"
WITHOUT_FDATASYNC = "Strongroom without fdatasync"
OPENBAO = "OpenBao transit"

QUIET_OTHERS = 0.08


class SubjectCell(msgspec.Struct, frozen=True):
    """One subject at one task."""

    subject: str
    server_us: float
    client_us: float
    others: float
    """Share of the processor that others used meanwhile."""
    cell: Cell

    @property
    def item_us(self) -> float:
        """Microseconds of processor time of all processes of the subject, per item."""
        return self.server_us / self.cell.items

    @property
    def items_a_core(self) -> float:
        """Items in a second of one core that does nothing else; the load generator is not counted."""
        return 1e6 / self.item_us


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
    signing_alone_us: list[float] = []
    """Of each round: microseconds of processor time of one P-256 signature by ``cryptography`` and nothing else."""
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
        cell=summarise(
            task.operation,
            task.connections,
            [sample.run for sample in taken],
            items=items_of(task.operation),
        ),
    )
