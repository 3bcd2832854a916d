"""``strongroom bench``: how fast the running service answers, and how evenly."""

from collections.abc import Sequence

import click

from strongroom.cli._output import Output
from strongroom.cli._reporting import reporting

OPERATIONS = ("Encrypt", "Decrypt", "GenerateDataKey")
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


@click.command
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
def bench(
    output: Output, *, seconds: float, connections: Sequence[int], operations: Sequence[str], key: str | None
) -> None:
    """Put the running service under full load, and show how fast and how evenly it answers.

    Requests are signed beforehand and sent by wrk, which has to be installed. Each leaves its audit entry, as
    any other does. Ends with exit status 1 when a request fails.
    """
    from strongroom.cli._bench_load import measure_service  # late: it brings half the house with it

    measure_service(output, seconds=seconds, connections=connections, operations=operations, key=key)
