"""Ratios between neighbours of a round, and the targets with what was seen of them."""

from collections.abc import Sequence
from statistics import median

import msgspec

from bench.findings import (
    OPENBAO,
    STRONGROOM,
    STRONGROOM_TLS,
    WITHOUT_FDATASYNC,
    Ratio,
    Results,
    Verdict,
)
from strongroom.bench import SINGLE_OPERATIONS

JUDGED_CONNECTIONS = 64
WANTED_TIMES_OPENBAO = 5.0
WANTED_AUDIT_COST = 0.45
WANTED_FDATASYNCS = 1.2
WANTED_ITEMS_A_CORE = 150_000
WANTED_TIMES_SIGNING_ALONE = 1.5
_SYMMETRIC = ("Encrypt", "Decrypt", "GenerateDataKey")
_SYMMETRIC_BATCHES = ("BatchEncrypt", "BatchDecrypt")
_SIGNATURES = ("Sign", "BatchSign")


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
            for ceiling in ceilings if operation in SINGLE_OPERATIONS else ():
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
        *_items_a_core(results),
        *_signatures(results),
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
        if ratio.operation in _SYMMETRIC
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


def _items_a_core(results: Results) -> list[Verdict]:
    verdicts = []
    for operation in _SYMMETRIC_BATCHES:
        found = results.find(STRONGROOM, operation, JUDGED_CONNECTIONS)
        if found is not None:
            verdicts.append(
                Verdict(
                    f"{operation}, {JUDGED_CONNECTIONS} connections: at least {WANTED_ITEMS_A_CORE:,} items a second and core",
                    f"{found.items_a_core:,.0f} ({found.item_us:.2f} µs of processor time for an item)",
                    found.items_a_core >= WANTED_ITEMS_A_CORE,
                )
            )
    return verdicts


def _signatures(results: Results) -> list[Verdict]:
    """Judge signatures by processor time, which other work on the machine hardly changes."""
    verdicts = []
    for operation in _SIGNATURES:
        found = results.find(STRONGROOM, operation, JUDGED_CONNECTIONS)
        if found is not None and results.signing_alone_us:
            alone_us = median(results.signing_alone_us)
            times = found.item_us / alone_us
            verdicts.append(
                Verdict(
                    f"{operation}, {JUDGED_CONNECTIONS} connections: a P-256 signature takes at most "
                    f"{WANTED_TIMES_SIGNING_ALONE:g} times the processor time of `cryptography` alone",
                    f"{times:.2f} ({found.item_us:.1f} µs; alone {alone_us:.1f} µs)",
                    times <= WANTED_TIMES_SIGNING_ALONE,
                )
            )
    return verdicts


def _is_in_memory(results: Results) -> bool:
    return results.disk.filesystem in {"tmpfs", "ramfs"}
