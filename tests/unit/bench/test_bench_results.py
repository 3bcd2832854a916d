"""Medians, ratios and verdicts, and the page that is made of them."""

import json
import re
from pathlib import Path

import msgspec
import pytest

from bench.fdatasyncs import DiskCost
from bench.findings import (
    OPENBAO,
    STRONGROOM,
    STRONGROOM_TLS,
    WITHOUT_FDATASYNC,
    Results,
    SyncCount,
    cells_of,
)
from bench.measure import Sample, Task, plan
from bench.page import render_page, write_docs
from bench.signing import signing_alone_us
from bench.verdicts import judged
from strongroom.bench import OPERATIONS, SINGLE_OPERATIONS, Errors, Machine, Run, summarise

MACHINE = Machine("a processor", 2, 4096, "Linux 6", "3.11.2", 0.1)


def _run(rate, *, p50_ms=1.0, errors=0):
    return Run(1000, 2.0, rate, p50_ms, p50_ms * 3, p50_ms * 9, Errors(status=errors))


def _samples(rates, *, p50_ms=1.0, errors=0):
    return [Sample(_run(rate, p50_ms=p50_ms, errors=errors), 50.0, 10.0, 0.01) for rate in rates]


def _results(
    *, strongroom=(40.0,), openbao=(10.0,), without=(50.0,), filesystem="ext4", calls=1010, **changes
):
    samples = {}
    for operation in OPERATIONS:
        for number in (1, 64):
            samples[Task(STRONGROOM, operation, number)] = _samples(strongroom, p50_ms=0.30)
            samples[Task(STRONGROOM_TLS, operation, number)] = _samples(strongroom)
            samples[Task(OPENBAO, operation, number)] = _samples(openbao)
            samples[Task(WITHOUT_FDATASYNC, operation, number)] = _samples(without, p50_ms=0.20)
    samples[Task("echo", "Echo", 64)] = _samples([100.0] * len(strongroom))
    results = Results(
        taken_at="2026-01-01 00:00 UTC",
        strongroom="0.1.0",
        commit="abcdef0",
        machine=MACHINE,
        versions={"wrk": "4.1.0"},
        seconds=2.0,
        rounds=len(strongroom),
        connections=[1, 64],
        operations=list(OPERATIONS),
        api_processes=1,
        plaintext_bytes=32,
        disk=DiskCost(filesystem, 500, 0.1, 0.1, 0.4),
        audit_entries=12_345,
        cells=cells_of(samples),
        fdatasyncs=[SyncCount(operation, 1, 1000, calls, 0.1) for operation in OPERATIONS],
        signing_alone_us=[30.0, 40.0, 35.0],
    )
    return judged(msgspec.structs.replace(results, **changes), ["echo"])


def _verdicts(results, about):
    return {verdict.passed for verdict in results.verdicts if about in verdict.target}


def test_each_figure_is_the_median_of_its_runs_and_errors_add_up():
    runs = [_run(10.0, p50_ms=3.0, errors=1), _run(30.0, p50_ms=1.0), _run(20.0, p50_ms=2.0, errors=4)]
    cell = summarise("Encrypt", 8, runs)
    assert (cell.rate, cell.p50_ms, cell.p99_ms, cell.errors) == (20.0, 2.0, 6.0, 5)
    with pytest.raises(ValueError, match="no run"):
        summarise("Encrypt", 8, [])


def test_a_ratio_is_taken_between_neighbours_of_the_same_round():
    """The machine was three times as slow in the second round: the ratio of medians would be wrong."""
    results = _results(
        strongroom=(90.0, 30.0, 100.0), openbao=(30.0, 10.0, 20.0), without=(90.0, 30.0, 100.0)
    )
    ratio = next(ratio for ratio in results.ratios if ratio.to == OPENBAO)
    assert (ratio.value, ratio.lowest, ratio.highest) == (3.0, 3.0, 5.0)


@pytest.mark.parametrize(("openbao", "passed"), [(8.0, True), (8.1, False)])
def test_five_times_openbao_is_judged_at_64_connections(openbao, passed):
    results = _results(openbao=(openbao,))
    assert _verdicts(results, "times OpenBao") == {passed}
    assert all("64 connections" in v.target for v in results.verdicts if "times OpenBao" in v.target)


@pytest.mark.parametrize(("without", "passed"), [(72.0, True), (73.0, False)])
def test_durable_audit_may_cost_45_percent(without, passed):
    assert _verdicts(_results(without=(without,)), "of the rate") == {passed}


@pytest.mark.parametrize(("calls", "passed"), [(1000, True), (1200, True), (1201, False), (400, False)])
def test_one_connection_needs_one_fdatasync_a_request_and_hardly_more(calls, passed):
    assert _verdicts(_results(calls=calls), "fdatasync a request") == {passed}


@pytest.mark.parametrize(("p50_ms", "passed"), [(0.1, True), (0.08, False)])
def test_the_time_that_audit_adds_is_measured_in_fdatasyncs_of_this_disk(p50_ms, passed):
    results = _results(disk=DiskCost("ext4", 500, p50_ms, p50_ms, 0.4))
    assert _verdicts(results, "fdatasync of this disk") == {passed}


def _verdict(results, beginning):
    (verdict,) = [verdict for verdict in results.verdicts if verdict.target.startswith(beginning)]
    return verdict.passed


def _with_server_us(operation, server_us):
    results = _results()
    cells = [
        msgspec.structs.replace(found, server_us=server_us) if found.cell.operation == operation else found
        for found in results.cells
    ]
    return judged(msgspec.structs.replace(results, cells=cells), ["echo"])


@pytest.mark.parametrize("operation", ["BatchEncrypt", "BatchDecrypt"])
@pytest.mark.parametrize(("server_us", "passed"), [(666.0, True), (667.0, False)])
def test_batches_are_judged_by_items_in_a_second_of_one_core(operation, server_us, passed):
    """A batch has 100 items, so 666 us of processor time for one are 150,150 items a second."""
    results = _with_server_us(operation, server_us)
    assert _verdict(results, f"{operation}, 64 connections: at least 150,000 items") is passed


@pytest.mark.parametrize(
    ("operation", "server_us", "passed"),
    [
        ("Sign", 52.0, True),
        ("Sign", 53.0, False),
        ("BatchSign", 5_250.0, True),
        ("BatchSign", 5_300.0, False),
    ],
)
def test_a_signature_is_judged_by_the_processor_time_of_one_alone(operation, server_us, passed):
    results = _with_server_us(operation, server_us)
    assert _verdict(results, f"{operation}, 64 connections: a P-256 signature") is passed


def test_batches_are_not_compared_with_servers_that_echo_small_requests():
    assert {ratio.operation for ratio in _results().ratios if ratio.to == "echo"} == set(SINGLE_OPERATIONS)


def test_items_are_counted_and_not_only_requests():
    found = _results().find(STRONGROOM, "BatchEncrypt", 64)
    assert (found.cell.rate, found.cell.item_rate) == (40.0, 4_000.0)


def test_signing_alone_is_measured_in_microseconds():
    assert 1 < signing_alone_us(seconds=0.05) < 100_000


def test_a_disk_in_memory_is_not_judged():
    results = _results(filesystem="tmpfs")
    assert _verdicts(results, "of the rate") == _verdicts(results, "fdatasync of this disk") == {None}


def test_the_document_can_be_read_back():
    results = _results()
    assert msgspec.json.decode(msgspec.json.encode(results), type=Results) == results


def test_the_page_shows_every_verdict_every_ratio_and_every_cell():
    results = _results()
    page = render_page(results)
    for verdict in results.verdicts:
        assert f"| {verdict.target} | {verdict.seen} | {verdict.word} |" in page
    assert page.count(" to ") >= len(results.ratios)
    assert all(f"| {found.cell.connections} | {found.subject} |" in page for found in results.cells)
    assert "12,345 entries" in page


@pytest.mark.parametrize(
    ("load_before", "others", "words"),
    [(0.1, 0.01, "was quiet"), (1.9, 0.01, "was not quiet"), (0.1, 0.3, "was not quiet")],
)
def test_the_page_says_whether_the_machine_was_quiet(load_before, others, words):
    results = _results(machine=msgspec.structs.replace(MACHINE, load_before=load_before))
    cells = [msgspec.structs.replace(cell, others=others) for cell in results.cells]
    assert words in render_page(msgspec.structs.replace(results, cells=cells))


def test_every_picture_and_document_of_the_page_is_written(tmp_path: Path):
    write_docs(_results(), tmp_path)
    page = (tmp_path / "results.md").read_text()
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page):
        assert (tmp_path / picture).read_text().startswith("<svg ")
    assert json.loads((tmp_path / "results.json").read_text())["commit"] == "abcdef0"


class _Subject:
    def __init__(self, name, operations):
        self.name = name
        self.operations = operations


def test_those_that_are_compared_are_measured_one_right_after_the_other():
    subjects = [_Subject("a", ["Encrypt"]), _Subject("echo", ["Echo"]), _Subject("b", ["Encrypt"])]
    order = [
        (subject.name, operation, number)
        for subject, operation, number in plan(subjects, ["Encrypt", "Echo"], [1, 8])
    ]
    assert order == [
        ("a", "Encrypt", 1), ("b", "Encrypt", 1), ("echo", "Echo", 1),
        ("a", "Encrypt", 8), ("b", "Encrypt", 8), ("echo", "Echo", 8),
    ]  # fmt: skip
