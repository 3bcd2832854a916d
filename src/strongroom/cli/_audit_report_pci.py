"""The report of ``strongroom audit report pci`` in words and as a document: one page for an assessor."""

from pathlib import Path
from typing import Final, NamedTuple

from msgspec import structs

from strongroom.audit import (
    AuditCorruptError,
    CheckpointFiles,
    LogSearch,
    PciReport,
    WriterCoverage,
    inspect_log,
    verify_tree,
)
from strongroom.cli._audit_filters import Asked
from strongroom.cli._audit_report_words import Sheet, shown_moment, tally_cells
from strongroom.cli._output import Output, visible

_SHOWN_EVENTS: Final = 12


class Verified(NamedTuple):
    """What verification found."""

    is_sound: bool
    what: str


class PciPage(NamedTuple):
    """The report with what it rests on."""

    directory: Path
    search: LogSearch
    report: PciReport
    asked: Asked
    state: Verified | None


def verified(directory: Path) -> Verified:
    """Verify log, tree and checkpoints, these by the keys beside them."""
    report = inspect_log(directory)
    if report.problems:
        return Verified(False, f"the log is bad, first at {report.problems[0]}")
    files = CheckpointFiles(directory)
    if not (directory / "tree").is_dir() and files.last() is None:
        return Verified(True, f"{report.entries} entries fit their hash chains; there is no checkpoint")
    try:
        tree = verify_tree(directory, files.keys())
    except AuditCorruptError as error:
        return Verified(False, f"the tree is bad: {error}")
    except FileNotFoundError as error:
        return Verified(
            False, f"the tree is bad: {error.filename} is not there, though the tree goes over it"
        )
    return Verified(
        True,
        f"{report.entries} entries fit their hash chains; {tree.checkpoints} checkpoints cover the first {tree.checkpointed}"
        " in the tree (by the keys beside them)",
    )


def show_pci(report: PciReport) -> Sheet:
    """Return the requirements event by event."""
    rows = []
    for one in report.requirements:
        rows += [[one.requirement, event.event, *tally_cells(event.tally)] for event in one.events]
        if not one.events:
            rows.append([one.requirement, "(no entries)", "0", "-", "-"])
    rows += [
        ["-", event.event, *tally_cells(event.tally)] for event in (*report.unclassified, *report.unknown)
    ]
    return Sheet(["REQUIREMENT", "EVENT", "ENTRIES", "FIRST", "LAST"], rows)


def pci_document(page: PciPage) -> dict[str, object]:
    """Return the report with what it rests on."""
    return {
        "standard": "PCI DSS v4.0",
        "directory": str(page.directory),
        "time": page.asked.texts,
        **structs.asdict(page.report),
        "coverage": list(page.search.coverage),
        "damage": [str(error) for error in page.search.damage],
        "checkpoint": _checkpoint(page.directory),
        "verified": None if page.state is None else page.state._asdict(),
    }


def pci_words(output: Output, page: PciPage) -> None:
    """Print the report."""
    asked, report, directory = page.asked, page.report, page.directory
    since, until = asked.texts.get("since", "the beginning"), asked.texts.get("until", "now")
    output.say(
        "PCI DSS v4.0, requirement 10.2: what the audit log holds",
        f"Log {directory}, from {since} to {until}: {report.entries} entries",
        "",
    )
    _say_coverage(output, page)
    output.say("")
    output.table(
        ["REQUIREMENT", "ENTRIES", "FIRST", "LAST", "WHAT"],
        [[one.requirement, *tally_cells(one.tally), one.title] for one in report.requirements],
    )
    for one in report.requirements:
        if not one.tally.entries:
            output.say(f"NONE: no entry of that time counts for {one.requirement} ({one.title}).")
    output.say("", "By event:")
    for one in report.requirements:
        told = [f"{event.event} {event.tally.entries}" for event in one.events[:_SHOWN_EVENTS]]
        more = len(one.events) - len(told)
        output.say(
            f"  {one.requirement}  {visible(', '.join(told)) or 'none'}{f', and {more} more' if more else ''}"
        )
    _say_others(output, report)
    output.say("", "Fields of 10.2.2, of the entries that count for a requirement:")
    output.table(
        ["FIELD", "FILLED", "OF THE SERVICE ITSELF", "MISSING", "FIRST WITHOUT"],
        [
            [one.field, str(one.filled), str(one.by_itself), str(one.missing), one.example or "-"]
            for one in report.fields
        ],
    )


def _say_coverage(output: Output, page: PciPage) -> None:
    output.table(
        ["WRITER", "READ", "NUMBERS", "EARLIEST", "LATEST", "LEFT OUT", "STATE"],
        [
            [
                one.writer,
                str(one.entries),
                f"{one.first_seq}-{one.last_seq}" if one.entries else "-",
                shown_moment(one.first_at),
                shown_moment(one.last_at),
                f"{one.skipped_entries} of another time",
                _state(one),
            ]
            for one in page.search.coverage
        ],
    )
    checkpoint = _checkpoint(page.directory)
    if checkpoint is None:
        output.say("Checkpoints: none")
    else:
        output.say(
            f"Checkpoints: the newest covers {checkpoint['entries']} entries of {visible(str(checkpoint['origin']))}"
        )
    if page.state is None:
        output.say(
            "Verified: the hash chains of what was read; for all else: --verify, or strongroom audit verify"
        )
    else:
        output.say(f"Verified: {'yes' if page.state.is_sound else 'NO'}, {visible(page.state.what)}")


def _say_others(output: Output, report: PciReport) -> None:
    for label, events in (
        ("of no requirement", report.unclassified),
        ("UNKNOWN to this program", report.unknown),
    ):
        if events:
            told = ", ".join(f"{event.event} {event.tally.entries}" for event in events[:_SHOWN_EVENTS])
            more = len(events) - _SHOWN_EVENTS
            output.say(f"  {label}: {visible(told)}{f', and {more} more' if more > 0 else ''}")
    if report.left_out:
        output.say(f"  {report.left_out} entries of further events were left out: there was no room.")


def _state(one: WriterCoverage) -> str:
    if one.is_damaged:
        return "DAMAGED"
    return "chain fits" if one.entries else "-"


def _checkpoint(directory: Path) -> dict[str, object] | None:
    last = CheckpointFiles(directory).last()
    return None if last is None else {"origin": last.checkpoint.origin, "entries": last.checkpoint.size}
