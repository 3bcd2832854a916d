"""``strongroom backup verify``: a bundle from outside, or opened with its shares in a token that is destroyed afterwards."""

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final

import click

from strongroom.backup import MAX_SET_BYTES, BackupSet, read_bundle, read_set
from strongroom.cli._backup_shares import share_key_of, share_option
from strongroom.cli._endpoint import complete_home
from strongroom.cli._errors import CliError
from strongroom.cli._officer_files import read_bounded
from strongroom.cli._output import Output, shown_time, visible
from strongroom.cli._reporting import reporting
from strongroom.config import Home, home_from_environment
from strongroom.core import Secret, StrongroomError, SystemClock
from strongroom.storage import ReadOnlyStore
from strongroom.wiring.backup_door import BackupRequest, ask_backups
from strongroom.wiring.backup_verification import (
    ClosedVerdict,
    OpenedVerdict,
    require_scratch_allowed,
    verify_closed,
    verify_opened,
)
from strongroom.wiring.members_door import MembersNotReachableError
from strongroom.wiring.scratch_folder import scratch_folder

_NOTE_LIMIT_S: Final = 60.0


def counted(number: int, what: str) -> str:
    """Return a number of things in words."""
    return f"1 {what}" if number == 1 else f"{number:,} {what}s"


@click.command
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--set",
    "set_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The document of its backup set, as the ceremony wrote it; else the one in the database of the home.",
)
@share_option
@click.option(
    "--production-roots-into-softhsm",
    "is_accepted",
    is_flag=True,
    help="Accept that roots of HSMs are in a SoftHSM token of this machine while they are looked at.",
)
@reporting
def verify(
    output: Output, *, bundle: Path, set_file: Path | None, sources: tuple[Path, ...], is_accepted: bool
) -> None:
    """Verify BUNDLE: its form, its hashes and its signature; with shares, open it and prove every key in it.

    Opened is it in a scratch SoftHSM token, which is destroyed again; the service is not touched, and needs not run. Ends with exit
    status 1, and says which part, when anything is not as it was made.
    """
    with bundle.open("rb") as file:
        backup_set = set_of(file, set_file)
        closed = verify_closed(file, backup_set)
        trusted = _trusted(closed, backup_set, set_file)
        _show_closed(output, closed, trusted)
        opened = None
        if sources:
            require_scratch_allowed(backup_set, closed.bundle.manifest, is_accepted=is_accepted)
            share_key = share_key_of(backup_set, sources, output.progress)
            opened = _opened(output, file, closed, backup_set, share_key)
    is_noted = opened is not None and _note(closed)
    output.document({**_document(closed, opened, is_noted=is_noted), "trusted": trusted})
    if opened is None:
        output.say(
            "Not opened: that its keys can be taken from it, only its shares can show (--share).",
            "",
            f"Try next: strongroom backup verify {visible(str(bundle))} --share -",
        )
        return
    _show_opened(output, opened, is_noted=is_noted)


def set_of(file: BinaryIO, set_file: Path | None) -> BackupSet:
    """Return the set from its file, or from the home's database."""
    if set_file is not None:
        return read_set(read_bounded(set_file, MAX_SET_BYTES))
    set_id = read_bundle(file).named_set
    with ReadOnlyStore.open(complete_home().database) as store:
        record = store.get_backup_set(bytes.fromhex(set_id))
    if record is None or not record.document:
        raise CliError(
            f"this home does not know the backup set {set_id}",
            next_step="name the document of the set, which the ceremony wrote: --set FILE",
        )
    return read_set(record.document)


def _opened(
    output: Output, file: BinaryIO, closed: ClosedVerdict, backup_set: BackupSet, share_key: Secret
) -> OpenedVerdict:
    try:
        with scratch_folder() as folder:
            work = verify_opened(
                file, closed, backup_set, share_key, folder, clock=SystemClock(), progress=output.progress
            )
            return asyncio.run(work)
    finally:
        share_key.zeroize()


def _note(closed: ClosedVerdict) -> bool:
    """Have the service note that it was opened; False where none runs here, or it did not make this bundle."""
    request = BackupRequest("verified", sha256=closed.sha256)
    try:
        home = Home(home_from_environment())
        answer = asyncio.run(ask_backups(home, request, timeout_s=_NOTE_LIMIT_S))
    except (MembersNotReachableError, StrongroomError):
        return False
    return answer.failure is None


def _document(closed: ClosedVerdict, opened: OpenedVerdict | None, *, is_noted: bool) -> dict[str, object]:
    manifest = closed.bundle.manifest
    return {
        "backup_id": manifest.backup_id,
        "set_id": manifest.set_id,
        "made_at": manifest.made_at,
        "origin": manifest.origin,
        "sha256": closed.sha256,
        "size": closed.size,
        "roots": [
            {"root_id": root.root_id, "check_kind": root.check_kind, "check_value": root.check_value}
            for root in manifest.roots
        ],
        "keys": len(manifest.keys),
        "left_out": [{"key_id": key.key_id, "label": key.label, "why": key.why} for key in manifest.left_out],
        "opened": None if opened is None else opened._asdict(),
        "noted": is_noted,
    }


def _trusted(closed: ClosedVerdict, backup_set: BackupSet, set_file: Path | None) -> dict[str, str]:
    """Say what was believed without proof: the document, whose key signed. Nothing in a bundle can show that it is the true one."""
    manifest = closed.bundle.manifest
    return {
        "set_document": "the database of this home" if set_file is None else str(set_file),
        "set_sha256": manifest.set_sha256,
        "signing_key_sha256": hashlib.sha256(backup_set.signing_key.spki).hexdigest(),
        "genesis_sha256": manifest.genesis_sha256,
    }


def _show_closed(output: Output, closed: ClosedVerdict, trusted: Mapping[str, str]) -> None:
    manifest = closed.bundle.manifest
    output.say(
        f"Backup {manifest.backup_id} of {shown_time(manifest.made_at)}",
        f"  set       {manifest.set_id}, whose custodians open it",
        f"  sha256    {closed.sha256}",
        f"  holds     {counted(len(manifest.roots), 'root')} and {counted(len(manifest.keys), 'Direct key')} of member"
        f" {visible(manifest.source)}, and the database of revision {visible(manifest.snapshot.revision)}",
        *(
            f"  root      {root.root_id}  {visible(root.check_kind)} {visible(root.check_value)}"
            + ("  (current)" if root.is_current else "")
            for root in manifest.roots
        ),
        "  verified  its form, its size, the hash of its snapshot, and the signature of its manifest",
        f"  trusted   the document of the set, from {visible(trusted['set_document'])}; compare both with the transcript of the"
        " ceremony:",
        f"            SHA-256 of the document     {trusted['set_sha256']}",
        f"            SHA-256 of its signing key  {trusted['signing_key_sha256']}",
        *(
            [f"            officers of the genesis     {trusted['genesis_sha256']}"]
            if trusted["genesis_sha256"]
            else []
        ),
    )
    if manifest.left_out:
        names = ", ".join(f"{visible(key.label)} ({key.why})" for key in manifest.left_out[:10])
        more = " …" if len(manifest.left_out) > 10 else ""
        output.say(f"  NOT in it {counted(len(manifest.left_out), 'Direct key')}: {names}{more}")


def _show_opened(output: Output, opened: OpenedVerdict, *, is_noted: bool) -> None:
    output.say(
        "  sealed    the shares show that the document of the set is the one that was made with them",
        f"  opened    {counted(opened.n_roots, 'root')} and {counted(opened.n_keys, 'Direct key')}, each proved; the database,"
        f" whole, with {sum(opened.counts.values()):,} records; {counted(opened.n_domains, 'domain KEK')} under its roots",
        "This backup can be restored from."
        if is_noted
        else "This backup can be restored from. No service of this home noted that it was opened.",
    )
