"""What ``./dev bench keys`` saw: figures, the target, and the page of them."""

from collections.abc import Iterator, Sequence
from statistics import median

import msgspec

from bench.findings import Verdict
from strongroom.bench import Cell, Machine

KEYS_FILE = "keys.json"
KEYS_PAGE = "keys.md"
WANTED_APART = 1.2


class KeysCell(msgspec.Struct, frozen=True):
    """One operation with requests over so many keys."""

    n_keys: int
    server_us: float
    """Microseconds of processor time of all processes of the service, per request."""
    cell: Cell


class Warming(msgspec.Struct, frozen=True):
    """What the first uses of all keys took, when none was in memory."""

    rate: float
    """Requests per second of the first run."""
    server_us: float
    cold: float
    """Share of its requests that found their key not in memory."""
    runs: int
    """Until nearly all keys were in memory."""
    cold_at_end: float


class KeysResults(msgspec.Struct, frozen=True, kw_only=True):
    """The whole document."""

    taken_at: str
    commit: str
    machine: Machine
    seconds: float
    rounds: int
    connections: int
    ttl_s: float
    max_keks: int
    max_domains: int
    warming: Warming
    api_memory_mib: list[int]
    """Of each API process, at the end."""
    cells: list[KeysCell]

    @property
    def failed_requests(self) -> int:
        """Over all rounds."""
        return sum(found.cell.errors for found in self.cells)

    @property
    def verdicts(self) -> list[Verdict]:
        """For each operation: how far apart the rates are, whatever the number of keys."""
        verdicts = []
        for cells in self.by_operation():
            apart = [apart_of(cells[0], found) for found in cells]
            widest = max(max(apart) / min(apart), 1.0)
            verdicts.append(
                Verdict(
                    f"{cells[0].cell.operation}: with {cells[0].n_keys:,} to {cells[-1].n_keys:,} keys at most "
                    f"{WANTED_APART:g} times apart",
                    f"{widest:.2f} (processor time: {_widest_us(cells):.2f})",
                    widest <= WANTED_APART,
                )
            )
        return verdicts

    def by_operation(self) -> Iterator[list[KeysCell]]:
        """Yield the cells of each operation, the fewest keys first."""
        for operation in dict.fromkeys(found.cell.operation for found in self.cells):
            yield sorted(
                (found for found in self.cells if found.cell.operation == operation),
                key=lambda found: found.n_keys,
            )


def apart_of(few: KeysCell, many: KeysCell) -> float:
    """Return how many times as fast it is with few keys: the median over rounds."""
    return median(a.rate / b.rate for a, b in zip(few.cell.runs, many.cell.runs, strict=True))


def _widest_us(cells: Sequence[KeysCell]) -> float:
    spent = [found.server_us for found in cells]
    return max(spent) / min(spent)


def rows_of(results: KeysResults) -> list[list[str]]:
    """Return the table."""
    rows = [
        ["Operation", "Keys", "Requests/s", "P50 ms", "P99 ms", "Server µs", "Rate of the fewest keys / this"]
    ]
    for cells in results.by_operation():
        rows += [
            [
                found.cell.operation,
                f"{found.n_keys:,}",
                f"{found.cell.rate:,.0f}",
                f"{found.cell.p50_ms:.2f}",
                f"{found.cell.p99_ms:.2f}",
                f"{found.server_us:.0f}",
                f"{apart_of(cells[0], found):.2f}",
            ]
            for found in cells
        ]
    return rows


def render_keys_page(results: KeysResults) -> str:
    """Return the Markdown page."""
    machine, warming = results.machine, results.warming
    quiet = "quiet" if machine.was_quiet else "**not quiet**"
    head, *rows = rows_of(results)
    table = [head, ["---"] * len(head), *rows]
    memory = ", ".join(str(one) for one in results.api_memory_mib)
    blocks = [
        "# Few keys and many",
        "Made by `./dev bench keys --docs`; do not edit. [How it measures](../benchmarks.md#few-keys-and-many).",
        (
            f"{results.taken_at}, commit {results.commit}. {machine.cpu}, {machine.cores} cores, Python {machine.python}; the machine was {quiet} "
            f"before (load average {machine.load_before:g}). {results.connections} connections, {results.rounds} rounds of {results.seconds:g} s. "
            f"Configured: `cache.max_keks` {results.max_keks:,}, `cache.max_domains` {results.max_domains:,}, `cache.ttl_s` {results.ttl_s:g}. "
            f"Failed requests: {results.failed_requests}."
        ),
        "\n".join(f"- {verdict.word}: {verdict.target}: {verdict.seen}" for verdict in results.verdicts),
        "\n".join(f"| {' | '.join(line)} |" for line in table),
        (
            f"First use of all keys: {warming.rate:,.0f} requests a second, {warming.server_us:.0f} µs of processor time each, when {warming.cold:.0%} "
            f"found their key not in memory; {warming.cold_at_end:.1%} after {warming.runs} runs. Memory of each API process at the "
            f"end: {memory} MiB."
        ),
    ]
    return "\n\n".join(blocks) + "\n"
