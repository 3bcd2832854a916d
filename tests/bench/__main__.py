"""Reads the options, runs the comparison, prints what was seen, and writes the page if asked."""

import argparse
import signal
import sys
from pathlib import Path

import msgspec

from bench.audit import main as measure_audit
from bench.comparison import Settings, compare
from bench.findings import Results
from bench.hsm import main as compare_with_c
from bench.many_keys import main as measure_many_keys
from bench.page import write_docs
from strongroom.bench import OPERATIONS
from strongroom.core import StrongroomError

_ROOT = Path(__file__).parents[2]
_MAX_SECONDS = 60.0


def main() -> int:
    """Run the comparison; returns the exit status."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))  # so that what was started is ended
    if sys.argv[1:2] == ["hsm"]:
        return compare_with_c(sys.argv[2:])
    if sys.argv[1:2] == ["audit"]:
        return measure_audit(sys.argv[2:])
    if sys.argv[1:2] == ["keys"]:
        return measure_many_keys(sys.argv[2:])
    options = _options()
    settings = Settings(
        seconds=options.seconds,
        rounds=options.rounds,
        connections=options.connections,
        operations=options.operations,
        with_openbao=not options.without_openbao,
    )
    try:
        options.workspace.mkdir(parents=True, exist_ok=True)
        results = compare(settings, options.workspace, progress=_progress)
    except StrongroomError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(results), indent=1).decode())
    else:
        _show(results)
    if results.failed_requests:
        print(f"bench: {results.failed_requests} requests failed; the figures say nothing", file=sys.stderr)
        return 1
    if options.docs:
        write_docs(results, _ROOT / "docs" / "benchmarks")
        _progress("wrote docs/benchmarks")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./dev bench", description="Compare Strongroom with OpenBao, with bare servers, and with itself without fdatasync."
    )  # fmt: skip
    parser.add_argument("--seconds", type=_seconds, default=2.0, help="length of each run (2)")
    parser.add_argument("--rounds", type=int, choices=range(1, 21), metavar="N", default=2, help="rounds (2)")
    parser.add_argument(
        "--connections", type=_numbers, default=[1, 8, 64], help="numbers of connections (1,8,64)"
    )
    parser.add_argument(
        "--operations",
        type=_operations,
        default=list(OPERATIONS),
        help=f"what to measure ({','.join(OPERATIONS)})",
    )
    parser.add_argument("--without-openbao", action="store_true", help="leave OpenBao out")
    parser.add_argument("--json", action="store_true", help="print the whole document")
    parser.add_argument("--docs", action="store_true", help="write docs/benchmarks anew")
    parser.add_argument(
        "--workspace",
        type=Path,
        default=_ROOT / ".deps" / "bench",
        help="where homes and logs lie meanwhile; on the kind of disk that is to be measured (.deps/bench)",
    )
    return parser.parse_args()


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0.1 <= seconds <= _MAX_SECONDS:
        raise ValueError(text)
    return seconds


def _numbers(text: str) -> list[int]:
    numbers = sorted({int(part) for part in text.split(",")})
    if not 1 <= numbers[0] <= numbers[-1] <= 10_000:
        raise ValueError(text)
    return numbers


def _operations(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not set(names) <= set(OPERATIONS):
        raise ValueError(text)
    return names


def _progress(step: str) -> None:
    print(step, file=sys.stderr, flush=True)


def _show(results: Results) -> None:
    if not results.was_quiet:
        print(
            f"The machine was not quiet: load average {results.machine.load_before:g} before, others used "
            f"{results.others:.0%} of the processor meanwhile."
        )
    for verdict in results.verdicts:
        print(f"{verdict.word:<10} {verdict.target}: {verdict.seen}")
    print()
    for ratio in results.ratios:
        print(
            f"{ratio.operation:<16} {ratio.connections:>4} conn.  {ratio.of} / {ratio.to}: {ratio.value:.2f}"
            f"  ({ratio.lowest:.2f} to {ratio.highest:.2f})"
        )


if __name__ == "__main__":
    sys.exit(main())
