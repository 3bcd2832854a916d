"""``strongroom audit hsm``: the logs that HSMs keep themselves, taken in and compared with what our workers asked of the HSMs."""

import asyncio
import datetime as dt
import re
import sys
from pathlib import Path
from typing import BinaryIO, cast

import click
from msgspec import structs, to_builtins

from strongroom.cli._audit_hsm_shown import (
    comparison_document,
    import_document,
    show_comparison,
    show_import,
    shown_micros,
)
from strongroom.cli._errors import CliError, NotDoneError
from strongroom.cli._output import Output
from strongroom.cli._reporting import reporting
from strongroom.config import Home, MemberConfig, home_from_environment, load_config
from strongroom.core import SystemClock
from strongroom.vendorlogs import (
    FORMATS,
    Comparison,
    DateOrder,
    Import,
    ImportReport,
    Limits,
    LogFormat,
    RecordStore,
    compare_logs,
    read_uses,
)
from strongroom.wiring.hsm_logs import (
    counts_since,
    hsm_log_writer,
    logged_uses,
    member_named,
    read_names,
    record_comparison,
    record_import,
    state_of,
)

_AGE = re.compile(r"^(\d{1,5})([smhd])\Z")
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_MEMBER = click.option("--member", "member_name", required=True, help="Whose log it is.")


@click.group
def hsm() -> None:
    """Take in the logs that HSMs keep themselves, and compare them with what we asked of the HSMs."""


@hsm.command(name="import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--format", "log_format", type=click.Choice(FORMATS), required=True, help="How the log is written."
)
@_MEMBER
@click.option(
    "--source", help="Name of the device or stream, where records do not tell it; else the member's."
)
@click.option(
    "--date-order",
    type=click.Choice(["ymd", "dmy", "mdy"]),
    help="Of luna-syslog: how its dates are to be read.",
)
@reporting
def import_(
    output: Output,
    *,
    files: tuple[Path, ...],
    log_format: LogFormat,
    member_name: str,
    source: str | None,
    date_order: DateOrder | None,
) -> None:
    """Take in FILES of a member's HSM log; - is standard input.

    Records that are there already are recognised. What is missing between two records, and lines that are not understood, are told.
    The hash chain of a YubiHSM 2 is verified; nothing of a log that does not fit it is taken in.
    """
    home = Home(home_from_environment())
    member = member_named(load_config(home.root), member_name)
    reports = asyncio.run(
        _import(home, files, member.name, log_format, source=source or member.name, date_order=date_order)
    )
    named = list(zip(map(str, files), reports, strict=True))
    output.document(
        {"member": member.name, "imports": [{"file": name, **import_document(one)} for name, one in named]}
    )
    for name, report in named:
        show_import(output, name, report)


async def _import(
    home: Home,
    files: tuple[Path, ...],
    member: str,
    log_format: LogFormat,
    *,
    source: str,
    date_order: DateOrder | None,
) -> list[ImportReport]:
    clock = SystemClock()
    reports = []
    async with hsm_log_writer(home, clock=clock) as log:
        for path in files:
            taking = Import(
                RecordStore(home.audit, member), log_format, name=source, now=int(clock.now() * 1e6)
            )
            if str(path) == "-":
                report = taking.run(cast("BinaryIO", sys.stdin.buffer), date_order=date_order)
            else:
                with path.open("rb") as file:
                    report = taking.run(file, date_order=date_order)
            await record_import(log, member, log_format, report)
            reports.append(report)
    return reports


@hsm.command
@click.option("--member", "member_name", help="Only this member; else all whose log was taken in.")
@click.option(
    "--since", help="Only what happened since then: 2026-11-22, 2026-11-22T15:00:00Z, or 90m, 24h, 7d."
)
@click.option(
    "--tolerance",
    "tolerance_s",
    type=click.FloatRange(0, 600),
    default=5.0,
    show_default=True,
    help="Seconds by which a record and a call may differ.",
)
@click.option(
    "--offset",
    "offset_s",
    type=click.FloatRange(-86_400, 86_400),
    help="Seconds by which the HSM's clock is ahead; else measured.",
)
@click.option(
    "--keys",
    "names_path",
    type=click.Path(path_type=Path),
    help="File that tells which key the vendor means: REFERENCE CKA_ID on each line.",
)
@reporting
def compare(
    output: Output,
    *,
    member_name: str | None,
    since: str | None,
    tolerance_s: float,
    offset_s: float | None,
    names_path: Path | None,
) -> None:
    """Compare the HSMs' logs with what our workers asked of the HSMs.

    Ends with exit status 1 when an HSM saw a use that no worker of ours made.
    """
    home, clock = Home(home_from_environment()), SystemClock()
    config = load_config(home.root)
    if member_name is not None:
        members = [member_named(config, member_name)]
    else:
        members = [one for one in config.cluster.members if RecordStore(home.audit, one.name).files()]
    if not members:
        raise CliError("no log of an HSM was taken in", next_step="strongroom audit hsm import")
    names = {} if names_path is None else read_names(names_path)
    limits = Limits(tolerance_s=tolerance_s, since=0 if since is None else _moment(since, clock.now()))
    found = asyncio.run(_compare(home, members, limits=limits, names=names, offset_s=offset_s))
    output.document({"members": {name: comparison_document(one) for name, one in found.items()}})
    for name, one in found.items():
        show_comparison(output, name, one)
    unknown = {name: one.unknown for name, one in found.items() if one.unknown}
    if unknown:
        told = ", ".join(f"{name} {count}" for name, count in unknown.items())
        raise NotDoneError(
            f"HSMs saw uses that no worker of ours made: {told}",
            next_step="find out who else can log in to the HSM; change its PIN (strongroom pin rotate), and see docs/hsm-logs.md",
        )


async def _compare(
    home: Home, members: list[MemberConfig], *, limits: Limits, names: dict[str, str], offset_s: float | None
) -> dict[str, Comparison]:
    clock = SystemClock()
    found = {}
    async with hsm_log_writer(home, clock=clock) as log:
        for member in members:
            uses = logged_uses(member)
            found[member.name] = one = _compared(
                home, member.name, limits._replace(uses=uses), names, offset_s
            )
            await record_comparison(log, member.name, one)
            store = RecordStore(home.audit, member.name)
            told = structs.replace(
                store.state(),
                unknown_uses=one.unknown,
                unmatched_ours=one.ours_only,
                compared_at=int(clock.now() * 1e6),
            )
            store.keep_state(told)
    return found


def _compared(
    home: Home, member: str, limits: Limits, names: dict[str, str], offset_s: float | None
) -> Comparison:
    store = RecordStore(home.audit, member)
    if not store.files():
        raise CliError(
            f"no log of {member} was taken in", next_step=f"strongroom audit hsm import --member {member}"
        )
    since = counts_since(home, member)
    if since is None:
        raise CliError(
            f"the workers of {member} have not counted what they ask of the HSM",
            next_step="set hsm_log of the member in strongroom.toml and restart the service; records from then on can be compared",
        )
    return compare_logs(
        store.read,
        lambda: read_uses(home.audit, member),
        limits=limits._replace(covered_since=since),
        names=names,
        offset_s=offset_s,
    )


@hsm.command(name="list")
@reporting
def list_(output: Output) -> None:
    """Show of each member how its HSM's log is said to come, what was taken in, and what the last comparison found."""
    home = Home(home_from_environment())
    members = load_config(home.root).cluster.members
    shown = [(member, state_of(home, member.name), counts_since(home, member.name)) for member in members]
    output.document(
        {
            "members": [
                {
                    "member": member.name,
                    "hsm_log": member.hsm_log,
                    "counts_since": since,
                    **{name: value for name, value in to_builtins(state).items() if name != "version"},
                }
                for member, state, since in shown
            ]
        }
    )
    output.table(
        [
            "MEMBER",
            "LOG COMES BY",
            "RECORDS",
            "NEWEST",
            "WE COUNT SINCE",
            "COMPARED",
            "UNKNOWN USES",
            "OURS ONLY",
        ],
        [
            [
                member.name,
                member.hsm_log or "not said",
                str(state.records),
                shown_micros(state.newest_at or None),
                shown_micros(since),
                shown_micros(state.compared_at or None),
                str(state.unknown_uses) if state.compared_at else "-",
                str(state.unmatched_ours) if state.compared_at else "-",
            ]
            for member, state, since in shown
        ],
    )


def _moment(text: str, now: float) -> int:
    age = _AGE.match(text)
    if age is not None:
        return int((now - int(age[1]) * _UNITS[age[2]]) * 1e6)
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise CliError(
            f"{text!r} is no time", next_step="write 2026-11-22, 2026-11-22T15:00:00Z, 90m, 24h or 7d"
        ) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return max(int(moment.timestamp() * 1e6), 0)
