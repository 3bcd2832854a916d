"""Where the words of a command go: words for people, or JSON documents for programs.

Answers go to standard output; progress and failures to standard error. Rich draws tables when standard output
is a terminal, and is not even imported otherwise. Text that came from elsewhere (a key's description, a
member's reason) is shown with its control characters escaped: it could otherwise drive the terminal.
"""

import datetime as dt
import sys
from collections.abc import Sequence
from typing import Any

import click
import msgspec


class Output:
    """The two streams of one command. ``is_json``: documents instead of words."""

    def __init__(self, *, is_json: bool) -> None:
        self.is_json = is_json
        self.has_document = False
        """Whether the one document of the command is out."""

    def say(self, *lines: str) -> None:
        """Print lines for people; silent when JSON was asked for."""
        if not self.is_json:
            for line in lines:
                click.echo(line)

    def progress(self, step: str) -> None:
        """Tell on standard error that long work goes on; silent when JSON was asked for."""
        if not self.is_json:
            click.echo(f"  {visible(step)}", err=True)

    def document(self, document: object) -> None:
        """Print the JSON document that is the command's answer; silent when words were asked for."""
        if self.is_json:
            self.has_document = True
            click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())

    def record(self, document: object) -> None:
        """Print one JSON document on one line, of several that make a stream."""
        click.echo(msgspec.json.encode(document).decode())

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table for people; silent when JSON was asked for."""
        if self.is_json:
            return
        shown = [[visible(cell) for cell in row] for row in rows]
        if sys.stdout.isatty():
            _draw(columns, shown)
        else:
            for line in _aligned([list(columns), *shown]):
                click.echo(line)


def plain(answer: Any) -> Any:
    """Return what a Struct holds under the names that it has here: documents do not show those of the API, nor arrays without names."""
    if isinstance(answer, msgspec.Struct):
        return {name: plain(value) for name, value in msgspec.structs.asdict(answer).items()}
    if isinstance(answer, dict):
        return {name: plain(value) for name, value in answer.items()}
    return [plain(item) for item in answer] if isinstance(answer, list) else answer


def visible(text: str) -> str:
    """Return text with every unprintable character escaped, line feeds too."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def shown_time(seconds: float | None) -> str:
    """Return a moment in UTC, given in seconds since the Unix epoch; ``-`` for none."""
    if seconds is None:
        return "-"
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):  # a service may answer any number
        return str(seconds)


def _draw(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"  # a shortened key id is of no use
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
