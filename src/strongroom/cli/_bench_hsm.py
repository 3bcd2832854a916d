"""The load of ``bench hsm``: a throw-away SoftHSM member, keys on it, and calls through its worker."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

import uvloop

from strongroom.bench import BenchKeys, CallCell, describe_machine, measure_calls, member_calls
from strongroom.cli._errors import NotDoneError
from strongroom.cli._output import Output
from strongroom.core import SystemClock
from strongroom.wiring.throwaway_member import make_bench_keys, throwaway_member

LOADS = ((1, 1), (2, 1), (8, 1), (32, 1), (1, 16), (1, 256))
"""Callers, and calls that each sends together."""


def measure_member(output: Output, *, seconds: float, calls: Sequence[str]) -> None:
    """Measure each call at each load. Raises NotDoneError when a call failed, and HsmError."""
    with (
        tempfile.TemporaryDirectory(prefix="strongroom-bench-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        cells = runner.run(_measure(output, Path(folder), seconds, calls))
    output.document({"seconds": seconds, "machine": describe_machine(), "cells": cells})
    output.table(
        ["CALL", "CALLERS", "BATCH", "CALLS/S", "P50 US", "P99 US", "FAILED"],
        [
            [
                cell.call,
                str(cell.callers),
                str(cell.batch),
                f"{cell.rate:,.0f}",
                f"{cell.p50_us:,.0f}",
                f"{cell.p99_us:,.0f}",
                str(cell.failed),
            ]
            for cell in cells
        ],
    )
    output.say(
        "", "P50 and P99 are of whole batches. The caller ran on this machine too and took its part of it."
    )
    if any(cell.failed for cell in cells):
        raise NotDoneError("calls failed, so the figures say nothing", next_step="run it again with --json")


async def _measure(output: Output, folder: Path, seconds: float, names: Sequence[str]) -> list[CallCell]:
    clock = SystemClock()
    cells = []
    output.progress("making a throw-away SoftHSM token, and keys on it")
    async with throwaway_member(folder) as member:
        keys = BenchKeys(*await make_bench_keys(member))
        calls = await member_calls(member.use, keys, clock=clock)
        for name in names:
            for callers, batch in LOADS:
                cell = await measure_calls(
                    name, calls[name], callers=callers, batch=batch, seconds=seconds, clock=clock
                )
                cells.append(cell)
            output.progress(
                f"{name}: up to {max(cell.rate for cell in cells if cell.call == name):,.0f} calls a second"
            )
    return cells
