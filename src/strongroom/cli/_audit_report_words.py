"""Rows of the reports of ``strongroom audit report``, for people and as CSV."""

import csv
import io
from collections.abc import Sequence
from typing import NamedTuple

from strongroom.audit import AccessReport, FailureReport, Tally
from strongroom.cli._audit_filters import moment_text
from strongroom.cli._output import visible


class Sheet(NamedTuple):
    """A table."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def csv(self) -> str:
        """Return it as CSV (RFC 4180), control characters escaped; no cell is a formula to a spreadsheet."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow([column.lower().replace(" ", "_") for column in self.columns])
        writer.writerows([_cell(cell) for cell in row] for row in self.rows)
        return text.getvalue()


def _cell(text: str) -> str:
    text = visible(text)
    return f"'{text}" if text[:1] in {"=", "+", "-", "@"} and text != "-" else text


def shown_moment(at: int) -> str:
    """Write microseconds since the epoch; ``-`` for none."""
    return moment_text(at) if at else "-"


def tally_cells(tally: Tally) -> list[str]:
    """Return how many, the first and the last."""
    return [str(tally.entries), shown_moment(tally.first_at), shown_moment(tally.last_at)]


def access_sheet(report: AccessReport) -> Sheet:
    """Return who did what with which key."""
    return Sheet(
        ["KEY", "WHO", "VERB", "DONE", "FAILED", "FIRST", "LAST"],
        [
            [
                key.key_id,
                row.principal,
                row.event,
                str(row.done.entries),
                str(row.failed.entries),
                shown_moment(min(tally.first_at for tally in (row.done, row.failed) if tally.entries)),
                shown_moment(max(row.done.last_at, row.failed.last_at)),
            ]
            for key in report.keys
            for row in key.rows
        ],
    )


def change_lines(report: AccessReport) -> list[str]:
    """Return the last use of each key, and who changed what about it, as lines; and what there was no room for."""
    lines = []
    for key in report.keys:
        used = f"last used {moment_text(key.used.last_at)}" if key.used.entries else "not used"
        lines.append(f"{visible(key.key_id)}: {used}; changes: {key.n_changes}")
        lines += [
            visible(f"  {moment_text(one.at)} {one.principal} {one.event} {one.outcome}")
            for one in key.changes
        ]
        if key.n_changes > len(key.changes):
            lines.append(f"  and {key.n_changes - len(key.changes)} before these")
    if report.left_out:
        lines.append(
            f"{report.left_out} entries of further keys, principals and verbs were left out: there was no room."
        )
    return lines


def failure_sheet(report: FailureReport) -> Sheet:
    """Return the clusters."""
    return Sheet(
        ["FAILURES", "FROM", "CLAIMED", "FIRST", "LAST", "CAUSES", "LET IN AFTERWARDS"],
        [
            [
                str(one.failures),
                one.source,
                one.claimed,
                shown_moment(one.first_at),
                shown_moment(one.last_at),
                " ".join(f"{cause}:{count}" for cause, count in one.causes.items()) or "-",
                f"{moment_text(one.succeeded_at)} {one.succeeded_as}" if one.succeeded_at else "-",
            ]
            for one in report.clusters
        ],
    )
