"""What a run of the load generator showed, and the median of several."""

from collections.abc import Sequence
from statistics import median

import msgspec


class Errors(msgspec.Struct, frozen=True):
    """What went wrong during a run, as wrk counts it."""

    connect: int = 0
    read: int = 0
    write: int = 0
    timeout: int = 0
    status: int = 0
    """Answers with a status of 400 or more."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.connect + self.read + self.write + self.timeout + self.status


class Run(msgspec.Struct, frozen=True):
    """One run of the load generator."""

    requests: int
    """Answers that arrived, refusals too."""
    seconds: float
    rate: float
    """Requests per second."""
    p50_ms: float
    p99_ms: float
    max_ms: float
    errors: Errors = Errors()


class Cell(msgspec.Struct, frozen=True):
    """One operation at one number of connections: the medians of its runs."""

    operation: str
    connections: int
    rate: float
    p50_ms: float
    p99_ms: float
    errors: int
    """Over all runs."""
    runs: list[Run]
    items: int = 1
    """In each request; above 1 for batches."""

    @property
    def item_rate(self) -> float:
        """Items per second."""
        return self.rate * self.items


def summarise(operation: str, connections: int, runs: Sequence[Run], *, items: int = 1) -> Cell:
    """Return the medians of runs, of requests with so many items; each figure is taken by itself.

    Raises ValueError when there is no run.
    """
    if not runs:
        raise ValueError("there is no run to take medians of")
    return Cell(
        operation=operation,
        connections=connections,
        rate=median(run.rate for run in runs),
        p50_ms=median(run.p50_ms for run in runs),
        p99_ms=median(run.p99_ms for run in runs),
        errors=sum(run.errors.total for run in runs),
        runs=list(runs),
        items=items,
    )
