"""``./dev bench hsm``: calls through a member worker, singly and in batches, beside a C program that makes the same calls.

The C program works on the same token, on each kind of call right before the worker does, so that what else the machine
does falls on both.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median

import msgspec
import uvloop

from strongroom.bench import BenchKeys, Call, CallCell, Machine, describe_machine, measure_calls, member_calls
from strongroom.config import read_pin, softhsm_module
from strongroom.core import SystemClock
from strongroom.hsm.token import load_profile
from strongroom.wiring.throwaway_member import ThrowawayMember, make_bench_keys, throwaway_member
from strongroom.wiring.workers import member_environment

_PROGRAM = Path(__file__).with_name("hsm_calls.c")
_LOADS = ((1, 1), (2, 1), (8, 1), (32, 1), (1, 16), (1, 256))
_TARGETS = (("rsa-sign", (32, 1), 0.9), ("unwrap", (1, 256), 0.6))
"""Call, load, and which part of the C program's rate it is to reach."""
_SINGLE_LIMIT = 2.0
"""Round trips that a single unwrap may last."""


class Row(msgspec.Struct, frozen=True):
    """One call at one load: medians over the rounds."""

    call: str
    callers: int
    batch: int
    rate: float
    p50_us: float
    of_c: float | None
    """Our rate as part of the C program's on one session; None for the round trip, which is no HSM call."""


class HsmResults(msgspec.Struct, frozen=True):
    """Everything that was seen."""

    machine: Machine
    rounds: int
    seconds: float
    c_rates: dict[str, float]
    rows: list[Row]
    targets: list[str]
    """In words: what was to be reached, and what was."""


def main(arguments: list[str]) -> int:
    """Run the comparison; returns the exit status."""
    parser = argparse.ArgumentParser(prog="./dev bench hsm", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of each run (1)")
    parser.add_argument("--rounds", type=int, choices=range(1, 21), metavar="N", default=3, help="rounds (3)")
    parser.add_argument("--json", action="store_true", help="print the whole document")
    options = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="strongroom-bench-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        results = runner.run(_compare(Path(folder), options.seconds, options.rounds))
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(results), indent=1).decode())
    else:
        _show(results)
    return 0


async def _compare(folder: Path, seconds: float, rounds: int) -> HsmResults:
    program = folder / "hsm_calls"
    subprocess.run(["cc", "-O2", "-o", program, _PROGRAM, "-ldl"], check=True)  # nothing else runs yet
    home = folder / "home"
    home.mkdir(mode=0o700)
    clock = SystemClock()
    cells: list[CallCell] = []
    c_runs: list[tuple[str, float]] = []
    async with throwaway_member(home) as member:
        keys = BenchKeys(*await make_bench_keys(member))
        calls = await member_calls(member.use, keys, clock=clock)
        for number in range(rounds):
            print(f"  round {number + 1} of {rounds}", file=sys.stderr)
            for name, call in calls.items():
                if name != "round-trip":
                    c_runs.append((name, await _run_c(program, member, keys, seconds, name)))
                cells += await _run_ours(name, call, seconds, clock)
    c_rates = {name: median(rate for of, rate in c_runs if of == name) for name in dict(c_runs)}
    rows = [_row(cells, name, load, c_rates) for name in calls for load in _LOADS]
    return HsmResults(describe_machine(), rounds, seconds, c_rates, rows, _targets(rows))


async def _run_ours(name: str, call: Call, seconds: float, clock: SystemClock) -> list[CallCell]:
    return [
        await measure_calls(name, call, callers=callers, batch=batch, seconds=seconds, clock=clock)
        for callers, batch in _LOADS
    ]


async def _run_c(program: Path, member: ThrowawayMember, keys: BenchKeys, seconds: float, name: str) -> float:
    module = softhsm_module() or load_profile(member.config.profile).find_module()
    key_id = {"rsa-sign": keys.rsa.key_id, "p256-sign": keys.p256.key_id}.get(name, keys.root_id)
    process = await asyncio.create_subprocess_exec(
        program,
        module,
        member.config.token_serial or "",
        str(seconds),
        f"{name}={bytes(key_id).hex()}",
        env=member_environment(member.config, member.home),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    pin = read_pin(member.config.pin, member.home.root)
    output, _ = await process.communicate(pin.reveal() + b"\n")
    if process.returncode != 0:
        raise RuntimeError("the C program failed; its reason is above")
    _name, count, lasted_s = output.decode().split()
    return int(count) / float(lasted_s)


def _row(cells: list[CallCell], name: str, load: tuple[int, int], c_rates: Mapping[str, float]) -> Row:
    runs = [cell for cell in cells if (cell.call, (cell.callers, cell.batch)) == (name, load)]
    rate = median(cell.rate for cell in runs)
    of_c = rate / c_rates[name] if name in c_rates else None
    return Row(name, *load, rate, median(cell.p50_us for cell in runs), of_c)


def _targets(rows: list[Row]) -> list[str]:
    found = {(row.call, (row.callers, row.batch)): row for row in rows}
    words = [
        f"{name} with {load[0]} callers and batches of {load[1]}: {found[name, load].of_c or 0:.0%} of C"
        f" (target: at least {part:.0%})"
        for name, load, part in _TARGETS
    ]
    single, empty = found["unwrap", (1, 1)].p50_us, found["round-trip", (1, 1)].p50_us
    return [
        *words,
        f"a single unwrap: {single / empty:.1f} empty round trips (target: at most {_SINGLE_LIMIT:g})",
    ]


def _show(results: HsmResults) -> None:
    print("\n".join(f"C, one session  {name:<10} {rate:>10,.0f}/s" for name, rate in results.c_rates.items()))
    print(f"{'call':<10} {'callers':>7} {'batch':>6} {'calls/s':>10} {'p50 us':>10} {'of C':>6}")
    for row in results.rows:
        part = "" if row.of_c is None else f"{row.of_c:.0%}"
        print(
            f"{row.call:<10} {row.callers:>7} {row.batch:>6} {row.rate:>10,.0f} {row.p50_us:>10,.0f} {part:>6}"
        )
    print("\n".join(results.targets))
