"""``strongroom audit archive`` and ``audit prune``: what of the audit log is hot, archived and pruned, and removing old entries.

The first reads files alone; ``--now`` and ``prune`` ask main at its control socket, which hears the user that owns the home.
"""

import sys
from typing import Final

import click
import msgspec

from strongroom.audit import WriterRetention, retention_status
from strongroom.cli._endpoint import complete_home
from strongroom.cli._errors import NotDoneError
from strongroom.cli._main_door import answer_of, approval_option
from strongroom.cli._output import Output, plain, shown_time, visible
from strongroom.cli._reporting import reporting
from strongroom.config import Home, home_from_environment, load_config
from strongroom.core import SystemClock
from strongroom.wiring.audit_door import RetentionAnswer, RetentionRequest, ask_retention

_LIMIT_S: Final = 24 * 3600.0
_DAY_US: Final = 86_400 * 1_000_000


class RetentionShown(msgspec.Struct, frozen=True):
    """What ``audit archive`` tells of one writer. Times are seconds since the Unix epoch; null: there is none."""

    writer: str
    hot_segments: int
    hot_bytes: int
    hot_since: float | None
    archived_segments: int
    archived_bytes: int
    pruned_segments: int
    pruned_entries: int
    oldest: float | None
    archive_due: int
    """Hot segments that are old enough for the archive."""
    prune_due: int
    """Archived segments that are older than they are kept."""


@click.command
@click.option("--now", "is_now", is_flag=True, help="Have the service archive what is due, and wait for it.")
@reporting
def archive(output: Output, *, is_now: bool) -> None:
    """Show what of the audit log is hot, archived and pruned, and what is due.

    The service archives by itself, once an hour: segments whose newest entry is older than audit.hot_days. Ends with exit status 3
    when --now is given and the service does not answer.
    """
    home = Home(home_from_environment())
    answer = _ask(RetentionRequest("archive")) if is_now else RetentionAnswer()
    config, now_us = load_config(home.root).audit, int(SystemClock.now() * 1_000_000)
    found = retention_status(
        home.audit,
        hot_from_us=now_us - config.hot_days * _DAY_US,
        keep_from_us=now_us - config.keep_days * _DAY_US,
    )
    shown = [_shown(one) for one in found]
    output.document(
        {
            "hot_days": config.hot_days,
            "keep_days": config.keep_days,
            "writers": plain(shown),
            "archived_now": plain(answer.archived),
            "failed": answer.failed,
        }
    )
    for one in answer.archived:
        output.say(f"archived: segments {one.first} to {one.last} of {one.writer}")
    _show(output, shown)
    for writer, cause in answer.failed.items():
        output.say(f"PROBLEM: {visible(writer)} is not archived on: {visible(cause)}")
    if any(one.prune_due for one in shown):
        output.say(
            f"Entries older than {config.keep_days} days are there. Officers may let them go: strongroom audit prune --before DAY"
        )


@click.command
@click.option(
    "--before",
    required=True,
    metavar="DAY",
    help="Such as 2027-01-31: entries from before 00:00 UTC of it go.",
)
@click.option("--yes", "is_meant", is_flag=True, help="Do not ask whether it is meant.")
@approval_option
@reporting
def prune(output: Output, *, before: str, is_meant: bool, approval: str) -> None:
    """Remove archived entries of the audit log from before a day, for good.

    Only whole segments go that are archived, were read by all sinks, and are older than audit.keep_days. Where the home has officers
    they approve it first (PruneAuditLog): the command asks them, names the request and ends with exit status 1; the same command goes
    through when they have signed. Hashes of what goes stay in the tree, so all else can be proved as before.
    """
    complete_home()
    if not is_meant:
        _require_meant(output, before)
    answer = _ask(RetentionRequest("prune", before, approval))
    output.document({"pruned": plain(answer.pruned), "record": answer.record, "approval": answer.approval})
    for one in answer.pruned:
        output.say(f"{one.writer}: entries {one.first} to {one.last} are gone ({one.segments} segments)")
    output.say(f"The record of it has the SHA-256 {answer.record}.", "Try next: strongroom audit verify")


def _require_meant(output: Output, before: str) -> None:
    what = f"all archived entries of the audit log from before {before}"
    if output.is_json or not sys.stdin.isatty():
        raise NotDoneError(f"{what} would be removed for good", next_step="say so: --yes")
    click.confirm(f"Remove {what} for good?", abort=True, err=True)


def _ask(request: RetentionRequest) -> RetentionAnswer:
    answer = answer_of(ask_retention(complete_home(), request, timeout_s=_LIMIT_S))
    if answer.failure is not None:
        raise NotDoneError(answer.failure.message, next_step=answer.failure.next_step)
    return answer


def _shown(one: WriterRetention) -> RetentionShown:
    return RetentionShown(
        writer=one.writer,
        hot_segments=one.hot,
        hot_bytes=one.hot_bytes,
        hot_since=_seconds(one.hot_since),
        archived_segments=one.archived,
        archived_bytes=one.archived_bytes,
        pruned_segments=one.pruned,
        pruned_entries=one.pruned_entries,
        oldest=_seconds(one.oldest_at),
        archive_due=one.archive_due,
        prune_due=one.prune_due,
    )


def _seconds(at_us: int) -> float | None:
    return at_us / 1e6 if at_us else None


def _show(output: Output, shown: list[RetentionShown]) -> None:
    output.table(
        ["WRITER", "HOT", "MiB", "SINCE", "ARCHIVED", "MiB", "OLDEST", "PRUNED", "DUE"],
        [
            [
                one.writer,
                str(one.hot_segments),
                f"{one.hot_bytes / 1024**2:.1f}",
                shown_time(one.hot_since),
                str(one.archived_segments),
                f"{one.archived_bytes / 1024**2:.1f}",
                shown_time(one.oldest),
                f"{one.pruned_entries} entries" if one.pruned_entries else "-",
                _due(one),
            ]
            for one in shown
        ],
    )


def _due(one: RetentionShown) -> str:
    due = [f"{one.archive_due} to archive"] if one.archive_due else []
    due += [f"{one.prune_due} to prune"] if one.prune_due else []
    return ", ".join(due) or "-"
