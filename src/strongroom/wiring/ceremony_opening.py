"""``collect-shares`` and ``open-backup``: custodians open a bundle in a scratch token, and nothing of production is touched.

What shares give is kept in memory until it is used or the ceremony ends, in a protected process.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from strongroom.backup import MAX_SET_BYTES, BackupSet, read_bundle, read_set
from strongroom.ceremony import (
    ACCEPT_SOFTHSM,
    Artefact,
    CeremonyError,
    CeremonyFolderError,
    CollectShares,
    Console,
    OpenBackup,
    Outcome,
    Question,
    Step,
)
from strongroom.custody import Json
from strongroom.storage import ReadOnlyStore
from strongroom.wiring.backup_verification import (
    ClosedVerdict,
    OpenedVerdict,
    require_scratch_allowed,
    verify_closed,
    verify_opened,
)
from strongroom.wiring.ceremony_set import SET_FILE
from strongroom.wiring.ceremony_shares import CollectingShares
from strongroom.wiring.ceremony_workplace import Workplace, parameters_of, require_sha256, told
from strongroom.wiring.scratch_folder import scratch_folder

_ACCEPT_QUESTION: Final = "accept-softhsm"


class Collecting:
    """Collects shares. Interrupted, custodians enter them again."""

    def __init__(self, place: Workplace) -> None:
        self._place = place

    async def perform(self, step: Step, console: Console) -> Outcome:
        """Ask each custodian, and keep what the shares give. Raises ShareError and WrongSetError."""
        wanted, place = parameters_of(step, CollectShares), self._place
        people = [place.setting.script.participant(one) for one in wanted.custodians]
        await place.protect(console)
        place.forget()
        await place.stage.give_rehearsed_shares(wanted, people, console)
        with _opened(place.file(wanted.bundle)) as file:
            backup_set = set_of(place, place.file(wanted.bundle), read_bundle(file).named_set)
        if len(people) < backup_set.threshold:
            raise CeremonyError(
                f"set {backup_set.set_id} opens with {backup_set.threshold} shares, and the script names {len(people)} custodians"
            )
        collecting = CollectingShares(console, backup_set, note=place.note)
        place.share_key = await collecting.collect(people)
        entered: list[Json] = [f"{one.name}" for one in people]
        return Outcome(
            {
                "set": backup_set.set_id,
                "shares-of": entered,
                "share-key-check-value": backup_set.share_key_check,
            }
        )

    async def resume(self, step: Step, console: Console) -> Outcome | None:  # noqa: ARG002  # the Protocol's shape
        """Begin again: what was entered is nowhere any more."""
        self._place.forget()
        return None

    async def abandon(self, step: Step, console: Console) -> Outcome:  # noqa: ARG002  # the Protocol's shape
        """Forget what was entered."""
        self._place.forget()
        return Outcome()


class Opening:
    """Opens a bundle in a scratch token, which is destroyed afterwards, whatever happens."""

    def __init__(self, place: Workplace) -> None:
        self._place = place

    async def perform(self, step: Step, console: Console) -> Outcome:
        """Verify the bundle, and open it with what the shares gave. Raises BackupError and HsmError."""
        wanted, place = parameters_of(step, OpenBackup), self._place
        path = place.file(wanted.bundle)
        require_sha256(path, "" if place.setting.is_rehearsal else wanted.bundle_sha256)
        share_key = place.share_key
        if share_key is None:
            raise CeremonyError("no shares were collected in this process", next_step="collect them again")
        with _opened(path) as file:
            backup_set = set_of(place, path, read_bundle(file).named_set)
            closed = verify_closed(file, backup_set)
            is_accepted = await self._accepted(step, backup_set, closed, console)
            require_scratch_allowed(backup_set, closed.bundle.manifest, is_accepted=is_accepted)
            async with told(console) as progress:
                with scratch_folder() as folder:
                    opened = await verify_opened(
                        file, closed, backup_set, share_key, folder, clock=place.clock, progress=progress
                    )
        place.forget()
        await self._note_verified(closed)
        deviations = (ACCEPT_SOFTHSM,) if is_accepted else ()
        artefacts = (self._artefact(path, closed),)
        return Outcome(_facts(closed, opened), artefacts, deviations)

    async def resume(self, step: Step, console: Console) -> Outcome | None:  # noqa: ARG002  # the Protocol's shape
        """Begin again: the scratch token is gone, or lies in a folder in memory that nobody knows."""
        return None

    async def abandon(self, step: Step, console: Console) -> Outcome:  # noqa: ARG002  # the Protocol's shape
        """Forget what the shares gave."""
        self._place.forget()
        return Outcome()

    async def _accepted(
        self, step: Step, backup_set: BackupSet, closed: ClosedVerdict, console: Console
    ) -> bool:
        """Have somebody say in so many words that roots of HSMs may be in SoftHSM for so long."""
        if "hsm" not in {backup_set.origin, closed.bundle.manifest.origin}:
            return False
        text = (
            "The roots in this bundle were made in HSMs, and are put into a SoftHSM token of this machine while they are looked at."
            f" To go on, type: {ACCEPT_SOFTHSM}"
        )
        return await console.ask(Question(_ACCEPT_QUESTION, step.by, text)) == ACCEPT_SOFTHSM

    async def _note_verified(self, closed: ClosedVerdict) -> None:
        place = self._place
        if not place.home.database.exists():
            return
        with place.store() as store:
            record = store.find_backup(closed.sha256)
            if record is not None:
                at, backup_id = place.clock.now(), record.backup_id
                await store.write(lambda tx: tx.note_backup_verified(backup_id, at=at))

    def _artefact(self, path: Path, closed: ClosedVerdict) -> Artefact:
        is_here = path.parent == self._place.setting.artefacts
        return Artefact(path.name, closed.sha256, "" if is_here else str(path.parent)[:200])


def set_of(place: Workplace, bundle: Path, set_id: str) -> BackupSet:
    """Return a set from the records of the home, or from its document beside the bundle. Raises CeremonyFolderError."""
    if place.home.database.exists():
        with ReadOnlyStore.open(place.home.database) as store:
            record = store.get_backup_set(bytes.fromhex(set_id))
        if record is not None and record.document:
            return read_set(record.document)
    for path in (place.setting.artefacts / SET_FILE, bundle.with_name(SET_FILE)):
        with contextlib.suppress(OSError), path.open("rb") as file:
            found = read_set(file.read(MAX_SET_BYTES + 1))
            if found.set_id == set_id:
                return found
    raise CeremonyFolderError(
        f"the document of backup set {set_id} is not here",
        name=SET_FILE,
        next_step=f"put it beside the bundle, as {SET_FILE}: the ceremony that made the set wrote it",
    )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError as error:
        raise CeremonyFolderError(f"there is no bundle {path}", name=path.name) from error


def _facts(closed: ClosedVerdict, opened: OpenedVerdict) -> dict[str, Json]:
    manifest = closed.bundle.manifest
    return {
        "backup": manifest.backup_id,
        "set": manifest.set_id,
        "bundle-sha256": closed.sha256,
        "made-at": manifest.made_at,
        "roots-opened": {one.root_id: f"{one.check_kind} {one.check_value}" for one in manifest.roots},
        "direct-keys-opened": opened.n_keys,
        "direct-keys-left-out": len(manifest.left_out),
        "domains-opened": opened.n_domains,
        "database-revision": opened.revision,
        "opened-in": "a scratch token, which is destroyed",
    }
