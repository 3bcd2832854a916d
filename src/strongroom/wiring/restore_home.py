"""``backup restore``: from a bundle, shares and blank HSMs to a home that serves what was backed up.

    bundle, officers' approval, script and shares are checked → each token: PINs, label, user → transport keys between them
        → roots and Direct keys into the first, the database with them, copies to the others, each proved
        → genesis and chain into each token → TLS, configuration → what only the restore needed is removed

No token is touched before all is checked that can be checked without one. The journal says what is behind us, so the same command
goes on after any interruption; shares are asked for again until keys and database are in, since the share key is never on disk. What
was half taken in is destroyed first: all tokens here were blank. Nobody serves the home before its end.
"""

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from strongroom.backup import BackupSet
from strongroom.config import Home
from strongroom.core import ApprovalRequiredError, Clock, HomeError, Secret
from strongroom.wiring.cluster_setup import Progress
from strongroom.wiring.home import locked_home, make_home_folder, remove_runtime_folder, require_complete
from strongroom.wiring.init_finish import check_own_tls, scripted_config
from strongroom.wiring.init_members import delivery_path
from strongroom.wiring.init_script_form import RestoreScript
from strongroom.wiring.process_protection import protect_process
from strongroom.wiring.restore_journal import (
    RestoredFrom,
    RestoreJournal,
    RestoreJournalFile,
    read_restored_from,
)
from strongroom.wiring.restore_source import (
    ApprovedRestore,
    RestoreApproval,
    RestoreSource,
    check_against_script,
    read_restore_source,
    require_approved,
)
from strongroom.wiring.restore_work import RestoreWork

_VERSION: Final = 1


class RestoredHome(NamedTuple):
    """What was made, or found made."""

    was_made: bool
    """False: this bundle was restored here before, and nothing was changed."""
    note: RestoredFrom
    deliveries: dict[str, str]
    """Paths, relative to the home, of the encrypted PINs of security officers, by member; none where there are no officers."""


async def restore_home(
    root: Path,
    bundle: Path,
    set_document: bytes,
    script: RestoreScript,
    *,
    share_key: Callable[[BackupSet], Secret],
    approval: RestoreApproval | None,
    production_roots_into_softhsm: bool = False,
    clock: Clock,
    progress: Progress,
) -> RestoredHome:
    """Make a home of a bundle, or go on with a restore that was interrupted.

    ``share_key``: asked once all else is checked and before a token is touched, and again after an interruption for as long as keys
    are still to be taken in; it combines shares (``combined_share_key``), and what it returns is overwritten here. ``approval``: of the
    officers of the bundle; one that an interrupted run had is kept, and holds until it expires.

    Raises BackupError, ShareError (from ``share_key``), ApprovalRequiredError, ConfigError for a script that does not fit, HomeError
    for a folder that holds other things or was begun otherwise, and HsmError when a token refuses.
    """
    home = Home(root)
    source = read_restore_source(bundle, set_document)
    check_against_script(source, script, production_roots_into_softhsm=production_roots_into_softhsm)
    _tell_source(source, progress)
    check_own_tls(home, script, scripted_config(script, [], genesis_sha256=source.genesis_sha256))
    journal_file = RestoreJournalFile(home.restore_journal)
    if journal_file.load() is None and (done := _restored_before(home, source)) is not None:
        return _told(script, done, was_made=False)
    approved = _approved(source, approval, journal_file.load(), clock)
    make_home_folder(home)
    with locked_home(home), contextlib.ExitStack() as stack:
        for refused in protect_process():  # from here on there are a share key and PINs in it
            progress(refused)
        new = RestoreJournal(_VERSION, _meaning_of(script), source.sha256, source.manifest.set_sha256)
        begun = journal_file.load()
        if begun is not None:
            _require_same_run(begun, new, home)
        key = None
        if begun is None or not begun.is_keyed:
            key = share_key(source.backup_set)
            stack.callback(key.zeroize)
        work = RestoreWork(home, script, source, approved, journal_file, clock=clock, progress=progress)
        work.begin(begun, new)
        try:
            await work.run(key)
        finally:
            remove_runtime_folder(home)
    done = read_restored_from(home)
    if done is None:
        raise HomeError(f"{home.restored_from} is gone")
    return _told(script, done, was_made=True)


def needs_approval(home: Home, source: RestoreSource, *, clock: Clock) -> bool:
    """Whether officers still have to sign: not where there are none, and not for an interrupted restore that has what it needs.

    Raises HomeError for a journal that is damaged.
    """
    begun = RestoreJournalFile(home.restore_journal).load()
    if begun is None and home.config_file.exists():
        return False  # nothing is done there
    try:
        _approved(source, None, begun, clock)
    except ApprovalRequiredError:
        return True
    return False


def _approved(
    source: RestoreSource, given: RestoreApproval | None, begun: RestoreJournal | None, clock: Clock
) -> ApprovedRestore | None:
    """Count officers; once all keys are in, as they were counted then: what is left opens nothing any more."""
    now = int(clock.now())
    if begun is not None and begun.request and (given is None or begun.is_keyed):
        given = RestoreApproval(begun.request, begun.signatures)
        now = begun.approved_at if begun.is_keyed else now
    return require_approved(source, given, now=now)


def _restored_before(home: Home, source: RestoreSource) -> RestoredFrom | None:
    """Return the note of a home that is complete and was made of this very bundle; None where nothing is. Raises HomeError."""
    if not home.config_file.exists() or home.unfinished_mark.exists():
        return None
    require_complete(home)
    note = read_restored_from(home)
    if note is None or note.bundle_sha256 != source.sha256:
        raise HomeError(
            f"{home.root} is a home already, and {'was made of another bundle' if note else 'of no bundle'}",
            next_step="set STRONGROOM_HOME to a new or empty folder",
        )
    return note


def _meaning_of(script: RestoreScript) -> str:
    return hashlib.sha256(msgspec.json.encode(script, order="deterministic")).hexdigest()


def _require_same_run(there: RestoreJournal, new: RestoreJournal, home: Home) -> None:
    if there.version != new.version:
        raise HomeError(f"{home.root} was begun by another version of strongroom backup restore")
    for what, before, now in (
        ("script", there.script_sha256, new.script_sha256),
        ("bundle", there.bundle_sha256, new.bundle_sha256),
        ("document of the set", there.set_sha256, new.set_sha256),
    ):
        if before != now:
            raise HomeError(
                f"{home.root} was begun with another {what}, and its tokens are partly initialised by it",
                next_step=f"run the restore with the {what} that it was begun with",
            )


def _tell_source(source: RestoreSource, progress: Progress) -> None:
    manifest = source.manifest
    progress(
        f"backup {manifest.backup_id} of {len(manifest.roots)} roots and {len(manifest.keys)} Direct keys is as it was signed;"
        f" SHA-256 of the bundle {source.sha256}, of the document of its set {manifest.set_sha256}"
    )
    if source.chain is not None:
        progress(f"its officers began by the genesis whose SHA-256 is {source.genesis_sha256}")
    if manifest.left_out:
        progress(f"{len(manifest.left_out)} Direct keys are not in it: they could not leave their HSMs")


def _told(script: RestoreScript, note: RestoredFrom, *, was_made: bool) -> RestoredHome:
    has_officers = bool(note.genesis_sha256)
    deliveries = {one.name: delivery_path(one.name) for one in script.members} if has_officers else {}
    return RestoredHome(was_made, note, deliveries)
