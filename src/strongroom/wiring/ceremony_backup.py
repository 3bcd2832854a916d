"""``create-backup``: the running service makes a bundle under the set that is in use."""

from pathlib import Path
from typing import Final

from strongroom.backup import read_bundle, verify_bundle
from strongroom.ceremony import Artefact, CeremonyFolderError, Console, CreateBackup, Outcome, Step
from strongroom.custody import Json
from strongroom.hsm.wire import raise_failure
from strongroom.wiring.backup_door import BackupAnswer, BackupRequest, ask_backups
from strongroom.wiring.ceremony_notes import Notes
from strongroom.wiring.ceremony_opening import set_of
from strongroom.wiring.ceremony_workplace import Workplace, parameters_of, sha256_of

_LIMIT_S: Final = 600.0
_BUNDLE: Final = "bundle"


class CreatingBackup:
    """Asks main for a bundle. One that is whole was recorded by main; what is not whole is not there."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._notes = Notes(place.setting.folder)

    async def perform(self, step: Step, console: Console) -> Outcome:  # noqa: ARG002  # the Protocol's shape
        """Have it made; the service must run, in a rehearsal it is started for so long."""
        name = parameters_of(step, CreateBackup).bundle
        path = self._place.setting.artefacts / name
        self._notes.add(step.id, _BUNDLE, name)
        async with self._place.stage.serving():
            await self._place.approved(lambda: self._ask(path.resolve()))
        return self._found(name)

    async def resume(self, step: Step, console: Console) -> Outcome | None:  # noqa: ARG002  # the Protocol's shape
        """Find the bundle that was made."""
        name = parameters_of(step, CreateBackup).bundle
        path = self._place.setting.artefacts / name
        if not self._notes.of(step.id, _BUNDLE) or not path.exists():
            return None
        with self._place.store() as store:
            if store.find_backup(sha256_of(path)) is None:  # main would have removed it
                path.unlink()
                return None
        return self._found(name)

    async def abandon(self, step: Step, console: Console) -> Outcome:
        """Say whether there is a bundle."""
        found = await self.resume(step, console)
        return Outcome() if found is None else found._replace(deviations=("the bundle was made, and stays",))

    async def _ask(self, path: Path) -> BackupAnswer:
        request = BackupRequest("create", output=str(path))
        answer = await ask_backups(self._place.home, request, timeout_s=_LIMIT_S)
        if answer.failure is not None:
            raise_failure(answer.failure)
        return answer

    def _found(self, name: str) -> Outcome:
        path = self._place.setting.artefacts / name
        sha256 = sha256_of(path)
        try:
            with path.open("rb") as file:
                backup_set = set_of(self._place, path, read_bundle(file).named_set)
                manifest = verify_bundle(file, backup_set).manifest
        except OSError as error:
            raise CeremonyFolderError(f"cannot read {path}: {error.strerror}", name=name) from error
        roots: dict[str, Json] = {
            one.root_id: f"{one.check_kind} {one.check_value}" for one in manifest.roots
        }
        facts: dict[str, Json] = {
            "backup": manifest.backup_id,
            "set": manifest.set_id,
            "bundle-sha256": sha256,
            "bytes": path.stat().st_size,
            "origin": manifest.origin,
            "roots": roots,
            "keys": len(manifest.keys),
            "keys-that-may-not-leave": list[Json]([one.label for one in manifest.left_out]),
        }
        return Outcome(facts, (Artefact(name, sha256),))
