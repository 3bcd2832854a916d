"""``strongroom backup restore``: a home that serves, from a bundle, the shares of custodians and blank HSMs."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import click

from strongroom.cli._backup_shares import share_key_of, share_option
from strongroom.cli._errors import CliError
from strongroom.cli._officer_files import read_bounded, write_new
from strongroom.cli._output import Output, shown_time, visible
from strongroom.cli._reporting import reporting

if TYPE_CHECKING:  # the library behind it is slow to load
    from strongroom.wiring.restore_home import RestoredHome
    from strongroom.wiring.restore_source import RestoreApproval, RestoreSource

_PATH: Final = click.Path(path_type=Path)


@click.command
@click.argument("bundle", type=_PATH)
@click.option(
    "--set", "set_file", type=_PATH, required=True, metavar="FILE", help="The document of its backup set, as the ceremony wrote it."
)  # fmt: skip
@click.option(
    "--script", "script_file", type=_PATH, required=True, metavar="FILE",
    help="The new members, PINs, TLS and service: a script as that of init, without officers, rules and access keys.",
)  # fmt: skip
@share_option
@click.option(
    "--request", "request_file", type=_PATH, default=Path("restore-request.json"), show_default=True, metavar="FILE",
    help="What the officers of the cluster sign before it is restored. Written if it is not there.",
)  # fmt: skip
@click.option(
    "--signature", "signature_files", type=_PATH, multiple=True, metavar="FILE",
    help="An officer's signature of that request; once for each.",
)  # fmt: skip
@click.option(
    "--production-roots-into-softhsm",
    "is_accepted",
    is_flag=True,
    help="Accept that roots of HSMs leave the protection of an HSM: software tokens keep them from nobody who has the disk.",
)
@reporting
def restore(
    output: Output,
    *,
    bundle: Path,
    set_file: Path,
    script_file: Path,
    sources: tuple[Path, ...],
    request_file: Path,
    signature_files: tuple[Path, ...],
    is_accepted: bool,
) -> None:
    """Make a home that serves what was backed up: BUNDLE, as many shares as its set needs, and blank HSMs.

    Where the cluster has officers, the first run writes a request, and ends with exit status 1; they sign it (strongroom approvals
    sign FILE), and the second run takes their signatures. No HSM is touched before bundle, approval and shares are checked. After an
    interruption the same command goes on; shares are asked for again.
    """
    from strongroom.backup import MAX_SET_BYTES
    from strongroom.config import Home, home_from_environment
    from strongroom.core import SystemClock
    from strongroom.wiring.restore_home import needs_approval, restore_home
    from strongroom.wiring.restore_script import read_restore_script
    from strongroom.wiring.restore_source import check_against_script, read_restore_source

    home = Home(home_from_environment())
    script = read_restore_script(script_file)
    set_document = read_bounded(set_file, MAX_SET_BYTES)
    approval = None
    source = read_restore_source(bundle, set_document)
    if signature_files and source.chain is not None:
        approval = _read_approval(request_file, signature_files)
    elif needs_approval(home, source, clock=SystemClock()):
        check_against_script(source, script, production_roots_into_softhsm=is_accepted)
        _ask_officers(output, source, request_file)
    work = restore_home(
        home.root,
        bundle,
        set_document,
        script,
        share_key=lambda backup_set: share_key_of(backup_set, sources, output.progress),
        approval=approval,
        production_roots_into_softhsm=is_accepted,
        clock=SystemClock(),
        progress=output.progress,
    )
    _show(output, home.root, asyncio.run(work))


def _ask_officers(output: Output, source: "RestoreSource", request_file: Path) -> NoReturn:
    """Write what officers are to sign, and say so. Raises CliError, always."""
    from strongroom.core import SystemClock
    from strongroom.custody import ApprovalRequest, describe_request, read_document
    from strongroom.wiring.restore_source import restore_request

    next_step = f"each officer: strongroom approvals sign {request_file}; then the same command with --signature FILE for each"
    if request_file.exists():
        raise CliError(
            f"restoring this bundle takes its officers' approval; {request_file} is there already, and no --signature of it",
            next_step=f"{next_step}. Or remove it, if it is of another restore or has expired",
        )
    document = restore_request(source, requester=f"local/{os.geteuid()}", clock=SystemClock())
    write_new(request_file, document, mode=0o644)
    output.say(
        *describe_request(read_document(document, ApprovalRequest), source.chain and source.chain.state)
    )
    raise CliError(
        f"restoring this bundle takes its officers' approval; what they sign is written: {request_file}",
        next_step=next_step,
    )


def _read_approval(request_file: Path, signature_files: tuple[Path, ...]) -> "RestoreApproval":
    from strongroom.custody import MAX_REQUEST_BYTES, MAX_SIGNATURE_BYTES, dearmour
    from strongroom.wiring.restore_source import RestoreApproval

    signatures = [dearmour(read_bounded(path, 2 * MAX_SIGNATURE_BYTES)) for path in signature_files]
    return RestoreApproval(read_bounded(request_file, MAX_REQUEST_BYTES), signatures)


def _show(output: Output, root: Path, made: "RestoredHome") -> None:
    note = made.note
    output.document(
        {
            "home": str(root),
            "made": made.was_made,
            "backup_id": note.backup_id,
            "bundle_sha256": note.bundle_sha256,
            "set_id": note.set_id,
            "backup_made_at": note.made_at,
            "genesis_sha256": note.genesis_sha256,
            "roots": note.n_roots,
            "keys": note.n_keys,
            "lost": note.lost,
            "deliveries": made.deliveries,
        }
    )
    if not made.was_made:
        output.say(
            f"{visible(str(root))} was restored from this bundle at {shown_time(note.restored_at)}; nothing was changed."
        )
        return
    output.say(
        f"Done: {visible(str(root))} holds what backup {note.backup_id} held at {shown_time(note.made_at)};"
        f" {note.n_roots} roots and {note.n_keys} Direct keys are on every member, each proved.",
        "What was made or destroyed since then is not in it: keys that were destroyed later are there again.",
    )
    if note.lost:
        shown = ", ".join(map(visible, note.lost[:10])) + (" …" if len(note.lost) > 10 else "")
        output.say(
            f"{len(note.lost)} Direct keys could not leave their HSMs, and are lost with them: {shown}"
        )
    if made.deliveries:
        output.say(
            "",
            "The PINs of the security officers, encrypted to them; nobody else can open these. Hand them over:",
            *(f"  {visible(str(root / path))}" for path in made.deliveries.values()),
        )
    output.say(
        "",
        "What to do next:",
        _serve_line(root),
        "  strongroom ceremony new --type backup     make a new backup set: these HSMs hold nothing of the old one",
    )


def _serve_line(root: Path) -> str:
    from strongroom.config import load_config
    from strongroom.core import ConfigError
    from strongroom.wiring.replication_rules import replication_rules

    try:
        replication_rules(load_config(root).cluster)
    except ConfigError as error:
        return f"  strongroom members add …                  before it can serve: {visible(error.message)}"
    return "  strongroom serve                          run the service"
