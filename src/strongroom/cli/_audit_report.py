"""``strongroom audit report``: named reports over the entries of a time, each read once, in bounded memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from strongroom.audit import AccessCount, Criteria, Entry, FailureCount, LogSearch, PciCount
from strongroom.cli._audit_filters import Asked, asked_times, moment_text, with_times
from strongroom.cli._audit_logs import OpenLog, opened_log, progress_of, require_undamaged, with_path
from strongroom.cli._audit_report_keys import key_id_of, unused_keys, unused_words
from strongroom.cli._audit_report_pci import PciPage, pci_document, pci_words, show_pci, verified
from strongroom.cli._audit_report_words import Sheet, access_sheet, change_lines, failure_sheet
from strongroom.cli._errors import NotDoneError
from strongroom.cli._output import Output, visible
from strongroom.cli._reporting import reporting
from strongroom.core import SystemClock

_DAY_US: Final = 86_400_000_000


class _ReportGroup(click.Group):
    """``audit report --pci`` is ``audit report pci``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args[:1] == ["--pci"]:
            args = ["pci", *args[1:]]
        return super().parse_args(ctx, args)


@click.group(cls=_ReportGroup)
def report() -> None:
    """Reports from the audit log, each over a range of time. 'report --pci' is 'report pci'."""


def _with_csv(function: Callable[..., None]) -> Callable[..., None]:
    option = click.option("--csv", "is_csv", is_flag=True, help="Print the rows as CSV instead.")
    return option(function)


class _Reading(NamedTuple):
    """A log that a report is made of."""

    log: OpenLog
    search: LogSearch

    def each(self, take: Callable[[Entry], None]) -> None:
        """Have every entry of the time taken in, in its order."""
        for entry in self.log.others(self.search):
            take(entry)

    def end(self, output: Output, *, is_csv: bool) -> None:
        """Say what could not be read, behind the report."""
        if not output.is_json and not is_csv:
            skipped = sum(one.skipped_segments for one in self.search.coverage)
            if skipped:
                output.say(f"{skipped} segments hold nothing of that time, and were left out.")
        require_undamaged(self.search.damage)


@contextmanager
def _read(output: Output, path: Path | None, name: str, asked: Asked, *, is_csv: bool) -> Iterator[_Reading]:
    if is_csv and output.is_json:
        raise click.UsageError("--csv and --json exclude each other")
    with opened_log(path, f"report {name}", asked.texts) as log, progress_of(output) as progress:
        yield _Reading(log, LogSearch(log.directory, asked.criteria, progress=progress))


def _give(output: Output, sheet: Sheet, *, is_csv: bool) -> None:
    if is_csv:
        click.echo(sheet.csv(), nl=False)
    elif sheet.rows:
        output.table(sheet.columns, sheet.rows)


@report.command
@with_times
@click.option("--verify", is_flag=True, help="Verify log, tree and checkpoints too, by the keys beside them.")
@_with_csv
@with_path
@reporting
def pci(output: Output, *, path: Path | None, verify: bool, is_csv: bool, **times: Any) -> None:
    """What the log holds of each requirement of PCI DSS v4.0, 10.2.1.1 to 10.2.1.7, and of the fields of 10.2.2.

    A requirement without any entry is said to have none. The report tells which writers and numbers were read, and
    whether the log was verified; it does not tell whether a requirement is met, which is for an assessor.
    """
    asked = asked_times(times)
    with _read(output, path, "pci", asked, is_csv=is_csv) as reading:
        count = PciCount()
        reading.each(count.add)
        made = count.report()
        state = verified(reading.log.directory) if verify else None
        page = PciPage(reading.log.directory, reading.search, made, asked, state)
        output.document(pci_document(page))
        if is_csv:
            _give(output, show_pci(made), is_csv=True)
        else:
            pci_words(output, page)
        reading.end(output, is_csv=is_csv)
        if state is not None and not state.is_sound:
            raise NotDoneError(
                state.what, next_step="strongroom audit verify; keep a copy of the audit directory"
            )


@report.command
@click.argument("key", required=False)
@click.option("--all", "is_all", is_flag=True, help="All keys of which there is an entry.")
@with_times
@_with_csv
@with_path
@reporting
def access(
    output: Output, *, key: str | None, is_all: bool, path: Path | None, is_csv: bool, **times: Any
) -> None:
    """Who used a key, by which verb, how often, first and last; who was refused; and who changed what about it.

    KEY is a key id, its ARN, or, in a home, an alias (alias/NAME).
    """
    if (key is None) is not is_all:
        raise click.UsageError("name a key, or --all")
    asked = asked_times(times)
    asked = asked._replace(texts={"key": key or "all", **asked.texts})
    with _read(output, path, "access", asked, is_csv=is_csv) as reading:
        count = AccessCount(None if key is None else key_id_of(reading.log.directory, key))
        reading.each(count.add)
        made = count.report()
        output.document(made)
        if not made.keys and not is_csv:
            output.say("No entry of that time is about it.")
        _give(output, access_sheet(made), is_csv=is_csv)
        if not is_csv:
            output.say(*change_lines(made))
        reading.end(output, is_csv=is_csv)


@report.command
@click.option(
    "--days", type=click.IntRange(1, 36_500), default=90, show_default=True, help="Not used for so many days."
)
@_with_csv
@with_path
@reporting
def unused(output: Output, *, days: int, path: Path | None, is_csv: bool) -> None:
    """Keys that nobody used for so many days, and those that were made before that and never used.

    Of a home's own log the keys are those of its database, which notes the last use too; of a copy those of the entries.
    """
    asked = Asked(Criteria(), {"days": str(days)})
    with _read(output, path, "unused", asked, is_csv=is_csv) as reading:
        before = int(SystemClock().now() * 1_000_000) - days * _DAY_US
        found = unused_keys(reading.log.directory, reading.each, before)
        output.document(found)
        _give(output, found.sheet(), is_csv=is_csv)
        if not is_csv:
            output.say(*unused_words(found, days, moment_text))
        reading.end(output, is_csv=is_csv)


@report.command("failed-auth")
@with_times
@click.option(
    "--window",
    type=click.IntRange(1, 1440),
    default=10,
    show_default=True,
    help="Minutes: failures further apart are of different clusters.",
)
@click.option(
    "--top",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help="So many clusters, the largest.",
)
@_with_csv
@with_path
@reporting
def failed_auth(
    output: Output, *, window: int, top: int, path: Path | None, is_csv: bool, **times: Any
) -> None:
    """Clusters of failed authentications: from which address, under which name, how many, and whether it worked afterwards.

    Failed requests that the log has in sums alone are counted in.
    """
    asked = asked_times(times)
    with _read(output, path, "failed-auth", asked, is_csv=is_csv) as reading:
        count = FailureCount(window_s=window * 60, top=top)
        reading.each(count.add)
        made = count.report()
        output.document(made)
        if not is_csv:
            output.say(
                f"{made.failures} failed authentications, {made.in_sums} of them in sums; {made.n_clusters} clusters"
                + (f", the largest {top} of them:" if made.n_clusters > top else ":")
            )
            output.say(*(visible(f"  {cause}: {n_failures}") for cause, n_failures in made.causes.items()))
        _give(output, failure_sheet(made), is_csv=is_csv)
        reading.end(output, is_csv=is_csv)
