"""Nothing is signed unread: somebody says that they read it, or the caller says so with ``--yes``."""

import sys

import click

from strongroom.cli._errors import NotDoneError
from strongroom.cli._output import Output


def confirm_read(output: Output, question: str, reader: str) -> None:
    """Ask at the terminal. Raises NotDoneError when nobody is there; ``reader`` is the command that shows it."""
    if output.is_json or not sys.stdin.isatty():
        raise NotDoneError(
            "nobody is there to say that it was read",
            next_step=f"read it with {reader}, then say so: --yes",
        )
    click.confirm(question, abort=True, err=True)
