"""``strongroom custodians``: who holds the shares of the backup, whether they still do, and how many we can lose."""

from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Final

import click

from strongroom.cli._custodian_acts import ACTS
from strongroom.cli._endpoint import complete_home
from strongroom.cli._errors import NotDoneError
from strongroom.cli._output import Output, shown_time, visible
from strongroom.cli._reporting import reporting
from strongroom.config import load_config
from strongroom.core import SystemClock

if TYPE_CHECKING:  # the library behind it is slow to load
    from strongroom.wiring.custodian_losses import Losses
    from strongroom.wiring.custodian_reshare import OldSet
    from strongroom.wiring.custodian_status import CustodianStatus, SetStatus

_MOST_SETS_SHOWN: Final = 12
_WIDTH: Final = 110
_PATH: Final = click.Path(path_type=Path)


@click.group
def custodians() -> None:
    """Look after those who hold the shares of the backup."""


for _command in ACTS:
    custodians.add_command(_command)


@custodians.command("list")
@reporting
def list_custodians(output: Output) -> None:
    """List the custodians of the backup set in use: what they hold, when they proved it, by when they are to again.

    Works without the service. Ends with exit status 1 when fewer than m + 1 can be counted on.
    """
    from strongroom.wiring.custodian_status import custodian_warnings

    found = _require_set(_read()[0])
    warnings = custodian_warnings(found)
    output.document({"set": found, "warnings": warnings})
    _say_set(output, found)
    output.say("", *(f"Warning: {visible(warning)}" for warning in warnings))
    _require_enough(found)


@custodians.command
@click.option("--pdf", type=_PATH, metavar="FILE", help="Write the report as PDF too, to be printed.")
@click.option("--html", type=_PATH, metavar="FILE", help="The same as HTML.")
@reporting
def report(output: Output, *, pdf: Path | None, html: Path | None) -> None:
    """Say how many people, and which locations, can be lost; and what the shares of earlier sets still open.

    Works without the service. Ends with exit status 1 when fewer than m + 1 custodians can be counted on.
    """
    from strongroom.wiring.custodian_status import custodian_warnings

    current, old = _read()
    _print(pdf, html)
    found = _require_set(current)
    warnings = custodian_warnings(found)
    output.document({"set": found, "warnings": warnings, "old_sets": old})
    _say_set(output, found)
    output.say("", *_loss_words(found.losses))
    output.say(*(f"Warning: {visible(warning)}" for warning in warnings))
    _say_old(output, old)
    _require_enough(found)


@custodians.command("old-sets")
@reporting
def old_sets(output: Output) -> None:
    """Show earlier backup sets: which backups are to be destroyed, and what the old shares still open with them.

    Works without the service. Ends with exit status 1 while a backup is to be destroyed.
    """
    _, old = _read()
    output.document({"old_sets": old})
    if not old:
        output.say("There is no earlier backup set.")
    _say_old(output, old)
    if any(backup.state == "to_destroy" for one in old for backup in one.backups):
        raise NotDoneError(
            "there are backups to destroy",
            next_step="destroy every copy, then say so: strongroom custodians destroyed BACKUP --seen-by NAME",
        )


def _read() -> "tuple[SetStatus | None, list[OldSet]]":
    from strongroom.storage import ReadOnlyStore
    from strongroom.wiring.custodian_reshare import read_old_sets
    from strongroom.wiring.custodian_status import read_set_status

    home = complete_home()
    rules = load_config(home.root).custodians
    with ReadOnlyStore.open(home.database) as store:
        return read_set_status(store, rules, now=SystemClock().now()), read_old_sets(store)


def _require_set(found: "SetStatus | None") -> "SetStatus":
    if found is None:
        raise NotDoneError(
            "there is no backup set, so nobody holds a share",
            next_step="make one in a ceremony: strongroom ceremony new --type backup",
        )
    return found


def _require_enough(found: "SetStatus") -> None:
    if found.is_too_few:
        raise NotDoneError(
            f"{found.losses.counted} custodians can be counted on; there should be at least {found.threshold + 1}",
            next_step="see the warnings above, and docs/custodians.md",
        )


def _say_set(output: Output, found: "SetStatus") -> None:
    output.say(
        f"Backup set {found.set_id}: any {found.threshold} of {found.count} shares open its backups. In use since {shown_time(found.activated_at)}.",
        "",
    )
    output.table(
        ["SHARE", "CUSTODIAN", "NAME", "LOCATION", "BY", "STATE", "PROVED", "DUE", "DUTY"],
        [_row(one) for one in found.custodians],
    )


def _row(one: "CustodianStatus") -> list[str]:
    state: str = one.state
    if one.state == "holding":
        state = "holding" if one.is_counted else "not proved"
    return [
        str(one.share),
        one.custodian,
        one.name,
        one.location or "-",
        one.delivery,
        state,
        _day(one.proved_at),
        _day(one.due_at) + (" (now)" if one.is_due else ""),
        _day(one.acknowledged_at),
    ]


def _day(seconds: float | None) -> str:
    return shown_time(seconds).partition(" ")[0]


def _loss_words(found: "Losses") -> list[str]:
    if not found.is_recoverable:
        return [
            f"The shares that can be counted on do not open the backup: {found.counted} of the {found.threshold} that are needed."
        ]
    lines = [
        f"We can lose {_count(found.people, 'custodian')}, and {_count(found.any_locations, 'whole location')}."
    ]
    sets = [one for one in found.locations if one]
    if sets and len(sets) <= _MOST_SETS_SHOWN:
        lines.append("All custodians of any one of these lines can be lost together:")
        lines += [f"  {', '.join(map(visible, one))}" for one in sets]
    elif sets:
        lines.append(f"There are {len(sets)} largest sets of locations that we can lose at once; --json lists them.")  # fmt: skip
    lines += [f"Without {visible(place)} the backup does not open." for place in found.vital]
    return lines


def _count(number: int, what: str) -> str:
    if number == 0:
        return f"no {what}"
    return f"any {number} {what}" if number == 1 else f"any {number} {what}s"


def _say_old(output: Output, old: "list[OldSet]") -> None:
    for one in old:
        output.say(
            "",
            f"Earlier set {one.set_id} ({one.threshold} of {one.count}, {one.state}), held by {', '.join(map(visible, one.custodians))}",
        )
        if one.state == "active":
            output.say(f"  {_retiring(one)}")
        rows = [
            [backup.backup_id, shown_time(backup.created_at), backup.state, backup.location]
            for backup in one.backups
        ]
        if rows:
            output.table(["BACKUP", "MADE", "STATE", "WRITTEN TO"], rows)
        for words in one.words:
            output.say(fill(words, _WIDTH, initial_indent="  - ", subsequent_indent="    "))


def _retiring(one: "OldSet") -> str:
    if one.hinders:
        return f"It is not retired, and cannot be yet: {one.hinders}."
    return "It can be retired: by a ceremony of type reshare, step retire-set."


def _print(pdf: Path | None, html: Path | None) -> None:
    """Write the report as it is printed. Raises OutputExistsError and OSError."""
    if pdf is None and html is None:
        return
    from strongroom.cli._officer_files import write_new
    from strongroom.paper import loss_html, loss_pdf
    from strongroom.storage import ReadOnlyStore
    from strongroom.wiring.custodian_pages import loss_report
    from strongroom.wiring.printing_fonts import printing_fonts

    home = complete_home()
    with ReadOnlyStore.open(home.database) as store:
        found = loss_report(store, load_config(home.root), now=SystemClock().now())
    if pdf is not None:
        write_new(pdf, loss_pdf(found, printing_fonts()), mode=0o644)
    if html is not None:
        write_new(html, loss_html(found), mode=0o644)
