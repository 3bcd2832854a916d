"""What ``audit hsm import`` and ``compare`` say, for people and for programs."""

from strongroom.cli._output import Output, shown_time, visible
from strongroom.vendorlogs import Comparison, ImportReport

_SHOWN = 10


def import_document(report: ImportReport) -> dict[str, object]:
    """Return what a file brought, for programs."""
    return {**report._asdict(), "gaps": [gap._asdict() for gap in report.gaps]}


def comparison_document(found: Comparison) -> dict[str, object]:
    """Return what a comparison found, for programs."""
    return {**found._asdict(), "keys": [key._asdict() for key in found.keys]}


def show_import(output: Output, name: str, report: ImportReport) -> None:
    """Tell what a file brought."""
    span = (
        f", {shown_micros(report.first_at)} to {shown_micros(report.last_at)}"
        if report.first_at is not None
        else ""
    )
    output.say(
        f"{visible(name)}: {report.added} records taken in{span}; {report.repeated} were there already"
    )
    if report.unknown:
        output.say(f"warning: {report.unknown} lines were not understood; their hashes are kept")
    for gap in report.gaps[:_SHOWN]:
        output.say(
            f"warning: {visible(gap.source)}: {gap.missing} records missing, {gap.first} to {gap.last}"
        )
    if report.missing:
        output.say(f"warning: {report.missing} records are missing in all")
    if report.unlogged_boots or report.unlogged_authentications:
        output.say(
            f"warning: the device's log was full: {report.unlogged_boots} boots and"
            f" {report.unlogged_authentications} authentications are not in it"
        )


def show_comparison(output: Output, name: str, found: Comparison) -> None:
    """Tell what the comparison of a member found."""
    output.say(
        f"{name}: {found.matched} uses are in both logs; the HSM's clock is {found.offset_s:+.0f} s from ours"
    )
    output.table(
        ["USE", "KEY", "HSM'S LOG", "OURS", "IN BOTH"],
        [
            [one.use, one.key or "-", str(one.hsm), str(one.ours), str(one.matched)]
            for one in found.keys[:100]
        ],
    )
    if found.ours_only:
        output.say(
            f"warning: {found.ours_only} calls of ours are not in the HSM's log ({found.ours_failed} calls failed and need not"
            " be there): its logging is off for some, or records are missing"
        )
    if found.not_covered:
        output.say(
            f"warning: {found.not_covered} records are from before our workers counted, and were not compared"
        )
    if found.not_understood:
        output.say(f"warning: {found.not_understood} lines were not understood when they were taken in")
    for operation, count in sorted(found.not_compared.items()):
        output.say(f"not compared: {count} {visible(operation)}")
    for record in found.first_unknown[:_SHOWN]:
        output.say(
            f"UNKNOWN USE: {shown_micros(record.at)} by the HSM's clock: {visible(record.operation)} key {visible(record.key) or '-'}"
            f" session {visible(record.session) or '-'} user {visible(record.user) or '-'}"
            f" ({visible(record.source)}/{record.sequence})"
        )


def shown_micros(micros: int | None) -> str:
    """Return a moment in UTC, given in microseconds since the Unix epoch; ``-`` for none."""
    return shown_time(None if micros is None else micros / 1e6)
