"""``strongroom serve``: check the home, then become the main process of the service."""

import os
import sys
from typing import NoReturn

import click

from strongroom.cli._endpoint import complete_home
from strongroom.cli._output import Output
from strongroom.cli._reporting import reporting
from strongroom.client import home_endpoint
from strongroom.config import load_config
from strongroom.wiring.home import locked_home

_MAIN_PROGRAM = "strongroom.runtime.main"


@click.command
@reporting
def serve(output: Output) -> None:
    """Run the key service on this home until Ctrl-C or SIGTERM.

    The port is that of strongroom.toml; STRONGROOM_PORT wins over it. The log goes to standard error.
    """
    home = complete_home()
    config = load_config(home.root)
    with locked_home(home):  # an early, clear error; the service takes the lock for good
        pass
    output.progress(f"starting at {home_endpoint(home, config).url}; Ctrl-C stops it")
    _become(_MAIN_PROGRAM)


def _become(program: str) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", program])  # noqa: S606  # our own interpreter, no shell
