"""``make-backup-set`` and ``retire-set``."""

import hashlib
from typing import Final

from strongroom.backup import BackupSet, SetCustodian, read_set, write_set
from strongroom.ceremony import (
    CeremonyFolderError,
    Console,
    MakeBackupSet,
    Outcome,
    Participant,
    RetireSet,
    Step,
)
from strongroom.custody import Json, spoken
from strongroom.storage import BackupSetState, Store
from strongroom.wiring.backup_approval import holding_act
from strongroom.wiring.backup_ending import give_up_set, retire_backup_set
from strongroom.wiring.backup_set import ShareToGive, make_backup_set
from strongroom.wiring.ceremony_events import QuietEvents
from strongroom.wiring.ceremony_notes import Notes
from strongroom.wiring.ceremony_shares import GivingShares
from strongroom.wiring.ceremony_workplace import Workplace, parameters_of, presented_pins, told
from strongroom.wiring.custodian_reshare import read_old_sets, require_retirable
from strongroom.wiring.share_printing import SheetPrinter

SET_FILE: Final = "backup-set.json"
DELIVERIES: Final = "deliveries"
_SET: Final = "set"
_RETIRED: Final = "retired"


class MakingSet:
    """Makes a set; one that was interrupted is abandoned, and its shares open nothing."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._notes = Notes(place.setting.folder)

    async def perform(self, step: Step, console: Console) -> Outcome:
        """Make the set, and give each custodian a share."""
        wanted, place = parameters_of(step, MakeBackupSet), self._place
        people = [place.setting.script.participant(one) for one in wanted.custodians]
        giving = self._giving(wanted, console)
        await place.protect(console)

        with place.store() as store:
            self._note_active(store)
            async with (
                presented_pins(place.home, place.members(), step.by, console) as pins,
                told(console) as progress,
            ):

                async def give(one: ShareToGive[Participant]) -> SetCustodian:
                    self._notes.add(step.id, _SET, one.set_id.hex())
                    await progress.all_said()
                    return await giving.give(one)

                made = await place.approved(
                    lambda: make_backup_set(
                        place.home,
                        threshold=wanted.threshold,
                        custodians=people,
                        give=give,
                        store=store,
                        events=QuietEvents(),
                        clock=place.clock,
                        progress=progress,
                        so_pin=pins.security_officer,
                    )
                )
        return self._outcome(made)

    def _giving(self, wanted: MakeBackupSet, console: Console) -> GivingShares:
        setting = self._place.setting
        return GivingShares(
            console,
            setting.folder / DELIVERIES,
            note=self._place.note,
            is_rehearsal=setting.is_rehearsal,
            clock=setting.clock,
            printer=self._printer(wanted.print_command),
        )

    def _printer(self, command: tuple[str, ...]) -> SheetPrinter | None:
        setting, clock = self._place.setting, self._place.clock
        if not command:
            return None
        return SheetPrinter(
            command, ceremony=setting.ceremony, is_rehearsal=setting.is_rehearsal, clock=clock
        )

    async def resume(self, step: Step, console: Console) -> Outcome | None:
        """Find the set that was made; else abandon what is left of one, and begin again."""
        place = self._place
        with place.store() as store:
            for set_id in self._notes.of(step.id, _SET):
                record = store.get_backup_set(bytes.fromhex(set_id))
                if record is not None and record.state is BackupSetState.ACTIVE:
                    return self._outcome(read_set(record.document))
            await self._give_up(step, store, console)
        return None

    async def abandon(self, step: Step, console: Console) -> Outcome:
        """Abandon what is left of a set that is not in use; one that is in use stays."""
        found = await self.resume(step, console)
        if found is None:
            return Outcome(
                deviations=("the set is abandoned: destroy every copy of its shares; they open nothing",)
            )
        return Outcome(
            found.facts, found.artefacts, ("the set was complete, and stays in use until it is retired",)
        )

    async def _give_up(self, step: Step, store: Store, console: Console) -> None:
        unfinished = [one for one in store.list_backup_sets() if one.state is BackupSetState.MAKING]
        if not unfinished:
            return
        wanted, place = parameters_of(step, MakeBackupSet), self._place
        parameters: dict[str, Json] = {
            "threshold": wanted.threshold,
            "count": len(wanted.custodians),
            "members": list[Json](sorted(member.name for member in place.members())),
        }
        approval = holding_act(store, "MakeBackupSet", parameters, clock=place.clock)
        async with told(console) as progress:
            await give_up_set(
                place.home,
                store,
                approval,
                events=QuietEvents(),
                clock=place.clock,
                progress=progress,
            )
        for one in unfinished:
            await place.note(
                f"the unfinished set {one.set_id.hex()} is abandoned; its shares open nothing", ""
            )

    def _note_active(self, store: Store) -> None:
        """Remember the set that was in use when this ceremony began: it is what retire-set retires."""
        active = store.get_active_backup_set()
        if active is not None:
            self._notes.add("", _RETIRED, active.set_id.hex())

    def _outcome(self, made: BackupSet) -> Outcome:
        document = write_set(made)
        return Outcome(_facts(made), (self._place.keep(SET_FILE, document),))


class RetiringSet:
    """Retires the set that was in use before this ceremony; repeated, it changes nothing."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._notes = Notes(place.setting.folder)

    async def perform(self, step: Step, console: Console) -> Outcome:
        """Retire it, and tell what its shares still open. Raises SetNotRetirableError while nothing is backed up under another."""
        place = self._place
        with place.store() as store:
            set_id = bytes.fromhex(parameters_of(step, RetireSet).set_id or self._before())
            require_retirable(store, set_id)
            async with told(console) as progress:
                await place.approved(
                    lambda: retire_backup_set(
                        place.home, set_id, store=store, clock=place.clock, progress=progress
                    )
                )
            (old,) = (one for one in read_old_sets(store) if one.set_id == set_id.hex())
        return Outcome(
            {
                "set": old.set_id,
                "opened-with": f"any {old.threshold} of {old.count} shares, of {', '.join(old.custodians)}",
                "old-bundles-to-destroy": [f"{one.sha256} {one.location}" for one in old.backups],
                "what-old-shares-still-open": list[Json](old.words),
            }
        )

    async def resume(self, step: Step, console: Console) -> Outcome | None:
        """Do it again: what is retired stays so."""
        return await self.perform(step, console)

    async def abandon(self, step: Step, console: Console) -> Outcome:  # noqa: ARG002  # the Protocol's shape
        """Say how far it came."""
        return Outcome(
            deviations=("a set whose retirement was begun takes no new backups; repeat the retirement",)
        )

    def _before(self) -> str:
        noted = self._notes.of("", _RETIRED)
        others = [one for one in noted if one not in {made.hex() for made in self._made_here()}]
        if others:
            return others[0]
        raise CeremonyFolderError(
            "no backup set was in use when this ceremony began",
            next_step="name the set in the script: set-id",
        )

    def _made_here(self) -> set[bytes]:
        steps = (step.id for step in self._place.setting.script.steps)
        return {bytes.fromhex(name) for step in steps for name in self._notes.of(step, _SET)}


def _facts(made: BackupSet) -> dict[str, Json]:
    digest = hashlib.sha256(made.spki).hexdigest()
    signer = hashlib.sha256(made.signing_key.spki).hexdigest()
    return {
        "set": made.set_id,
        "opens-with": f"any {made.threshold} of {made.count} shares",
        "origin": made.origin,
        "public-key-sha256": digest,
        "public-key-in-words": " ".join(spoken(digest)),
        "signing-key-sha256": signer,
        "signing-key-in-words": " ".join(spoken(signer)),
        "share-key-check-value": made.share_key_check,
        "transport-keys": {
            one.member: list[Json]([f"{key.kind} {key.cka_id}" for key in one.keys])
            for one in made.transports
        },
        "custodians": {
            one.id: f"share {one.share_index}, {one.name}, {one.location}, {one.delivery}"
            for one in made.custodians
        },
    }
