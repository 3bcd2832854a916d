"""What the effects of one ceremony share: where it takes place, what people are asked, and what is kept in memory until it ends."""

import asyncio
import contextlib
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol, TypeVar

from strongroom.ceremony import (
    Artefact,
    CeremonyFolderError,
    Console,
    Outcome,
    Question,
    Scene,
    Setting,
    Step,
)
from strongroom.config import Home, MemberConfig, load_config
from strongroom.config import read_pin as read_clear_pin
from strongroom.core import ApprovalRequiredError, Clock, Secret, StrongroomError, WrapAlgorithm
from strongroom.storage import Store
from strongroom.wiring.bootstrap import MemberBootstrap
from strongroom.wiring.ceremony_stage import Stage
from strongroom.wiring.cluster_setup import PinAccess, officer_pin
from strongroom.wiring.durable_files import write_durably
from strongroom.wiring.home import restore_runtime_folder
from strongroom.wiring.pin_sealing import read_pin
from strongroom.wiring.process_protection import protect_process
from strongroom.wiring.workers import member_bootstrap

T = TypeVar("T")
PIN_QUESTION: Final = "pin"
_READ_BYTES: Final = 1024 * 1024


class Workplace:
    """Shared by the actions of one ceremony. Belongs to its event loop."""

    def __init__(self, setting: Setting, stage: Stage) -> None:
        self.setting = setting
        self.stage = stage
        self.scene: Scene | None = None
        self.share_key: Secret | None = None
        """What collected shares gave, until it was used."""

    @property
    def home(self) -> Home:
        """The home that is worked on."""
        return self.stage.home

    @property
    def clock(self) -> Clock:
        """The clock of the ceremony."""
        return self.setting.clock

    @contextlib.contextmanager
    def store(self) -> Iterator[Store]:
        """Open the records of the home."""
        with contextlib.closing(Store.open(self.home.database)) as store:
            yield store

    def members(self) -> list[MemberConfig]:
        """Return the members as they are configured. Raises ConfigError."""
        return list(load_config(self.home.root).cluster.members)

    def is_joining(self, name: str) -> bool:
        """Whether a member is on its way in, by the journal of ``strongroom members add``."""
        return (self.home.root / f"member-{name}-journal.json").exists()

    def file(self, name: str) -> Path:
        """Return a file that a script names: of this ceremony if a step before made one of that name, else beside the script."""
        made = self.setting.artefacts / name
        return made if "/" not in name and made.is_file() else self.setting.script_folder / name

    async def approved(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do something that officers approve. In a rehearsal they sign when they are asked, else the refusal goes to the people."""
        while True:
            try:
                return await work()
            except ApprovalRequiredError as error:
                if not await self.stage.approve(error):
                    raise

    def keep(self, name: str, content: bytes) -> Artefact:
        """Write an artefact; it is on disk when this returns. The same again changes nothing. Raises OSError."""
        path = self.setting.artefacts / name
        if not path.exists() or path.read_bytes() != content:
            write_durably(path, content, mode=0o644)
        return Artefact(name, hashlib.sha256(content).hexdigest())

    async def note(self, text: str, who: str) -> None:
        """Have something noted in the transcript. Nothing secret."""
        if self.scene is not None:
            await self.scene.note(text, who=who)

    async def protect(self, console: Console) -> None:
        """Have this process keep its memory to itself, before a share is in it. What the system refuses of that is said and noted."""
        for refused in protect_process():
            await console.say(refused)
            await self.note(refused, "")

    def forget(self) -> None:
        """Overwrite what collected shares gave."""
        if self.share_key is not None:
            self.share_key.zeroize()
            self.share_key = None


class Doing(Protocol):
    """How one action is done: what ``Effects`` promises of it."""

    async def perform(self, step: Step, console: Console) -> Outcome:
        """Do it."""
        ...

    async def resume(self, step: Step, console: Console) -> Outcome | None:
        """Find out how it ended, or bring it to its end; None: nothing of it is left, it begins again."""
        ...

    async def abandon(self, step: Step, console: Console) -> Outcome:
        """Undo what is left of it."""
        ...


def parameters_of(step: Step, kind: type[T]) -> T:
    """Return what stands under ``with``. Raises CeremonyFolderError for a step of another kind, which the script's reader refuses."""
    if not isinstance(step.parameters, kind):
        raise CeremonyFolderError(f"step {step.id} has parameters of another action")
    return step.parameters


class Telling:
    """Has each step of a long work said on the console, in their order: a ``Progress``."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lines: deque[str] = deque()
        self._is_due = asyncio.Event()
        self._turn = asyncio.Lock()

    def __call__(self, line: str) -> None:
        """Have a line said soon."""
        self._lines.append(line)
        self._is_due.set()

    async def all_said(self) -> None:
        """Say what is left: before another page is put up, below which it would be read as part of that."""
        async with self._turn:
            while self._lines:
                await self._console.say(self._lines.popleft())

    async def say_on(self) -> None:
        """Say what comes, until this is cancelled."""
        while True:
            await self._is_due.wait()
            self._is_due.clear()
            await self.all_said()


@contextlib.asynccontextmanager
async def told(console: Console) -> AsyncIterator[Telling]:
    """Have each step of a long work said on the console, in their order."""
    telling = Telling(console)
    saying = asyncio.create_task(telling.say_on())
    try:
        yield telling
    finally:
        saying.cancel()
        await asyncio.gather(saying, return_exceptions=True)
        await telling.all_said()


@contextlib.asynccontextmanager
async def presented_pins(
    home: Home, members: Sequence[MemberConfig], who: str, console: Console
) -> AsyncIterator[PinAccess]:
    """Have the PINs of all security officers presented before the first is sent: from the home, or typed unseen.

    They are overwritten at the end. Raises CeremonyPausedError when nobody types one.
    """
    presented: dict[str, Secret] = {}
    try:
        for member in members:
            source = officer_pin(member)
            if source.file is not None and (home.root / source.file).exists():
                presented[member.name] = read_clear_pin(source, home.root)
            else:
                text = f"PIN of the security officer of the token of member {member.name}"
                presented[member.name] = await console.ask_hidden(Question(PIN_QUESTION, who, text))
        yield PinAccess(
            lambda member: read_pin(member, home),
            lambda member: Secret(presented[member.name].reveal()),  # whoever takes one overwrites it
        )
    finally:
        for pin in presented.values():
            pin.zeroize()


def administering(home: Home, member: MemberConfig, algorithm: WrapAlgorithm) -> MemberBootstrap:
    """Return with what a worker begins that administers one member for a step. Raises ConfigError and OSError."""
    pin = read_pin(member, home)
    try:
        return member_bootstrap(
            member,
            home,
            "administer",
            pin=pin.reveal(),
            sockets=restore_runtime_folder(home),
            generation=0,
            wrap_algorithm=int(algorithm),
        )
    finally:
        pin.zeroize()


def sha256_of(path: Path) -> str:
    """Return the hash of a file's bytes, in hex. Raises CeremonyFolderError when it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_READ_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise CeremonyFolderError(f"cannot read {path}: {error.strerror}", name=str(path)) from error
    return digest.hexdigest()


def require_sha256(path: Path, expected: str) -> str:
    """Return the hash of a file. Raises CeremonyFolderError when the script names another one."""
    found = sha256_of(path)
    if expected and found != expected:
        raise CeremonyFolderError(
            f"{path} is not the file that the script names: its SHA-256 is {found}, and not {expected}",
            name=str(path),
            next_step="bring the file that was reviewed; or have the script changed, reviewed and begun anew",
        )
    return found


async def quietly(work: Awaitable[object]) -> None:
    """Do something at the end that may fail without harm."""
    with contextlib.suppress(StrongroomError, OSError):
        await work
