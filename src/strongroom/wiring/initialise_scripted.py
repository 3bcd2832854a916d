"""``init --script``: from blank tokens to a home with officers, by a script and the genesis that they signed.

    check everything → each token: PINs, label, user → root KEK on all, copies proved → database and access keys
        → genesis pinned in each token → TLS, configuration → what only init needed is removed

The journal says what is behind us, so the same command goes on after any interruption. No step before the configuration is
written lets anybody be served. Tokens that the journal does not call ours are never touched.
"""

import hashlib
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from strongroom.config import Home, PinsConfig, load_config
from strongroom.core import Clock, ConfigError, HomeError, WrapAlgorithm
from strongroom.custody import Chain, document_hash
from strongroom.wiring.cluster_setup import (
    Doors,
    Progress,
    SetUpMember,
    choose_algorithm,
    make_root,
    open_doors,
)
from strongroom.wiring.durable_files import write_durably
from strongroom.wiring.first_records import FirstAccessKey, make_records
from strongroom.wiring.home import (
    locked_home,
    make_home_folder,
    refuse_scripted,
    remove_runtime_folder,
    require_complete,
    runtime_folder,
    sync_tree,
)
from strongroom.wiring.init_audit import record_initialised
from strongroom.wiring.init_clearing import clear_tokens
from strongroom.wiring.init_finish import (
    access_key_paths,
    check_own_tls,
    finish_home,
    hand_out_access_keys,
    scripted_config,
)
from strongroom.wiring.init_journal import Journal, JournalFile, MemberJournal
from strongroom.wiring.init_members import delivery_path
from strongroom.wiring.init_script import receivers_of, require_same_custody
from strongroom.wiring.init_script_form import InitScript
from strongroom.wiring.process_protection import protect_process
from strongroom.wiring.scripted_members import ScriptedMembers

_VERSION: Final = 1


class InitialisedHome(NamedTuple):
    """What ``init --script`` made, or found made."""

    was_made: bool
    """False: it was complete already, and nothing was changed."""
    genesis_sha256: str
    deliveries: dict[str, str]
    """Paths, relative to the home, of the encrypted PINs of security officers, by member."""
    access_keys: dict[str, str]
    """Paths, relative to the home, where the secrets of the first access keys are, by principal."""


async def initialise_scripted(
    root: Path, script: InitScript, genesis: bytes, *, clock: Clock, progress: Progress
) -> InitialisedHome:
    """Make a home from blank tokens, or go on with one that was interrupted.

    ``genesis``: the bytes of the file. Raises ChainError for a genesis that does not hold, ConfigError when it is not that
    of the script, HomeError for a folder that holds other things or an initialisation by another script, and HsmError
    when a token refuses.
    """
    home = Home(root)
    chain = Chain.from_documents(genesis)
    require_same_custody(script, chain.genesis.body)
    digest = document_hash(genesis)
    progress(f"the genesis is signed by all its security officers; its SHA-256 is {digest}")
    config = scripted_config(
        script, [], genesis_sha256=digest
    )  # nothing that is wrong in it shows at the end only
    check_own_tls(home, script, config)
    make_home_folder(home)
    journal_file = JournalFile(home.init_journal)
    with locked_home(home):
        if home.config_file.exists() and not home.unfinished_mark.exists() and not journal_file.exists:
            _require_this_genesis(home, digest)
            return _told(script, digest, was_made=False)
        protect_process()  # from here on there are PINs in it
        work = _ScriptedInit(home, script, genesis, journal_file, clock=clock, progress=progress)
        work.begin(Journal(_VERSION, _meaning_of(script), digest), config.pins)
        try:
            await work.run()
        finally:
            remove_runtime_folder(home)
    return _told(script, digest, was_made=True)


class _ScriptedInit:
    """One run, from wherever the journal says."""

    def __init__(
        self,
        home: Home,
        script: InitScript,
        genesis: bytes,
        journal_file: JournalFile,
        *,
        clock: Clock,
        progress: Progress,
    ) -> None:
        self._home = home
        self._script = script
        self._genesis = genesis
        self._file = journal_file
        self._clock = clock
        self._progress = progress
        self._members: ScriptedMembers | None = None
        self._pins = PinsConfig()
        self._journal = Journal(_VERSION, "", "")

    def begin(self, new: Journal, pins: PinsConfig) -> None:
        """Begin, or find where to go on. Raises HomeError and ConfigError."""
        self._pins = pins
        if self._file.exists:
            self._journal = self._file.load()
            _require_same_run(self._journal, new, self._home)
            self._progress("going on where an interrupted init was")
        else:
            if self._home.unfinished_mark.exists():
                refuse_scripted(self._home)
                raise HomeError(
                    f"{self._home.root} was left half initialised by 'strongroom init --development'",
                    next_step="set STRONGROOM_HOME to a new or empty folder",
                )
            self._save(new)
        self._home.unfinished_mark.touch(mode=0o600)
        for folder in ("pins", "tokens", "tls", "audit", "custody", "access_keys"):
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

    async def run(self) -> None:
        """Take every step that is not behind us."""
        if not self._journal.is_configured:
            runtime_folder(self._home)
            members = await self._of_script().make(
                self._journal.members,
                lambda one: tuple(officer.recipient for officer in receivers_of(self._script, one)),
            )
            write_durably(self._home.genesis_file, self._genesis, mode=0o400)
            if not self._journal.is_pinned:
                await self._make_cluster(members)
            config = scripted_config(
                self._script,
                [member.config for member in members],
                genesis_sha256=self._journal.genesis_sha256,
            )
            finish_home(self._home, self._script, config, clock=self._clock, progress=self._progress)
            await self._tell(members)
            self._save(msgspec.structs.replace(self._journal, is_configured=True))
        self._progress("removing what only init needed: the security officers' PINs are no longer here")
        for member in self._of_script():
            member.forget()
        self._home.unfinished_mark.unlink(missing_ok=True)
        sync_tree(self._home.root)
        self._file.remove()

    async def _tell(self, members: list[SetUpMember]) -> None:
        """Put it into the audit log; once more where an earlier run was cut off right here."""
        root = self._journal.root
        await record_initialised(
            self._home,
            {member.config.name: member.token for member in members},
            cluster=self._script.cluster.name,
            genesis_sha256=self._journal.genesis_sha256,
            root_id=b"" if root is None else root.root_id,
            clock=self._clock,
        )

    async def _make_cluster(self, members: list[SetUpMember]) -> None:
        """Everything that needs the tokens of all members."""
        pins = self._of_script().pins()
        if self._journal.root is None:
            algorithm = await choose_algorithm(self._home, members, self._progress, pins)
        else:
            algorithm = WrapAlgorithm(self._journal.root.algorithm)
        configs = [member.config for member in members]
        async with open_doors(self._home, configs, algorithm, runtime_folder(self._home), pins) as doors:
            await self._make_root(doors)
            await self._make_records(members, doors)
            for door in doors.users:
                self._progress(f"pinning the genesis in the token of member {door.name}")
                await door.pin_custody(self._genesis)
        self._save(msgspec.structs.replace(self._journal, is_pinned=True))

    async def _make_root(self, doors: Doors) -> None:
        if self._journal.root is not None:
            return
        await clear_tokens(doors, clock=self._clock, progress=self._progress)
        made = await make_root(doors, self._clock, self._progress)
        self._save(msgspec.structs.replace(self._journal, root=made))

    async def _make_records(self, members: list[SetUpMember], doors: Doors) -> None:
        if self._journal.is_recorded or self._journal.root is None:
            return
        self._progress("making the database and the first access keys")
        for left in self._home.root.glob(f"{self._home.database.name}*"):
            left.unlink()
        keys = await make_records(
            self._home,
            members,
            doors.uses[0],
            self._journal.root,
            access_keys=[FirstAccessKey(key.principal, key.roles) for key in self._script.access_keys],
            clock=self._clock,
            genesis=self._genesis,
        )
        hand_out_access_keys(self._home, self._script, keys)
        sync_tree(self._home.root)
        self._save(msgspec.structs.replace(self._journal, is_recorded=True))

    def _of_script(self) -> ScriptedMembers:
        if self._members is None:
            raise RuntimeError("begin() comes before run()")
        return self._members

    def _note(self, name: str, member: MemberJournal) -> None:
        self._save(self._journal.with_member(name, member))

    def _save(self, journal: Journal) -> None:
        self._file.save(journal)
        self._journal = journal


def _meaning_of(script: InitScript) -> str:
    return hashlib.sha256(msgspec.json.encode(script, order="deterministic")).hexdigest()


def _require_same_run(there: Journal, new: Journal, home: Home) -> None:
    if there.version != new.version:
        raise HomeError(f"{home.root} was begun by another version of strongroom init")
    for what, before, now in (
        ("script", there.script_sha256, new.script_sha256),
        ("genesis", there.genesis_sha256, new.genesis_sha256),
    ):
        if before != now:
            raise HomeError(
                f"{home.root} was begun with another {what}, and its tokens are partly initialised by it",
                next_step=f"run init with the {what} that it was begun with",
            )


def _require_this_genesis(home: Home, digest: str) -> None:
    require_complete(home)
    custody = load_config(home.root).custody
    if custody is None or custody.genesis_sha256 != digest:
        raise ConfigError(
            f"{home.root} is complete already, by {'another genesis' if custody else 'no genesis'}",
            next_step="set STRONGROOM_HOME to a new or empty folder",
        )


def _told(script: InitScript, digest: str, *, was_made: bool) -> InitialisedHome:
    deliveries = {member.name: delivery_path(member.name) for member in script.members}
    return InitialisedHome(was_made, digest, deliveries, access_key_paths(script))
