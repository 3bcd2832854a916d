"""``strongroom backup``: bundles that open with m of n custodians, made by the running service, and verified here.

``create`` and ``record-vendor`` ask main at its control socket, which hears the user that owns the home. ``list`` reads the
database alone. ``verify`` needs nothing but the bundle and the document of its set, on any machine.
"""

import datetime as dt
from pathlib import Path
from typing import Final

import click

from strongroom.backup import read_set, set_hash
from strongroom.cli._backup_print import print_manifest
from strongroom.cli._backup_verify import counted, verify
from strongroom.cli._endpoint import complete_home
from strongroom.cli._errors import NotDoneError
from strongroom.cli._main_door import answer_of, approval_option
from strongroom.cli._output import Output, plain, shown_time, visible
from strongroom.cli._reporting import reporting
from strongroom.cli._restore import restore
from strongroom.config import Home, load_config
from strongroom.core import HomeError, SystemClock
from strongroom.storage import BackupSetRecord, ReadOnlyStore
from strongroom.wiring.backup_door import BackupAnswer, BackupRequest, ask_backups
from strongroom.wiring.backup_status import backup_status_of, backup_warnings
from strongroom.wiring.backup_vendor import VendorBackup, read_vendor_backups

_CREATE_LIMIT_S: Final = 3600.0
_NOTE_LIMIT_S: Final = 60.0
_MOST_LISTED: Final = 1_000


def _checked_set(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if value and (len(value) != 32 or set(value) - set("0123456789abcdef")):
        raise click.BadParameter("the id of a backup set has 32 of the characters 0-9a-f")
    return value


@click.group
def backup() -> None:
    """Make backups that open with m of n custodians, list, verify and restore them."""


backup.add_command(verify)
backup.add_command(restore)
backup.add_command(print_manifest)


@backup.command
@click.option(
    "--set",
    "set_id",
    metavar="ID",
    default="",
    callback=_checked_set,
    help="The backup set whose custodians shall open it; else the one that was activated last.",
)
@approval_option
@click.option(
    "--output",
    "path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where to write it: a file that is not there yet; else a name of its own in backups/ of the home.",
)
@reporting
def create(output: Output, *, set_id: str, approval: str, path: Path | None) -> None:
    """Make a backup: one file with every key that may leave, wrapped, and the database, encrypted.

    Needs no custodian: they are needed to open it. Copy the file to where the home is not. Ends with exit status 1 when it could
    not be made (nothing of it stays then), 3 when the service does not answer.
    """
    output.progress("copying the database, and having a member wrap every key")
    named = "" if path is None else str(path.absolute())
    answer = _ask(BackupRequest("create", set_id, approval, named), _CREATE_LIMIT_S)
    output.document({name: value for name, value in plain(answer).items() if name != "failure"})
    output.say(
        f"{visible(answer.path)}",
        f"  backup  {answer.backup_id}, for the custodians of set {answer.set_id}",
        f"  holds   {counted(answer.n_roots, 'root')} and {counted(answer.n_keys, 'Direct key')} of member"
        f" {visible(answer.source)}, and the database; {answer.size:,} bytes",
        f"  sha256  {answer.sha256}",
    )
    if answer.left_out:
        shown = ", ".join(map(visible, answer.left_out[:10])) + (" …" if len(answer.left_out) > 10 else "")
        output.say(
            f"NOT in it: {counted(len(answer.left_out), 'Direct key')}: {shown}",
            "  what to do: back up what may not leave by the vendor's own means, if it has any (strongroom backup record-vendor);"
            " of what is in quarantine see docs/direct-keys.md",
        )
    output.say("", f"Try next: strongroom backup verify {visible(answer.path)}")


@backup.command("list")
@reporting
def list_backups(output: Output) -> None:
    """List the backup sets and the backups made under them, the newest first.

    Reads the database alone, so it works though no service runs. Ends with exit status 1 when the newest backup is too old, or
    its custodians have opened none for too long.
    """
    home, now = complete_home(), SystemClock().now()
    with ReadOnlyStore.open(home.database) as store:
        sets, made = store.list_backup_sets(), store.list_backups(limit=_MOST_LISTED)
        status = backup_status_of(store, home, load_config(home.root).backups, now=now)
    warnings = backup_warnings(status, now=now)
    vendors = _vendor_backups(home)
    output.document(
        {
            "sets": [_set_shown(record) for record in sets],
            "backups": [
                {**one._asdict(), "set_id": one.set_id.hex(), "state": one.state.value} for one in made
            ],
            "vendor_backups": vendors,
            "warnings": warnings,
        }
    )
    output.table(
        ["SET", "STATE", "SHARES", "SINCE", "ENDED"],
        [_set_row(record) for record in sets],
    )
    output.say("")
    output.table(
        ["BACKUP", "SET", "STATE", "MADE", "OPENED", "BYTES", "WRITTEN TO"],
        [
            [
                one.backup_id[:8],
                one.set_id.hex()[:8],
                one.state.value,
                shown_time(one.created_at),
                shown_time(one.verified_at),
                str(one.size),
                one.location,
            ]
            for one in made
        ],
    )
    if vendors:
        output.say("")
        output.table(
            ["VENDOR'S BACKUP", "REFERENCE", "MADE", "NOTED"],
            [[one.kind, one.reference, shown_time(one.at), shown_time(one.noted_at)] for one in vendors],
        )
    if warnings:
        raise NotDoneError(visible("; ".join(warnings)), next_step="see docs/backup.md")


@backup.command("record-vendor")
@click.option("--kind", required=True, metavar="WORD", help="By what it was made, such as luna-backup-hsm.")
@click.option(
    "--reference", required=True, metavar="TEXT", help="What finds it: a serial number, a backup id."
)
@click.option(
    "--at",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%SZ"]),
    help="When it was made, in UTC; else now.",
)
@reporting
def record_vendor(output: Output, *, kind: str, reference: str, at: dt.datetime | None) -> None:
    """Note that a backup was made by the vendor's own means, so that its age is looked at.

    Nothing is made or verified by this. Ends with exit status 3 when the service does not answer.
    """
    made = SystemClock().now() if at is None else at.replace(tzinfo=dt.UTC).timestamp()
    _ask(BackupRequest("record-vendor", kind=kind, reference=reference, at=made), _NOTE_LIMIT_S)
    output.document({"kind": kind, "reference": reference, "at": made})
    output.say(f"Noted: {visible(kind)} {visible(reference)}, made {shown_time(made)}.")


def _ask(request: BackupRequest, timeout_s: float) -> BackupAnswer:
    answer = answer_of(ask_backups(complete_home(), request, timeout_s=timeout_s))
    if answer.failure is not None:
        raise NotDoneError(answer.failure.message, next_step=answer.failure.next_step)
    return answer


def _vendor_backups(home: Home) -> list[VendorBackup]:
    try:
        return read_vendor_backups(home)
    except HomeError:
        return []  # the warnings say it


def _set_shown(record: BackupSetRecord) -> dict[str, object]:
    shown: dict[str, object] = {
        "set_id": record.set_id.hex(),
        "state": record.state.value,
        "created_at": record.created_at,
        "activated_at": record.activated_at,
        "ended_at": record.ended_at,
    }
    if record.document:
        backup_set = read_set(record.document)
        shown |= {"threshold": backup_set.threshold, "count": backup_set.count, "origin": backup_set.origin}
        shown["set_sha256"] = set_hash(backup_set)
    return shown


def _set_row(record: BackupSetRecord) -> list[str]:
    shown = _set_shown(record)
    shares = f"{shown['threshold']} of {shown['count']}" if "threshold" in shown else "-"
    since = shown_time(record.activated_at or record.created_at)
    return [record.set_id.hex(), record.state.value, shares, since, shown_time(record.ended_at)]
