"""Which audit log a command reads, that reading is recorded, and how an entry is shown as a line."""

import datetime as dt
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from strongroom.audit import AuditCorruptError, Entry
from strongroom.cli._errors import CliError, NotDoneError
from strongroom.cli._output import Output, visible
from strongroom.config import Home, home_from_environment
from strongroom.core import SystemClock
from strongroom.wiring.audit_reading import Reading, recorded_reading

_PROGRESS_CHARS = 30

with_path: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--path",
    type=click.Path(path_type=Path),
    help="An audit directory, such as a copy, or a home; that of STRONGROOM_HOME if it is left out.",
)


def own_log() -> Path:
    """Return the audit directory of STRONGROOM_HOME. Raises CliError."""
    home = Home(home_from_environment())
    if not (home.audit / "wal").is_dir():
        raise CliError(
            f"there is no audit log in {home.audit} yet",
            next_step="the service makes it when it first starts: strongroom serve",
        )
    return home.audit


def log_below(path: Path) -> Path:
    """Return the audit directory that a path is, or that a home has. Raises CliError."""
    for candidate in (path, Home(path).audit):
        if (candidate / "wal").is_dir():
            return candidate
    raise CliError(
        f"there is no audit log in {path}", next_step="name an audit directory (it holds wal/) or a home"
    )


class OpenLog:
    """A log that may be read: that somebody does is recorded."""

    def __init__(self, directory: Path, reading: Reading) -> None:
        self.directory = directory
        self.reading = reading

    def others(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Leave out what this very reading left in the log, and count the rest as shown."""
        for entry in entries:
            if self.reading.is_other(entry):
                self.reading.shown += 1
                yield entry


@contextmanager
def opened_log(path: Path | None, command: str, asked: Mapping[str, str]) -> Iterator[OpenLog]:
    """Open the log that was named, or that of STRONGROOM_HOME; that it is read is durable before it can be.

    Raises CliError where there is none, AuditUnavailableError where the reading cannot be recorded.
    """
    directory = own_log() if path is None else log_below(path)
    with recorded_reading(directory, command, asked, clock=SystemClock()) as reading:
        yield OpenLog(directory, reading)


def entry_line(entry: Entry) -> str:
    """Write an entry as one line for people."""
    at = dt.datetime.fromtimestamp(entry.at / 1e6, dt.UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    facts = {
        "by": entry.principal or entry.access_key_id,
        "from": entry.source_address,
        "key": entry.key_id,
        "member": entry.member,
        **entry.detail,
    }
    told = " ".join(f"{name}={value}" for name, value in facts.items() if value)
    head = f"{at}Z {entry.writer}/{entry.seq} {entry.kind:<7} {entry.event}"
    return visible(" ".join(part for part in (head, entry.outcome, told) if part))


def show_entry(output: Output, entry: Entry) -> None:
    """Print an entry: a line, or a document on one."""
    if output.is_json:
        output.record(entry)
    else:
        output.say(entry_line(entry))


def require_undamaged(damage: list[AuditCorruptError]) -> None:
    """Name the first damage, once what can be read was shown. Raises NotDoneError."""
    if damage:
        more = f" ({len(damage)} places in all)" if len(damage) > 1 else ""
        raise NotDoneError(
            f"the audit log is damaged, and not all of it was read, first at {damage[0]}{more}",
            next_step="keep a copy of the audit directory, then run: strongroom audit verify",
        )


class _Progress:
    """Shows on a terminal how far long work is, and takes the line away."""

    def __call__(self, entries: int) -> None:
        click.echo(f"\r  {entries} entries read", err=True, nl=False)

    def end(self) -> None:
        click.echo("\r" + " " * _PROGRESS_CHARS + "\r", err=True, nl=False)


@contextmanager
def progress_of(output: Output) -> Iterator[Callable[[int], None] | None]:
    """Show how many entries were read, where standard error is a terminal and the answer goes elsewhere."""
    if output.is_json or not sys.stderr.isatty() or sys.stdout.isatty():
        yield None
        return
    progress = _Progress()
    try:
        yield progress
    finally:
        progress.end()
