"""A throw-away home for rehearsals: SoftHSM tokens, made-up officers whose keys everybody can make, and ``REHEARSAL`` as its name.

It lies beside the folder of the ceremony (``FOLDER.rehearsal``), so that a rehearsal goes on after an interruption, and is removed
when the rehearsal is over. Its officers sign whatever is asked; PINs of security officers lie in it. Nothing of it is of worth.
"""

import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from strongroom.audit import AuditLog
from strongroom.backup import SetCustodian
from strongroom.ceremony import (
    CeremonyType,
    ChangeOfficers,
    CollectShares,
    Console,
    Initialise,
    JoinMember,
    Participant,
    Question,
    Setting,
    SharePage,
)
from strongroom.config import Home, load_config
from strongroom.config import read_pin as read_clear_pin
from strongroom.core import ApprovalRequiredError, Secret, random_bytes
from strongroom.custody import ApprovalRefusedError
from strongroom.hsm.wire import raise_failure
from strongroom.service import Asker, CustodyKeeping
from strongroom.shares import possession_public_key
from strongroom.storage import ApprovalState, Store
from strongroom.wiring.backup_door import BackupRequest, ask_backups
from strongroom.wiring.backup_set import ShareToGive, make_backup_set
from strongroom.wiring.ceremony_approval import WRITER
from strongroom.wiring.ceremony_events import QuietEvents
from strongroom.wiring.ceremony_rehearsed_people import RehearsedPeople, rehearsed_member
from strongroom.wiring.ceremony_service import running_service
from strongroom.wiring.ceremony_stage import BlankCluster
from strongroom.wiring.cluster_setup import officer_pin
from strongroom.wiring.development_tls import write_private
from strongroom.wiring.durable_files import write_durably
from strongroom.wiring.home import remove_runtime_folder
from strongroom.wiring.init_script_form import RestoreScript, ScriptMember
from strongroom.wiring.initialise_scripted import initialise_scripted
from strongroom.wiring.pin_delivery import open_delivery

SUFFIX: Final = ".rehearsal"
_NAME_FILE: Final = "name"
_LIMIT_S: Final = 600.0
_SPARE: Final = 2
"""Custodians of a made-up set who do not come."""


class RehearsalStage:
    """The home of one rehearsal."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        folder = setting.folder.resolve()
        self._folder = folder.with_name(f"{folder.name}{SUFFIX}")
        self._home = Home(self._folder / "home")
        self._people: RehearsedPeople | None = None

    @property
    def home(self) -> Home:
        """The home."""
        return self._home

    @property
    def people(self) -> RehearsedPeople:
        """Its officers."""
        if self._people is None:
            self._people = RehearsedPeople(self._name())
        return self._people

    async def open(self) -> None:
        """Make the home, unless the rehearsal is of making one."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._setting.script.type is not CeremonyType.ROOT_KEY:
            await self._initialise()
            if self._setting.script.type is CeremonyType.RESHARE:
                await self._made_up_set(())

    async def approve(self, error: ApprovalRequiredError) -> bool:  # noqa: ARG002  # the Protocol's shape
        """Have every officer sign what waits. False when nothing was signed: then it is not for want of signatures."""
        config, n_signed = load_config(self._home.root), 0
        if config.custody is None:
            return False
        audit = AuditLog.open(self._home.audit, WRITER, clock=self._setting.clock)
        with contextlib.closing(audit), contextlib.closing(Store.open(self._home.database)) as store:
            custody = CustodyKeeping.opened(
                store, config.custody.genesis_sha256, audit, clock=self._setting.clock
            )
            for record in store.list_approvals(state=ApprovalState.OPEN, limit=100):
                there = {row.officer for row in store.list_approval_signatures(record.id)}
                for officer, signature in self.people.signatures(record.document):
                    if officer in there:
                        continue
                    with contextlib.suppress(ApprovalRefusedError):
                        taken = await custody.signatures.approve(record.id, signature, _asker())
                        n_signed += 1
                        if taken.did != "counted":
                            break
        return n_signed > 0

    async def blank(self, wanted: Initialise) -> BlankCluster | None:
        """The cluster of the script if it is there, on SoftHSM and with made-up officers; else that of the example."""
        return self._blank(self._setting.script_folder / wanted.script)

    async def initialised(self) -> None:
        """Leave the PINs of security officers in the home: nobody is there to bring them."""
        for member in load_config(self._home.root).cluster.members:
            self._keep_so_pin(member.name)

    async def new_member(self, wanted: JoinMember) -> ScriptMember | None:
        """A SoftHSM member."""
        return rehearsed_member(wanted.name)

    async def officers_request(self, wanted: ChangeOfficers) -> bytes | None:  # noqa: ARG002  # the Protocol's shape
        """Somebody is to become an officer."""
        kept = self._folder / "request.json"
        if kept.exists():
            return kept.read_bytes()
        config = load_config(self._home.root)
        if config.custody is None:
            return None
        audit = AuditLog.open(self._home.audit, WRITER, clock=self._setting.clock)
        with contextlib.closing(audit), contextlib.closing(Store.open(self._home.database)) as store:
            custody = CustodyKeeping.opened(
                store, config.custody.genesis_sha256, audit, clock=self._setting.clock
            )
            approval = await custody.desk.ask("AddOfficer", self.people.newcomer(), _asker())
            found = store.get_approval(approval)
        document = b"" if found is None else found.document
        write_durably(kept, document, mode=0o600)
        return document

    async def give_rehearsed_shares(
        self, wanted: CollectShares, people: Sequence[Participant], console: Console
    ) -> None:
        """Make a set and a bundle, and show people the shares that they would bring, in a ceremony that makes none itself."""
        if self._setting.script.type is not CeremonyType.RECOVERY:
            return
        shares = await self._made_up_set(people)
        bundle = self._setting.artefacts / Path(wanted.bundle).name
        bundle.unlink(missing_ok=True)
        async with self.serving():
            await self._backup(bundle)
        for person in people:
            words = tuple(shares[person.id].reveal().decode().split())
            lines = ("In a rehearsal nobody has a share: this is the one that you would bring.",)
            await console.show_share(SharePage(f"REHEARSAL: share of {person.name}", person.id, words, lines))
            await console.ask(Question("go-on", person.id, "Press Enter when every word is copied"))
            await console.clear()
            shares[person.id].zeroize()

    @property
    def restored(self) -> Home:
        """Another home, beside the one that was backed up."""
        return Home(self._folder / "restored")

    async def restore_script(self) -> RestoreScript | None:
        """SoftHSM members, as many as there were."""
        made = self._blank(Path(os.devnull)).script
        return RestoreScript(**{name: getattr(made, name) for name in RestoreScript.__struct_fields__})

    async def sign(self, request: bytes) -> list[bytes]:
        """Have the security officers sign."""
        return [signature for _, signature in self.people.signatures(request)][:2]

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Run the service of the home."""
        async with running_service(self._home):
            yield

    async def remove(self) -> None:
        """Remove the home."""
        for home in (self._home, self.restored):
            remove_runtime_folder(home)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _name(self) -> str:
        path = self._folder / _NAME_FILE
        if not path.exists():
            write_durably(path, random_bytes(16).hex().encode(), mode=0o600)
        return path.read_text()

    def _blank(self, path: Path) -> BlankCluster:
        genesis = self._folder / "genesis.json"
        made = self.people.cluster(
            path, genesis.read_bytes() if genesis.exists() else b"", now=int(self._setting.clock.now())
        )
        if not genesis.exists():
            write_durably(genesis, made.genesis, mode=0o600)
        return made

    async def _initialise(self) -> None:
        made = self._blank(Path(os.devnull))
        await initialise_scripted(
            self._home.root,
            made.script,
            made.genesis,
            clock=self._setting.clock,
            progress=lambda _step: None,
        )
        await self.initialised()

    def _keep_so_pin(self, member: str) -> None:
        path = self._home.pins / f"{member}-so"
        delivery = self._home.custody / "deliveries" / f"{member}.so.first.age"
        if not path.exists() and delivery.exists():
            write_private(path, open_delivery(delivery, self.people.opens_deliveries()).pin.encode())

    async def _made_up_set(self, people: Sequence[Participant]) -> dict[str, Secret]:
        """Make a set of these people and of others who do not come; return their shares."""
        shares: dict[str, Secret] = {}
        names = [one.id for one in people] or ["before-1", "before-2", "before-3"]
        everybody = [*names, *(f"absent-{number}" for number in range(1, _SPARE + 1))]

        async def give(one: ShareToGive[str]) -> SetCustodian:
            if one.custodian in names:
                shares[one.custodian] = Secret.from_text(" ".join(one.share.words))
            return SetCustodian(
                id=one.custodian,
                name=f"Rehearsal {one.custodian}",
                location="Nowhere",
                share_index=one.share.index,
                delivery="paper",
                possession_key=possession_public_key(one.share, one.set_id),
            )

        with contextlib.closing(Store.open(self._home.database)) as store:
            if not people and store.get_active_backup_set() is not None:
                return shares
            while True:
                try:
                    await make_backup_set(
                        self._home,
                        threshold=len(names),
                        custodians=everybody,
                        give=give,
                        store=store,
                        events=QuietEvents(),
                        clock=self._setting.clock,
                        progress=lambda _step: None,
                        so_pin=lambda member: read_clear_pin(officer_pin(member), self._home.root),
                    )
                except ApprovalRequiredError as error:
                    if not await self.approve(error):
                        raise
                else:
                    return shares

    async def _backup(self, path: Path) -> None:
        while True:
            answer = await ask_backups(
                self._home, BackupRequest("create", output=str(path)), timeout_s=_LIMIT_S
            )
            if answer.failure is None:
                return
            try:
                raise_failure(answer.failure)
            except ApprovalRequiredError as error:
                if not await self.approve(error):
                    raise


def _asker() -> Asker:
    return Asker(f"local/{os.geteuid()}")
