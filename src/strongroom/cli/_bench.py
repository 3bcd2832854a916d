"""``strongroom bench``: how fast the running service answers, and how evenly."""

from collections.abc import Sequence

import click

from strongroom.cli._output import Output
from strongroom.cli._reporting import reporting

OPERATIONS = ("Encrypt", "Decrypt", "GenerateDataKey", "Sign", "BatchEncrypt", "BatchDecrypt", "BatchSign")
HSM_CALLS = ("round-trip", "wrap", "unwrap", "rsa-sign", "p256-sign")
MAX_SECONDS = 120.0
MAX_CONNECTIONS = 10_000


def numbers_of(_ctx: click.Context, _param: click.Parameter, value: str) -> Sequence[int]:
    """Read numbers of connections, separated by commas."""
    parts = [part.strip() for part in value.split(",")]
    if not all(part.isascii() and part.isdecimal() and len(part) < 6 for part in parts) or not all(
        1 <= int(part) <= MAX_CONNECTIONS for part in parts
    ):
        raise click.BadParameter(f"{value!r} is no list of numbers from 1 to {MAX_CONNECTIONS}, like 1,8,64")
    return [int(part) for part in parts]


def operations_of(_ctx: click.Context, _param: click.Parameter, value: str) -> Sequence[str]:
    """Read names of operations, separated by commas."""
    names = [name.strip() for name in value.split(",")]
    for name in names:
        if name not in OPERATIONS:
            raise click.BadParameter(f"{name!r} is not measured; choose from {', '.join(OPERATIONS)}")
    return names


@click.group(invoke_without_command=True)
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, MAX_SECONDS),
    default=3.0,
    show_default=True,
    help="Length of each run.",
)
@click.option(
    "--connections",
    callback=numbers_of,
    default="1,8,64",
    show_default=True,
    help="How many connections at a time; each waits for its answer before it sends again.",
)
@click.option(
    "--operations",
    callback=operations_of,
    default=",".join(OPERATIONS),
    show_default=True,
    help="What to measure.",
)
@click.option("--key", help="The key to use (id, ARN or alias); else one is made, which stays.")
@reporting
@click.pass_context
def bench(
    ctx: click.Context,
    output: Output,
    *,
    seconds: float,
    connections: Sequence[int],
    operations: Sequence[str],
    key: str | None,
) -> None:
    """Put the running service under full load, and show how fast and how evenly it answers.

    Requests are signed beforehand and sent by wrk, which has to be installed. Each leaves its audit entry, as
    any other does. A batch has 100 items of 64 bytes. Ends with exit status 1 when a request fails.
    """
    if ctx.invoked_subcommand is not None:
        return
    from strongroom.cli._bench_load import measure_service  # late: it brings half the house with it

    measure_service(output, seconds=seconds, connections=connections, operations=operations, key=key)


def calls_of(_ctx: click.Context, _param: click.Parameter, value: str) -> Sequence[str]:
    """Read names of calls to a member, separated by commas."""
    names = [name.strip() for name in value.split(",")]
    for name in names:
        if name not in HSM_CALLS:
            raise click.BadParameter(f"{name!r} is not measured; choose from {', '.join(HSM_CALLS)}")
    return names


@bench.command
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, MAX_SECONDS),
    default=1.0,
    show_default=True,
    help="Length of each run.",
)
@click.option(
    "--calls", callback=calls_of, default=",".join(HSM_CALLS), show_default=True, help="What to measure."
)
@reporting
def hsm(output: Output, *, seconds: float, calls: Sequence[str]) -> None:
    """Measure the calls of one HSM member through its worker, on a throw-away SoftHSM token.

    For 1 to 32 callers, one call at a time and in batches of 16 and 256. No service need run, and no home is
    touched. Shows what the worker, the socket and SoftHSM cost on this machine; an HSM in a rack has a speed of its own.
    """
    from strongroom.cli._bench_hsm import measure_member  # late: it brings half the house with it

    measure_member(output, seconds=seconds, calls=calls)
