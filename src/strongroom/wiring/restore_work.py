"""The work of ``backup restore`` once all is checked: from blank tokens to a whole home, from wherever the journal says."""

import contextlib
from typing import Final

import msgspec

from strongroom.config import Home, PinsConfig
from strongroom.core import Clock, ConfigError, HomeError, Secret, WrapAlgorithm
from strongroom.custody import document_hash
from strongroom.storage import ReadOnlyStore, Store
from strongroom.wiring.cluster_setup import (
    Doors,
    Progress,
    SetUpMember,
    choose_algorithm,
    make_transports,
    officer_pin,
    open_doors,
)
from strongroom.wiring.durable_files import write_durably
from strongroom.wiring.first_records import member_record
from strongroom.wiring.home import refuse_scripted, runtime_folder, sync_tree
from strongroom.wiring.init_audit import record_restored
from strongroom.wiring.init_finish import finish_home, scripted_config
from strongroom.wiring.init_journal import MemberJournal
from strongroom.wiring.init_members import NewMember
from strongroom.wiring.init_script_form import RestoreScript, ScriptMember
from strongroom.wiring.new_member import receivers_in_force
from strongroom.wiring.restore_database import custody_of, prove_ciphertexts, put_onto_members, write_database
from strongroom.wiring.restore_journal import (
    RestoredFrom,
    RestoreJournal,
    RestoreJournalFile,
    write_restored_from,
)
from strongroom.wiring.restore_keys import clear_restored, copy_to_all, take_in
from strongroom.wiring.restore_source import ApprovedRestore, RestoreSource
from strongroom.wiring.scripted_members import ScriptedMembers

_NOTE_VERSION: Final = 1


class RestoreWork:
    """One run, on a home that is locked. ``run`` once ``begin`` returned."""

    def __init__(
        self,
        home: Home,
        script: RestoreScript,
        source: RestoreSource,
        approved: ApprovedRestore | None,
        journal_file: RestoreJournalFile,
        *,
        clock: Clock,
        progress: Progress,
    ) -> None:
        self._home = home
        self._script = script
        self._source = source
        self._approved = approved
        self._file = journal_file
        self._clock = clock
        self._progress = progress
        self._pins: PinsConfig = scripted_config(script, [], genesis_sha256="").pins
        self._members: ScriptedMembers | None = None
        self._journal = RestoreJournal(0, "", "", "")

    def begin(self, begun: RestoreJournal | None, new: RestoreJournal) -> None:
        """Begin, or go on. Raises HomeError and ConfigError."""
        if begun is not None:
            self._progress("going on where an interrupted restore was")
        elif self._home.unfinished_mark.exists():
            refuse_scripted(self._home)
            raise HomeError(
                f"{self._home.root} was left half initialised by 'strongroom init --development'",
                next_step="set STRONGROOM_HOME to a new or empty folder",
            )
        journal = begun or new
        if self._approved is not None and not journal.is_keyed:
            given = self._approved.approval
            journal = msgspec.structs.replace(
                journal,
                request=given.request,
                signatures=list(given.signatures),
                approved_at=self._approved.at,
            )
        self._save(journal)
        self._home.unfinished_mark.touch(mode=0o600)
        for folder in ("pins", "tokens", "tls", "audit", "custody"):
            getattr(self._home, folder).mkdir(mode=0o700, exist_ok=True)
        sync_tree(self._home.custody)
        self._members = ScriptedMembers(
            self._home,
            self._script.members,
            self._pins,
            self._journal.members,
            note=self._note,
            clock=self._clock,
            progress=self._progress,
        )

    async def run(self, share_key: Secret | None) -> None:
        """Take every step that is not behind us."""
        if not self._journal.is_configured:
            runtime_folder(self._home)
            members = await self._of_script().make(self._journal.members, self._recipients)
            if self._source.chain is not None:
                write_durably(self._home.genesis_file, self._source.manifest.custody[0], mode=0o400)
            if not self._journal.is_pinned:
                await self._fill(members, share_key)
            await self._finish(members)
        self._progress("removing what only the restore needed")
        for member in self._of_script():
            if self._source.chain is None:
                self._keep_so_pin(member)
            member.forget()
        self._home.unfinished_mark.unlink(missing_ok=True)
        sync_tree(self._home.root)
        self._file.remove()

    def _recipients(self, member: ScriptMember) -> tuple[str, ...] | None:
        chain = self._source.chain
        return None if chain is None else receivers_in_force(chain.state, member)

    async def _fill(self, members: list[SetUpMember], share_key: Secret | None) -> None:
        """Everything that needs the tokens of all members."""
        pins = self._of_script().pins()
        if not self._journal.is_keyed:
            algorithm = await choose_algorithm(self._home, members, self._progress, pins)
            if algorithm is not WrapAlgorithm.HSM_AES_GCM:
                raise ConfigError(
                    f"these members wrap by {algorithm.name} only, and the roots of the bundle need HSM_AES_GCM",
                    next_step="restore into HSMs that can do it (docs/hsm-profiles.md)",
                )
        configs = [member.config for member in members]
        sockets = runtime_folder(self._home)
        async with open_doors(self._home, configs, WrapAlgorithm.HSM_AES_GCM, sockets, pins) as doors:
            if not self._journal.is_keyed:
                await self._bring_back(doors, members, share_key)
            await self._pin(doors)
        self._save(msgspec.structs.replace(self._journal, is_pinned=True))

    async def _bring_back(self, doors: Doors, members: list[SetUpMember], share_key: Secret | None) -> None:
        """Bring keys and database back, on all members; what an interrupted run left is destroyed first."""
        if share_key is None:
            raise HomeError("the journal says that no shares are needed, and keys are missing")
        clock, progress, source = self._clock, self._progress, self._source
        await clear_restored(doors, source.manifest, clock=clock, progress=progress)
        transports = await make_transports(doors, clock, progress)
        await take_in(doors, source.backup_set, source.manifest, share_key, clock=clock, progress=progress)
        progress("decrypting the database, whose key the root opens inside the HSM")
        await write_database(self._home, source, doors.uses[0], clock=clock)
        with contextlib.closing(Store.open(self._home.database)) as store:
            records = [member_record(member, position) for position, member in enumerate(members)]
            await put_onto_members(store, source, records, transports, self._approved, now=clock.now())
            n_keys = await copy_to_all(doors, store, clock=clock, progress=progress)
            opened = await prove_ciphertexts(store, doors.uses[0], clock=clock)
        progress(
            f"the restored root opens what the database holds: {opened.domains} domain KEKs,"
            f" {opened.key_versions} key versions, {opened.access_keys} secrets of access keys were opened"
        )
        sync_tree(self._home.root)
        self._save(msgspec.structs.replace(self._journal, is_keyed=True, n_keys=n_keys))

    async def _pin(self, doors: Doors) -> None:
        if self._source.chain is None:
            return
        with ReadOnlyStore.open(self._home.database) as store:
            genesis, *records = custody_of(store)
        for door in doors.users:
            self._progress(
                f"pinning the genesis in the token of member {door.name}, and showing it every change since"
            )
            await door.pin_custody(genesis)
            await door.follow_chain(records)

    async def _finish(self, members: list[SetUpMember]) -> None:
        source = self._source
        config = scripted_config(
            self._script, [member.config for member in members], genesis_sha256=source.genesis_sha256
        )
        finish_home(self._home, self._script, config, clock=self._clock, progress=self._progress)
        note = RestoredFrom(
            _NOTE_VERSION,
            source.manifest.backup_id,
            source.sha256,
            source.manifest.set_id,
            float(source.manifest.made_at),
            self._clock.now(),
            source.genesis_sha256,
            len(source.manifest.roots),
            self._journal.n_keys,
            [key.label for key in source.manifest.left_out],
        )
        write_restored_from(self._home, note)
        await record_restored(self._home, self._detail(members, note), clock=self._clock)
        self._save(msgspec.structs.replace(self._journal, is_configured=True))

    def _detail(self, members: list[SetUpMember], note: RestoredFrom) -> dict[str, str]:
        detail = {
            "cluster": self._script.cluster.name,
            "backup": note.backup_id,
            "bundle_sha256": note.bundle_sha256,
            "set": note.set_id,
            "set_sha256": self._source.manifest.set_sha256,
            "age_s": f"{max(0.0, note.restored_at - note.made_at):.0f}",
            "origin": self._source.manifest.origin,
            "root_id": self._source.manifest.current_root.root_id,
            "keys": str(note.n_keys),
            "lost_keys": str(len(note.lost)),
        }
        if self._approved is not None:
            approvers = ", ".join(one.officer for one in self._approved.approvers)
            detail |= {
                "genesis": note.genesis_sha256,
                "approval": document_hash(self._approved.approval.request),
                "approved_by": approvers,
            }
        return detail | {f"token_of_{one.config.name}": one.token.serial for one in members}

    def _keep_so_pin(self, member: NewMember) -> None:
        """Leave it where ``init --development`` leaves it: without officers there is nobody to give it to."""
        path = self._home.root / str(officer_pin(member.blank_config).file)
        if path.exists():  # an earlier run was cut off behind this
            return
        pin = member.so_pin()
        try:
            write_durably(path, pin.reveal(), mode=0o400)
        finally:
            pin.zeroize()

    def _of_script(self) -> ScriptedMembers:
        if self._members is None:
            raise RuntimeError("begin() comes before run()")
        return self._members

    def _note(self, name: str, member: MemberJournal) -> None:
        self._save(self._journal.with_member(name, member))

    def _save(self, journal: RestoreJournal) -> None:
        self._file.save(journal)
        self._journal = journal
