"""``strongroom init``: make a home."""

from pathlib import Path

import click

from strongroom.cli._output import Output, visible
from strongroom.cli._reporting import reporting
from strongroom.client import home_endpoint
from strongroom.config import Home, default_port, home_from_environment, load_config
from strongroom.core import HomeError, SystemClock
from strongroom.wiring.home import require_complete

_file = click.Path(path_type=Path)


@click.command
@click.option(
    "--development", is_flag=True, help="Two SoftHSM members, a TLS CA and an access key, made here."
)
@click.option(
    "--script", type=_file, metavar="FILE", help="Make a production home of blank tokens, as FILE says."
)
@click.option("--genesis", type=_file, metavar="FILE", help="The genesis that the script's officers signed.")
@click.option(
    "--dry-run", is_flag=True, help="Check script and genesis, show the steps, and do none of them."
)
@click.option("--example-script", is_flag=True, help="Print a script for a production home, with comments.")
@reporting
def init(
    output: Output,
    *,
    development: bool,
    script: Path | None,
    genesis: Path | None,
    dry_run: bool,
    example_script: bool,
) -> None:
    """Make a home: a cluster of HSMs that hold one root key, a database, a TLS certificate, access keys.

    With --script and --genesis the members are blank tokens, and officers decide from then on what may be done. At a
    terminal, with none of these, questions are asked and a script is written. After an interruption the same command
    goes on (--development: starts afresh). On a complete home it changes nothing.
    """
    if example_script:
        from strongroom.wiring.init_example import EXAMPLE_SCRIPT

        click.echo(EXAMPLE_SCRIPT, nl=False)
    elif development and script is None and genesis is None and not dry_run:
        _initialise_development(output)
    elif script is not None and not development:
        _by_script(output, script, genesis, is_dry=dry_run)
    elif development or genesis is not None or dry_run:
        raise click.UsageError("give --development, or --script with --genesis (and --dry-run)")
    else:
        _guided(output)


def _initialise_development(output: Output) -> None:
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
    )
    if home.development_access_key.exists():  # a home by a script has none
        output.say(
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


def _by_script(output: Output, script_file: Path, genesis_file: Path | None, *, is_dry: bool) -> None:
    from strongroom.wiring.init_script import read_init_script

    script = read_init_script(script_file)
    if is_dry:
        from strongroom.cli._init_steps import show_steps

        show_steps(output, script, genesis_file)
    elif genesis_file is None:
        raise click.UsageError(
            "--script needs --genesis: the file that the officers of the script signed\n"
            "strongroom officers genesis new makes one from the script."
        )
    else:
        from strongroom.cli._init_steps import run_script

        run_script(output, script, genesis_file)


def _guided(output: Output) -> None:
    import sys

    if output.is_json or not sys.stdin.isatty():
        raise click.UsageError(
            "a production home is made by --script and --genesis; --example-script prints a script to begin with,\n"
            "and at a terminal questions are asked. For development: strongroom init --development\n"
            "Its members are SoftHSM tokens, which protect nothing from whoever can read this disk."
        )
    from strongroom.cli._init_guided import ask_for_script

    written = ask_for_script(output)
    output.say(
        "",
        f"The script is {visible(str(written))}; it holds no secret. What to do next:",
        f"  strongroom officers genesis new --script {visible(str(written))}    have the security officers sign",
        f"  strongroom init --script {visible(str(written))} --genesis genesis.json    make the home",
    )
    if click.confirm(
        "Is there a genesis that they signed, to make the home with now?", default=False, err=True
    ):
        genesis = click.prompt("Genesis", type=_file, err=True)
        _by_script(output, written, genesis, is_dry=False)
