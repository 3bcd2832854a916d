"""``strongroom init``: make a home."""

import click

from strongroom.cli._output import Output
from strongroom.cli._reporting import reporting
from strongroom.client import home_endpoint
from strongroom.config import Home, default_port, home_from_environment, load_config
from strongroom.core import HomeError, SystemClock
from strongroom.wiring.home import require_complete


@click.command
@click.option(
    "--development", is_flag=True, help="Two SoftHSM members, a TLS CA and an access key, made here."
)
@click.option("--example-script", is_flag=True, help="Print a script for a production home, with comments.")
@reporting
def init(output: Output, *, development: bool, example_script: bool) -> None:
    """Make a home: a cluster of HSMs that hold one root key, a database, a TLS certificate, an access key.

    Only the development form exists so far. Running it again on a complete home changes nothing; after an
    interruption it starts afresh.
    """
    if example_script:
        from strongroom.wiring.init_example import EXAMPLE_SCRIPT

        click.echo(EXAMPLE_SCRIPT, nl=False)
        return
    if not development:
        raise click.UsageError(
            "only development homes can be made so far: strongroom init --development\n"
            "Their members are SoftHSM tokens, which protect nothing from whoever can read this disk."
        )
    home = Home(home_from_environment())
    was_made = not _is_complete(home) and _make(home, output)
    url = home_endpoint(home, load_config(home.root)).url
    output.say(
        "Done: two SoftHSM members hold one root key, and each copy is proved."
        if was_made
        else f"{home.root} is complete already; nothing was changed.",
        "",
        "What to do next:",
        f"  strongroom serve            run the service at {url}",
        '  eval "$(strongroom env)"    in another terminal: point AWS clients at it',
        "  strongroom demo             a guided tour of the running service",
    )
    output.document({"home": str(home.root), "made": was_made, "endpoint": url})


def _is_complete(home: Home) -> bool:
    """Look without the lock of the home: a complete one may be served at this moment."""
    try:
        require_complete(home)
    except HomeError:
        return False
    return True


def _make(home: Home, output: Output) -> bool:
    import asyncio

    from strongroom.wiring.initialise import initialise_development

    output.say(f"Making a development home in {home.root}")
    return asyncio.run(
        initialise_development(home.root, port=default_port(), clock=SystemClock(), progress=output.progress)
    )
