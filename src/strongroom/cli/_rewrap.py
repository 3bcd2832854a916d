"""``strongroom rewrap``: stored ciphertexts, encrypted anew under the current version of their key."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from strongroom.cli._ciphertext_lines import LineShape, path_of
from strongroom.cli._context_option import context_option
from strongroom.cli._endpoint import find_service
from strongroom.cli._errors import NotDoneError
from strongroom.cli._file_progress import FileProgress
from strongroom.cli._inventory_option import begin_counting, finish_counting, inventory_option
from strongroom.cli._output import Output, visible
from strongroom.cli._part_file import PartFile
from strongroom.cli._reporting import reporting
from strongroom.config import Home, home_from_environment
from strongroom.core import StrongroomError, SystemClock

if TYPE_CHECKING:
    from strongroom.client import Client

_PIPE = "-"
_TELL_EVERY_S = 5.0
_MAX_URL_CHARACTERS = 16_384
_CONTEXT = "Encryption context of the ciphertexts"
_KEY = "Key id, ARN or alias/NAME of the key that encrypted them."


@click.group
def rewrap() -> None:
    """Encrypt stored ciphertexts anew under the current version of their key; nobody sees them in clear."""


@rewrap.command
@click.argument("source", metavar="INPUT")
@click.option("--key", "-k", required=True, help=_KEY)
@click.option(
    "--field", required=True, help="Member of each line with the ciphertext in base64; a.b is b in a."
)
@click.option(
    "--context-field", help="Member of each line with the encryption context, an object of strings."
)
@context_option(_CONTEXT)
@click.option("--output", "-o", "target", default=_PIPE, metavar="FILE", help="Standard output if left out.")
@click.option("--resume", is_flag=True, help="Go on where an interrupted run with this --output stopped.")
@click.option("--force", is_flag=True, help="Replace the output file if it is there.")
@inventory_option
@click.option("--batch-items", type=click.IntRange(1, 10_000), default=5_000, help="Lines in a request; 5000 if left out.")  # fmt: skip
@reporting
def lines(
    output: Output,
    *,
    source: str,
    key: str,
    field: str,
    context_field: str | None,
    context: Mapping[str, str],
    target: str,
    resume: bool,
    force: bool,
    inventory_file: str | None,
    batch_items: int,
) -> None:
    """Rewrap a file of JSON lines, or standard input if INPUT is -.

    Each line comes out in its place, with the new ciphertext in it; one that cannot be rewrapped comes out as it was, is told on
    standard error and makes the exit status 1. An output file is FILE.part until it is whole.
    """
    from strongroom.cli._rewrap_lines import Tally, already_done, lines_of, rewrap_lines

    if context and context_field:
        raise click.UsageError("give --context or --context-field, not both")
    if target == _PIPE and (resume or force or output.is_json):
        raise click.UsageError("--resume, --force and --json need an output file: use -o FILE")
    if inventory_file and (target == _PIPE or resume):
        raise click.UsageError(
            "an inventory is of an output file that is written in one go: -o FILE, no --resume"
        )
    counting = begin_counting(inventory_file, key, "lines", str(Path(target).absolute()))
    shape = LineShape(path_of(field), path_of(context_field) if context_field else None)
    tally = Tally()
    with (
        opened_client(batch_items) as client,
        _opened(source) as (read_from, total),
        _progress(output, total) as progress,
    ):

        def work(begin_with: Iterator[bytes], write: Callable[[bytes], None]) -> None:
            rewrap_lines(
                client, key, shape, context, source=begin_with, write=write, tally=tally,
                most=batch_items, progress=progress, report=_report, counting=counting,
            )  # fmt: skip

        if target == _PIPE:
            work(lines_of(read_from), _write_out)
        else:
            with PartFile(Path(target), resume=resume, overwrite=force) as part:
                part.require_other(read_from)
                every = lines_of(read_from)
                tally.resumed = already_done(part.lines(), every, shape, tally)
                with _kept_told(part):
                    work(every, part.append)
                part.finish()
    output.document({"input": source, "output": target, **tally.document()})
    finish_counting(inventory_file, counting, output)
    words = f"{tally.rewrapped} of {tally.lines} lines rewrapped"
    if tally.failed:
        raise NotDoneError(
            f"{words}, {tally.failed} could not be and came out as they were",
            next_step="see above for each; then run the command again on the output",
        )
    if target != _PIPE:
        output.say(f"{words}: {visible(target)}")


@rewrap.command
@click.option(
    "--database", metavar="URL", help="Database, as SQLAlchemy names it; a password does not belong here."
)
@click.option("--database-file", metavar="FILE", help="File with that URL, where it may hold a password.")
@click.option("--table", "table_name", required=True, help="NAME or SCHEMA.NAME.")
@click.option("--key-column", required=True, help="Column that tells the rows apart.")
@click.option(
    "--ciphertext-column", required=True, help="Column with the ciphertexts: bytes, or base64 in text."
)
@click.option(
    "--context-column", help="Column with the encryption context of each row, a JSON object of strings."
)
@context_option(_CONTEXT)
@click.option("--key", "-k", required=True, help=_KEY)
@click.option(
    "--state", metavar="FILE", help="Remember the place here, and go on from it if the file is there."
)
@inventory_option
@click.option("--batch-items", type=click.IntRange(1, 10_000), default=500, help="Rows in a request and a transaction; 500 if left out.")  # fmt: skip
@reporting
def table(
    output: Output,
    *,
    database: str | None,
    database_file: str | None,
    table_name: str,
    key_column: str,
    ciphertext_column: str,
    context_column: str | None,
    context: Mapping[str, str],
    key: str,
    state: str | None,
    inventory_file: str | None,
    batch_items: int,
) -> None:
    """Rewrap a column of an SQL table, while others use it.

    A row is changed only if its ciphertext is still the one that was read. Rows that cannot be rewrapped stay as they are, are told
    on standard error and make the exit status 1. Interrupted, it goes on from its --state, or begins anew, which does no harm.
    """
    from strongroom.cli._rewrap_table import StateFile, TableTally, document_of, rewrap_table
    from strongroom.storage import CiphertextTable

    if context and context_column:
        raise click.UsageError("give --context or --context-column, not both")
    tally = TableTally()
    began = Rows(output)
    with (
        opened_client(batch_items) as client,
        CiphertextTable(
            _database_url(database, database_file),
            table_name,
            key=key_column,
            ciphertext=ciphertext_column,
            context=context_column,
        ) as opened,
    ):
        counting = begin_counting(inventory_file, key, "table", opened.place)
        place = StateFile(Path(state) if state else None, table_name, key_column, ciphertext_column, key=key)
        rewrap_table(
            client, key, opened, context, state=place, tally=tally, most=batch_items,
            progress=lambda done: began(done.rewrapped), report=_report, counting=counting,
        )  # fmt: skip
    output.document({"table": table_name, **document_of(tally)})
    finish_counting(inventory_file, counting, output)
    words = f"{tally.rewrapped} rows rewrapped"
    if tally.failed or tally.contended:
        raise NotDoneError(
            f"{words}, {tally.failed} could not be, {tally.contended} were changed by others meanwhile",
            next_step="see above for each; then run the command again",
        )
    output.say(words)


class Rows:
    """Tells now and then how many rows are done."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._clock = SystemClock()
        self._told = self._clock.monotonic()

    def __call__(self, n_rows: int) -> None:
        """Tell it, unless it was told a moment ago."""
        now = self._clock.monotonic()
        if now - self._told >= _TELL_EVERY_S:
            self._told = now
            self._output.progress(f"{n_rows} rows rewrapped")


def _database_url(url: str | None, file: str | None) -> str:
    from strongroom.storage import has_password

    if (url is None) == (file is None):
        raise click.UsageError("give --database or --database-file")
    if url is None:
        with Path(file or "").open(encoding="utf-8", errors="replace") as opened:
            return opened.read(_MAX_URL_CHARACTERS).strip()
    if has_password(url):
        raise click.UsageError("others can see the arguments of a command: give the URL in --database-file")
    return url


@contextmanager
def opened_client(batch_items: int) -> Iterator["Client"]:
    """Open a client of the service that environment or home name."""
    from strongroom.client import Client

    with Client(find_service(Home(home_from_environment())), batch_items=batch_items) as client:
        yield client


@contextmanager
def _opened(name: str) -> Iterator[tuple[BinaryIO, int | None]]:
    if name == _PIPE:
        yield sys.stdin.buffer, None
        return
    with Path(name).open("rb") as file:
        yield file, Path(name).stat().st_size or None


@contextmanager
def _progress(output: Output, total: int | None) -> Iterator[FileProgress]:
    progress = FileProgress(total, clock=SystemClock(), is_shown=not output.is_json)
    try:
        yield progress
    finally:
        progress.wipe()


@contextmanager
def _kept_told(part: PartFile) -> Iterator[None]:
    """Say of a failure that what was done is kept."""
    try:
        yield
    except (StrongroomError, OSError, KeyboardInterrupt):
        click.echo(f"strongroom: what is done so far is kept in {part.path}; go on with --resume", err=True)
        raise


def _write_out(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _report(what: str) -> None:
    click.echo(f"strongroom: {visible(what)}", err=True)
