"""What every command has: ``--json``, ``--verbose``, and one way to fail.

    @click.command
    @reporting
    def status(output: Output) -> None: ...

A StrongroomError becomes its message and its next step on standard error, and with ``--json`` a document
``{"error": {...}}`` on standard output too, unless the command's own document is out already. What nobody expected is called a bug and shows its traceback with
``--verbose`` only.
"""

import contextlib
import functools
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import click

from strongroom.cli._errors import EXIT_FAILED, EXIT_INTERRUPTED, exit_status_of
from strongroom.cli._output import Output, visible
from strongroom.core import StrongroomError


def reporting(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the two options and the handling of errors. It is called with an ``Output`` first."""

    @click.option("--json", "is_json", is_flag=True, help="Print JSON documents instead of words.")
    @click.option("--verbose", "is_verbose", is_flag=True, help="On failure, show what caused what.")
    @functools.wraps(function)
    def run(*, is_json: bool, is_verbose: bool, **arguments: Any) -> None:
        output = Output(is_json=is_json)
        with _failures_reported(output, is_verbose=is_verbose):
            function(output, **arguments)

    return run


@contextlib.contextmanager
def _failures_reported(output: Output, *, is_verbose: bool) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        click.echo("strongroom: interrupted", err=True)
        raise click.exceptions.Exit(EXIT_INTERRUPTED) from None
    except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
        raise  # click's own: usage errors, ordered ends, and a reader of our output that went away
    except StrongroomError as error:
        _report(output, error, is_verbose=is_verbose)
        raise click.exceptions.Exit(exit_status_of(error)) from None
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        failure = StrongroomError(f"the system refused: {error.strerror or error}{where}")
        failure.__cause__ = error
        _report(output, failure, is_verbose=is_verbose)
        raise click.exceptions.Exit(EXIT_FAILED) from None
    except Exception as error:  # noqa: BLE001  # the last resort: whoever types a command gets words
        failure = StrongroomError(
            f"this is a bug in Strongroom: {type(error).__name__}",
            next_step="run the command again with --verbose, and report what it shows",
        )
        _report(output, failure, is_verbose=False)
        if is_verbose:
            click.echo("".join(traceback.format_exception(error)), err=True)
        raise click.exceptions.Exit(EXIT_FAILED) from None


def _report(output: Output, error: StrongroomError, *, is_verbose: bool) -> None:
    click.echo(f"strongroom: {visible(error.message)}", err=True)
    if error.next_step is not None:
        click.echo(f"  what to do: {visible(error.next_step)}", err=True)
    causes = list(_causes(error))
    if is_verbose:
        for cause in causes:
            click.echo(f"  caused by {type(cause).__name__}: {visible(str(cause))}", err=True)
    failure = {
        "kind": type(error).__name__,
        "code": getattr(error, "code", None),
        "message": error.message,
        "next_step": error.next_step,
    }
    if output.is_json and not output.has_document:  # a report that is out says itself what is wrong
        output.record({"error": failure})


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause = error.__cause__ or error.__context__
    seen = {id(error)}
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__
