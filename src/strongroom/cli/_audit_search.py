"""``strongroom audit tail`` and ``search``: entries of all writers, those that somebody asks for."""

from collections import deque
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import click

from strongroom.audit import AuditCorruptError, Entry, EntryFilter, LogSearch, follow_entries, last_entries
from strongroom.cli._audit_filters import asked_of, with_filters
from strongroom.cli._audit_logs import (
    OpenLog,
    opened_log,
    progress_of,
    require_undamaged,
    show_entry,
    with_path,
)
from strongroom.cli._interrupt import InterruptBetween
from strongroom.cli._output import Output
from strongroom.cli._reporting import reporting

_MOST_REVERSED = 100_000
_REVERSED = 1_000


@click.command
@click.option(
    "-n", "count", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many entries."
)
@click.option("--follow", "-f", is_flag=True, help="Go on and show entries as they come, until Ctrl-C.")
@with_filters
@with_path
@reporting
def tail(output: Output, *, count: int, follow: bool, path: Path | None, **options: Any) -> None:
    """Show the last entries of all writers, oldest first. With --json one document per line.

    That a home's own log is read is recorded in it.
    """
    asked = asked_of(options)
    texts = {"n": str(count), **({"follow": "yes"} if follow else {}), **asked.texts}
    keeps = EntryFilter(asked.criteria).keeps
    with opened_log(path, "tail", texts) as log:
        wanted = _wanted(log, keeps)
        if follow:
            with InterruptBetween() as interrupt:
                _show(output, log, follow_entries(log.directory, wanted, last=count, sleep=interrupt.sleep))
            return
        damage: list[AuditCorruptError] = []
        _show(output, log, last_entries(log.directory, count, wanted, damaged=damage.append))
        if not log.reading.shown and not damage:
            output.say("No entry is as you asked." if asked.texts else "The audit log holds no entries yet.")
        require_undamaged(damage)


@click.command
@with_filters
@click.option("--limit", type=click.IntRange(min=1), help="Show so many entries and no more.")
@click.option(
    "--reverse",
    is_flag=True,
    help=f"The newest first; then --limit is at most {_MOST_REVERSED}, and {_REVERSED} if it is left out.",
)
@with_path
@reporting
def search(output: Output, *, path: Path | None, limit: int | None, reverse: bool, **options: Any) -> None:
    """Show the entries that are as the options say, oldest first. With --json one document per line.

    In a PATTERN * stands for any text and ? for one character. An option that is given again widens the search, another
    option narrows it. That a home's own log is read is recorded in it.
    """
    if reverse and limit is not None and limit > _MOST_REVERSED:
        raise click.UsageError(f"with --reverse --limit is at most {_MOST_REVERSED}")
    asked = asked_of(options)
    texts = {**asked.texts, **({"limit": str(limit)} if limit else {})}
    with opened_log(path, "search", texts) as log, progress_of(output) as progress:
        found = LogSearch(log.directory, asked.criteria, progress=progress)
        entries: Iterable[Entry] = filter(log.reading.is_other, found)
        if reverse:
            entries = reversed(deque(entries, maxlen=limit or _REVERSED))
        _show(output, log, islice(entries, limit))
        if not log.reading.shown and not found.damage:
            output.say("No entry is as you asked.")
        require_undamaged(found.damage)


def _wanted(log: OpenLog, keeps: Any) -> Any:
    is_other = log.reading.is_other
    return lambda entry: keeps(entry) and is_other(entry)


def _show(output: Output, log: OpenLog, entries: Iterable[Entry]) -> None:
    for entry in entries:
        log.reading.shown += 1
        show_entry(output, entry)
