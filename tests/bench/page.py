"""The page of results: Markdown, and the charts that it shows."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bench.chart import BLUE, GREEN, LIGHT_BLUE, ORANGE, Bar, Chart, Group, Series, render_chart
from bench.findings import OPENBAO, STRONGROOM, STRONGROOM_TLS, WITHOUT_FDATASYNC, Results, SubjectCell
from strongroom.bench import BATCH_ITEM_BYTES, BATCH_ITEMS, BATCH_OPERATIONS, SINGLE_OPERATIONS

RESULTS_FILE = "results.json"
PAGE_FILE = "results.md"
RATE_CHART = "rate.svg"
LATENCY_CHART = "latency.svg"
BATCH_CHART = "batches.svg"
_COLUMNS = (
    "P50 and P99 in milliseconds; processor time in microseconds per request, of all processes of the subject and "
    "of the load generator."
)
_CHARTED = (
    Series(STRONGROOM, BLUE),
    Series(STRONGROOM_TLS, LIGHT_BLUE),
    Series(WITHOUT_FDATASYNC, GREEN),
    Series(OPENBAO, ORANGE),
)


def write_docs(results: Results, folder: Path) -> None:
    """Write the page, its charts and the document they are made from."""
    folder.mkdir(exist_ok=True)
    document = msgspec.json.format(msgspec.json.encode(results), indent=1)
    (folder / RESULTS_FILE).write_bytes(document + b"\n")
    (folder / PAGE_FILE).write_text(render_page(results))
    for name, chart in _charts(results).items():
        (folder / name).write_text(render_chart(chart))


def _charts(results: Results) -> dict[str, Chart]:
    charts: dict[str, Chart] = {}
    if set(results.operations) & set(SINGLE_OPERATIONS):
        charts |= {RATE_CHART: rate_chart(results), LATENCY_CHART: latency_chart(results)}
    if set(results.operations) & set(BATCH_OPERATIONS):
        charts[BATCH_CHART] = batch_chart(results)
    return charts


def rate_chart(results: Results) -> Chart:
    """Return requests per second of all who do the same work."""
    series = _measured(results, _CHARTED)

    def bar(found: SubjectCell) -> Bar:
        return Bar(found.cell.rate)

    return Chart(
        "Requests answered per second",
        _conditions(results),
        "per second",
        series,
        _charted_groups(results, series, SINGLE_OPERATIONS, bar),
    )


def batch_chart(results: Results) -> Chart:
    """Return items per second, of batches."""
    series = [one for one in _measured(results, _CHARTED) if one.name in (STRONGROOM, OPENBAO)]

    def bar(found: SubjectCell) -> Bar:
        return Bar(found.cell.item_rate)

    return Chart(
        f"Items per second in batches of {BATCH_ITEMS}, each of {BATCH_ITEM_BYTES} bytes",
        f"{_conditions(results)}; logarithmic",
        "items per second",
        series,
        _charted_groups(results, series, BATCH_OPERATIONS, bar),
        is_logarithmic=True,
    )


def latency_chart(results: Results) -> Chart:
    """Return median and 99th percentile of the time to an answer."""
    series = [one for one in _measured(results, _CHARTED) if one.name != WITHOUT_FDATASYNC]

    def bar(found: SubjectCell) -> Bar:
        return Bar(found.cell.p50_ms, found.cell.p99_ms)

    return Chart(
        "Time to an answer: median (bar, upper number) and 99th percentile (line, lower number)",
        f"{_conditions(results)}; logarithmic",
        "ms",
        series,
        _charted_groups(results, series, SINGLE_OPERATIONS, bar),
        is_logarithmic=True,
    )


def _conditions(results: Results) -> str:
    return (
        f"By number of connections; medians of {results.rounds} rounds of {results.seconds:g} s; "
        f"{results.machine.cores} cores, shared with the load generator"
    )


def _measured(results: Results, charted: Sequence[Series]) -> list[Series]:
    present = {found.subject for found in results.cells}
    return [series for series in charted if series.name in present]


def _charted_groups(
    results: Results, series: Sequence[Series], of: Sequence[str], bar: Callable[[SubjectCell], Bar]
) -> list[Group]:
    groups = []
    for operation in (operation for operation in results.operations if operation in of):
        for number in results.connections:
            found = [results.find(one.name, operation, number) for one in series]
            bars = [None if cell is None else bar(cell) for cell in found]
            groups.append(Group(operation, str(number), bars))
    return groups


def render_page(results: Results) -> str:
    """Return the Markdown page."""
    blocks = [
        "# Benchmark results",
        "Made by `./dev bench --docs`; do not edit. [How it measures, and what it does not show](../benchmarks.md).",
        _circumstances(results),
        "## Targets",
        _table(
            ["Target", "Seen (median; lowest to highest round)", "Verdict"],
            [[verdict.target, verdict.seen, verdict.word] for verdict in results.verdicts],
        ),
        "## Ratios",
        _ratio_table(results),
        "## Rates and times",
        *(f"![{chart.title}]({name})" for name, chart in _charts(results).items()),
        _COLUMNS,
        _cell_table(results),
        "## The disk",
        _disk(results),
    ]
    return "\n\n".join(blocks) + "\n"


def _circumstances(results: Results) -> str:
    machine = results.machine
    how_quiet = f"load average {machine.load_before:g} before, {results.others:.0%} of the processor used by others meanwhile"
    quiet = (
        f"The machine was quiet ({how_quiet})."
        if results.was_quiet
        else f"**The machine was not quiet ({how_quiet}): ratios are rough, absolute figures say little.**"
    )
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    return (
        f"{results.taken_at}, Strongroom {results.strongroom} ({results.commit}). {machine.cpu}, {machine.cores} cores, "
        f"{machine.memory_mib / 1024:.0f} GiB, {machine.system}, {results.disk.filesystem}; {versions}. "
        f"{results.rounds} rounds, {results.seconds:g} s each; API processes: {results.api_processes}; plaintexts of "
        f"{results.plaintext_bytes} bytes, batches of {BATCH_ITEMS} items of {BATCH_ITEM_BYTES} bytes. {quiet} Failed requests: {results.failed_requests}."
    )


def _ratio_table(results: Results) -> str:
    rows = [
        [
            f"{ratio.of} / {ratio.to}",
            ratio.operation,
            str(ratio.connections),
            f"{ratio.value:.2f}",
            f"{ratio.lowest:.2f} to {ratio.highest:.2f}",
        ]
        for ratio in sorted(results.ratios, key=lambda ratio: (ratio.of, ratio.to))
    ]
    return _table(["Rate of / to", "Operation", "Connections", "Ratio", "Rounds"], rows)


def _cell_table(results: Results) -> str:
    rows = [
        [
            found.cell.operation,
            str(found.cell.connections),
            found.subject,
            f"{found.cell.rate:,.0f}",
            f"{found.cell.item_rate:,.0f}" if found.cell.items > 1 else "",
            f"{found.cell.p50_ms:.2f}",
            f"{found.cell.p99_ms:.2f}",
            f"{found.server_us:.0f}",
            f"{found.client_us:.0f}",
        ]
        for found in results.cells
    ]
    return _table(
        [
            "Operation",
            "Connections",
            "Subject",
            "Requests/s",
            "Items/s",
            "P50",
            "P99",
            "Server µs",
            "Client µs",
        ],
        rows,
    )


def _disk(results: Results) -> str:
    disk = results.disk
    rows = [
        [
            count.operation,
            str(count.connections),
            f"{count.per_request:.3f}",
            f"{1 / count.per_request:.1f}" if count.calls else "-",
            f"{count.mean_ms:.3f}",
        ]
        for count in results.fdatasyncs
    ]
    return (
        f"One fdatasync of 512 appended bytes, with nothing around it: median {disk.p50_ms:.3f} ms, mean {disk.mean_ms:.3f} ms, "
        f"P99 {disk.p99_ms:.3f} ms ({disk.calls} calls on {disk.filesystem}). The service, its calls of fdatasync counted:\n\n"
        + _table(
            [
                "Operation",
                "Connections",
                "fdatasync per request",
                "Requests per fdatasync",
                "Mean ms of a call",
            ],
            rows,
        )
        + f"\n\nAfterwards the audit log of the first service verified, with {results.audit_entries:,} entries, at least one for "
        "each answer."
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
