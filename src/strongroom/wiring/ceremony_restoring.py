"""``restore``: a bundle, shares and blank HSMs become a home that serves, as ``strongroom backup restore`` does it."""

import os
from pathlib import Path
from typing import Final

from strongroom.backup import BackupSet, check_share_key, read_bundle, write_set
from strongroom.ceremony import ACCEPT_SOFTHSM, Artefact, CeremonyError, Console, Outcome, Restore, Step
from strongroom.core import ApprovalRequiredError, Secret
from strongroom.custody import MAX_SIGNATURE_BYTES, Json, dearmour
from strongroom.wiring.ceremony_opening import set_of
from strongroom.wiring.ceremony_workplace import Workplace, parameters_of, require_sha256, told
from strongroom.wiring.restore_home import RestoredHome, needs_approval, restore_home
from strongroom.wiring.restore_script import read_restore_script
from strongroom.wiring.restore_source import (
    RestoreApproval,
    RestoreSource,
    read_restore_source,
    restore_request,
)

REQUEST_FILE: Final = "restore-request.json"
_MOST_SIGNATURES: Final = 64


class Restoring:
    """Makes a home of a bundle. Its own journal lets it go on after any interruption, with the shares again."""

    def __init__(self, place: Workplace) -> None:
        self._place = place

    async def perform(self, step: Step, console: Console) -> Outcome:
        """Restore, or go on; where this bundle was restored already nothing is changed."""
        wanted, place = parameters_of(step, Restore), self._place
        path, script_path = place.file(wanted.bundle), place.file(wanted.script)
        if not place.setting.is_rehearsal:
            require_sha256(path, wanted.bundle_sha256)
            require_sha256(script_path, wanted.script_sha256)
        with path.open("rb") as file:
            backup_set = set_of(place, path, read_bundle(file).named_set)
        set_document = write_set(backup_set)
        source = read_restore_source(path, set_document)
        script = await place.stage.restore_script() or read_restore_script(script_path)
        is_accepted = wanted.accept_softhsm == ACCEPT_SOFTHSM
        async with told(console) as progress:
            made = await restore_home(
                place.stage.restored.root,
                path,
                set_document,
                script,
                share_key=self._share_key,
                approval=await self._approval(source),
                production_roots_into_softhsm=is_accepted,
                clock=place.clock,
                progress=progress,
            )
        place.forget()
        said = (ACCEPT_SOFTHSM,) if is_accepted and source.manifest.origin == "hsm" else ()
        is_here = path.parent == place.setting.artefacts
        bundle = Artefact(path.name, source.sha256, "" if is_here else str(path.parent)[:200])
        return Outcome(_facts(made, source), (bundle,), said)

    async def resume(self, step: Step, console: Console) -> Outcome | None:
        """Go on: each of its steps may be repeated."""
        return await self.perform(step, console)

    async def abandon(self, step: Step, console: Console) -> Outcome:  # noqa: ARG002  # the Protocol's shape
        """Say what is left."""
        self._place.forget()
        home = self._place.stage.restored
        if home.config_file.exists() and not home.unfinished_mark.exists():
            return Outcome(deviations=("the home was restored, and stays",))
        said = (
            "tokens that this step initialised stay initialised, and may hold copies of keys: go on with strongroom backup restore,"
            f" or reset them with the vendor's tool and remove {home.root}"
        )
        return Outcome(deviations=(said,))

    def _share_key(self, backup_set: BackupSet) -> Secret:
        if self._place.share_key is None:
            raise CeremonyError("no shares were collected in this process", next_step="collect them again")
        check_share_key(
            backup_set, self._place.share_key
        )  # no token is touched for a document that was changed since
        return Secret(self._place.share_key.reveal())

    async def _approval(self, source: RestoreSource) -> RestoreApproval | None:
        """Return what officers signed; what they are to sign is written into the ceremony's folder, once."""
        place = self._place
        if not needs_approval(place.stage.restored, source, clock=place.clock):
            return None  # nobody has to, or an interrupted run has kept it
        path = place.setting.artefacts / REQUEST_FILE
        if not path.exists():
            document = restore_request(source, requester=f"local/{os.geteuid()}", clock=place.clock)
            place.keep(REQUEST_FILE, document)
        request = path.read_bytes()
        signatures = await place.stage.sign(request) or _signatures_beside(path)
        if not signatures:
            raise ApprovalRequiredError(
                f"restoring this bundle takes its officers' approval; what they sign is {path}",
                next_step=f"each officer: strongroom approvals sign {path}; put the signatures beside it: {path.name}.ID.sig",
            )
        return RestoreApproval(request, signatures)


def _signatures_beside(path: Path) -> list[bytes]:
    files = sorted(path.parent.glob(f"{path.name}.*.sig"))[:_MOST_SIGNATURES]
    return [dearmour(file.read_bytes()[: 2 * MAX_SIGNATURE_BYTES]) for file in files]


def _facts(made: RestoredHome, source: RestoreSource) -> dict[str, Json]:
    note = made.note
    return {
        "backup": note.backup_id,
        "set": note.set_id,
        "bundle-sha256": note.bundle_sha256,
        "backup-made-at": int(note.made_at),
        "genesis-sha256": note.genesis_sha256,
        "roots": {one.root_id: f"{one.check_kind} {one.check_value}" for one in source.manifest.roots},
        "direct-keys": note.n_keys,
        "keys-that-are-lost": list[Json](note.lost),
        "deliveries": dict[str, Json](made.deliveries),
    }
