"""The load of ``bench``: find the service, measure, show."""

from collections.abc import Sequence

from strongroom.bench import (
    Cell,
    KmsCaller,
    RequestMaker,
    Wrk,
    describe_machine,
    drive,
    items_of,
    summarise,
)
from strongroom.cli._endpoint import find_service
from strongroom.cli._errors import NotDoneError
from strongroom.cli._output import Output
from strongroom.config import Home, home_from_environment
from strongroom.core import SystemClock


def measure_service(
    output: Output, *, seconds: float, connections: Sequence[int], operations: Sequence[str], key: str | None
) -> None:
    """Measure every operation at every number of connections. Raises NotDoneError when a request failed."""
    wrk, machine = Wrk.find(), describe_machine()
    service = find_service(Home(home_from_environment()))
    maker = RequestMaker(KmsCaller(service, clock=SystemClock()), key_id=key)
    output.progress(f"{service.endpoint.url}, key {maker.key_id}, {seconds:g} s each")
    cells = []
    for number in connections:
        for operation in operations:
            requests = maker.requests(operation)
            run = drive(wrk, service.endpoint, requests, connections=number, seconds=seconds)
            cells.append(summarise(operation, number, [run], items=items_of(operation)))
            output.progress(f"{operation}, connections: {number}, requests a second: {run.rate:,.0f}")
    output.document(
        {
            "endpoint": service.endpoint.url,
            "key_id": maker.key_id,
            "seconds": seconds,
            "machine": machine,
            "wrk": wrk.version(),
            "cells": cells,
        }
    )
    _show(output, cells)
    failed = sum(cell.errors for cell in cells)
    if failed:
        raise NotDoneError(
            f"{failed} requests failed, so the figures say nothing",
            next_step="look at the log of the service, and see: strongroom status",
        )


def _show(output: Output, cells: Sequence[Cell]) -> None:
    output.table(
        ["OPERATION", "CONNECTIONS", "REQUESTS/S", "ITEMS/S", "P50 MS", "P99 MS", "FAILED"],
        [
            [
                cell.operation,
                str(cell.connections),
                f"{cell.rate:,.0f}",
                f"{cell.item_rate:,.0f}",
                f"{cell.p50_ms:.2f}",
                f"{cell.p99_ms:.2f}",
                str(cell.errors),
            ]
            for cell in cells
        ],
    )
    output.say("", "The load generator ran on this machine too and took its part of the processor.")
