"""``strongroom init``: make a home."""

import click

from strongroom.cli._endpoint import home_endpoint
from strongroom.cli._output import Output
from strongroom.cli._reporting import reporting
from strongroom.config import Home, default_port, home_from_environment, load_config
from strongroom.core import SystemClock


@click.command
@click.option(
    "--development", is_flag=True, help="Two SoftHSM members, a TLS CA and an access key, made here."
)
@reporting
def init(output: Output, *, development: bool) -> None:
    """Make a home: a cluster of HSMs that hold one root key, a database, a TLS certificate, an access key.

    Only the development form exists so far. Running it again on a complete home changes nothing; after an
    interruption it starts afresh.
    """
    if not development:
        raise click.UsageError(
            "only development homes can be made so far: strongroom init --development\n"
            "Their members are SoftHSM tokens, which protect nothing from whoever can read this disk."
        )
    import asyncio

    from strongroom.wiring.initialise import initialise_development

    home = Home(home_from_environment())
    output.say(f"Making a development home in {home.root}")
    was_made = asyncio.run(
        initialise_development(home.root, port=default_port(), clock=SystemClock(), progress=output.progress)
    )
    url = home_endpoint(home, load_config(home.root)).url
    output.say(
        "Done: two SoftHSM members hold one root key, and each copy is proved."
        if was_made
        else "It is complete already; nothing was changed.",
        "",
        "What to do next:",
        f"  strongroom serve            run the service at {url}",
        '  eval "$(strongroom env)"    in another terminal: point AWS clients at it',
        "  strongroom demo             a guided tour of the running service",
    )
    output.document({"home": str(home.root), "made": was_made, "endpoint": url})
