"""What the steps of a ceremony do: the real ``Effects``, on a home or on that of a rehearsal."""

import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Final

from strongroom.audit import AuditLog, verify_log
from strongroom.ceremony import (
    Action,
    CeremonyEnd,
    CeremonyError,
    Console,
    Effects,
    Outcome,
    Scene,
    Setting,
    Step,
)
from strongroom.config import Home
from strongroom.core import StrongroomError
from strongroom.custody import Json
from strongroom.storage import CeremonyRecord, Store
from strongroom.wiring.ceremony_approval import WRITER
from strongroom.wiring.ceremony_backup import CreatingBackup
from strongroom.wiring.ceremony_joining import Initialising, JoiningMember
from strongroom.wiring.ceremony_members import CheckingMembers
from strongroom.wiring.ceremony_notes import Notes
from strongroom.wiring.ceremony_officers import ChangingOfficers
from strongroom.wiring.ceremony_opening import Collecting, Opening
from strongroom.wiring.ceremony_rehearsal import RehearsalStage
from strongroom.wiring.ceremony_restoring import Restoring
from strongroom.wiring.ceremony_root_ca import MakingRootCa
from strongroom.wiring.ceremony_set import MakingSet, RetiringSet
from strongroom.wiring.ceremony_stage import RealStage, Stage
from strongroom.wiring.ceremony_workplace import Doing, Workplace

_ENDED: Final = "ceremony.Ended"


@contextlib.asynccontextmanager
async def ceremony_effects(setting: Setting) -> AsyncIterator[Effects]:
    """Open the effects of a ceremony; they are closed with the block. Raises nothing before ``begin``."""
    stage = RehearsalStage(setting) if setting.home is None else RealStage(Home(setting.home))
    effects = CeremonyEffects(setting, stage)
    try:
        yield effects
    finally:
        await effects.close()


class CeremonyEffects:
    """See ``strongroom.ceremony.Effects``. Belongs to one event loop."""

    def __init__(self, setting: Setting, stage: Stage) -> None:
        place = Workplace(setting, stage)
        self._place = place
        self._is_open = False
        self._doings: Mapping[Action, Doing] = MappingProxyType(
            {
                Action.CHECK_MEMBERS: CheckingMembers(place),
                Action.INITIALISE: Initialising(place),
                Action.MAKE_BACKUP_SET: MakingSet(place),
                Action.CREATE_BACKUP: CreatingBackup(place),
                Action.COLLECT_SHARES: Collecting(place),
                Action.OPEN_BACKUP: Opening(place),
                Action.RESTORE: Restoring(place),
                Action.RETIRE_SET: RetiringSet(place),
                Action.CHANGE_OFFICERS: ChangingOfficers(place),
                Action.MAKE_ROOT_CA: MakingRootCa(place),
                Action.JOIN_MEMBER: JoiningMember(place),
            }
        )

    async def begin(self, scene: Scene) -> None:
        """Begin; the home is got ready before the first step that needs it."""
        self._place.scene = scene

    async def perform(self, action: Action, step: Step, console: Console) -> Outcome:
        """Do what a step says."""
        return await (await self._doing(action)).perform(step, console)

    async def resume(self, action: Action, step: Step, console: Console) -> Outcome | None:
        """Find out what became of a step, or bring it to its end."""
        return await (await self._doing(action)).resume(step, console)

    async def abandon(self, action: Action, step: Step, console: Console) -> Outcome:
        """Undo what is left of a step."""
        return await (await self._doing(action)).abandon(step, console)

    async def audit_checkpoint(self) -> Mapping[str, Json]:
        """Return how many entries each writer of the audit log has, and the chain value behind its last one."""
        home = self._place.home
        if not home.audit.is_dir():
            return {}
        try:
            report = verify_log(home.audit)
        except StrongroomError as error:
            return {"trouble": error.message}
        writers: dict[str, Json] = {
            one.writer: {"entries": one.entries, "chain": one.chain.hex()} for one in report.writers
        }
        return {"writers": writers}

    async def ended(self, end: CeremonyEnd) -> None:
        """Note it in the records and the audit log; the home of a rehearsal is removed."""
        home = self._place.home
        if not end.is_rehearsal and home.database.exists():
            with contextlib.closing(Store.open(home.database)) as store:
                if await _note(store, end):
                    await self._tell(end)
        Notes(self._place.setting.folder).remove()
        await self._place.stage.remove()

    async def close(self) -> None:
        """Forget every secret."""
        self._place.forget()

    async def _doing(self, action: Action) -> Doing:
        doing = self._doings.get(action)
        if doing is None:
            raise CeremonyError(f"this version does not do {action} in a ceremony")
        if not self._is_open:
            await self._place.stage.open()
            self._is_open = True
        return doing

    async def _tell(self, end: CeremonyEnd) -> None:
        audit = AuditLog.open(self._place.home.audit, WRITER, clock=self._place.clock)
        detail = {
            "ceremony": end.ceremony,
            "kind": end.kind,
            "state": "complete" if end.is_complete else "abandoned",
            "transcript": end.transcript_sha256,
        }
        try:
            await audit.record(
                "outcome", _ENDED, principal=f"local/{os.geteuid()}", outcome="ok", detail=detail
            )
        finally:
            audit.close()


async def _note(store: Store, end: CeremonyEnd) -> bool:
    """Put it into the records; returns whether it was not there."""
    there = store.get_ceremony(end.ceremony)
    if there is not None and there.ended_at is not None:
        return False
    if there is None:
        begun = CeremonyRecord(end.ceremony, end.kind, float(end.started_at))
        await store.write(lambda tx: tx.insert_ceremony(begun))
    await store.write(
        lambda tx: tx.end_ceremony(
            end.ceremony, transcript_sha256=end.transcript_sha256, at=float(end.ended_at)
        )
    )
    return True
