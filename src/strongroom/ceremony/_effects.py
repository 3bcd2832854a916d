"""What a ceremony does to the world, as the engine sees it. The real ones are in ``wiring``; tests have theirs in memory."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from strongroom.ceremony._console import Console
from strongroom.ceremony._form import Script, Step
from strongroom.ceremony._parameters import Action
from strongroom.core import Clock
from strongroom.custody import Json


class Artefact(NamedTuple):
    """A file that a step made or used."""

    name: str
    """Its path in the folder ``artefacts`` of the ceremony, with ``/`` between names."""
    sha256: str
    """Of its bytes, in hex."""
    elsewhere: str = ""
    """Where it is kept, when it is not in the folder: then nobody can check it there."""


class Outcome(NamedTuple):
    """What came of a step. Everything in it is public: it stands in the transcript."""

    facts: Mapping[str, Json] = {}  # nobody writes into it
    """Texts, whole numbers, truths, lists and objects of them. Names are words with hyphens, as people read them."""
    artefacts: tuple[Artefact, ...] = ()
    deviations: tuple[str, ...] = ()
    """What was not as the script says."""


class CeremonyEnd(NamedTuple):
    """How a ceremony ended."""

    ceremony: str
    """Its random name: 32 hexadecimal digits."""
    kind: str
    """``root-key``, ``backup`` …"""
    is_rehearsal: bool
    is_complete: bool
    """False: it was abandoned."""
    started_at: int
    """Seconds since the Unix epoch."""
    ended_at: int
    transcript_sha256: str


class Setting(NamedTuple):
    """Where a ceremony takes place: what effects are made of."""

    script: Script
    """In a rehearsal its participants have made-up names and keys."""
    script_folder: Path
    """What paths in the script are relative to."""
    folder: Path
    """Of the ceremony: its transcript is there, and ``artefacts``."""
    home: Path | None
    """The home of the service; None: that of a rehearsal, which the effects make and throw away."""
    is_rehearsal: bool
    clock: Clock
    ceremony: str = ""
    """The random name of this ceremony: 32 hexadecimal digits."""

    @property
    def artefacts(self) -> Path:
        """Where files that the transcript names go. It is there when effects are first asked."""
        return self.folder / "artefacts"


class Scene(Protocol):
    """What effects may ask of the engine while a ceremony runs."""

    @property
    def setting(self) -> Setting:
        """Where it takes place."""
        ...

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """What came of the steps that are done, by their ids; also those of the process before."""
        ...

    async def note(self, text: str, *, who: str = "", facts: Mapping[str, Json] | None = None) -> None:
        """Put an entry into the transcript, on disk when this returns: part of a step that takes long. Nothing secret."""
        ...

    async def initials(self, who: str, text: str) -> str:
        """Have a participant confirm something by their initials, and note it in the transcript."""
        ...


class Effects(Protocol):
    """What steps do. ``Setting`` and the console are all they know of the engine."""

    async def begin(self, scene: Scene) -> None:
        """Get ready: once in each process, before anything else."""
        ...

    async def perform(self, action: Action, step: Step, console: Console) -> Outcome:
        """Do what a step says. ``begun`` stands in the transcript already.

        A StrongroomError tells people what went wrong; they choose whether it is tried again, which asks ``resume`` first.
        """
        ...

    async def resume(self, action: Action, step: Step, console: Console) -> Outcome | None:
        """Find out what a step did that was begun and of which nobody knows how it ended.

        Its outcome when it is done, or was brought to its end now; None when it is to be begun again: then nothing of it
        is left. Raises StrongroomError when neither can be had.
        """
        ...

    async def abandon(self, action: Action, step: Step, console: Console) -> Outcome:
        """Undo what is left of a step that was begun: the ceremony is given up. Its outcome says what stays."""
        ...

    async def audit_checkpoint(self) -> Mapping[str, Json]:
        """Return the audit log's size and root as of now; empty where there is none."""
        ...

    async def ended(self, end: CeremonyEnd) -> None:
        """Note in the records and the audit log that the transcript is closed. It may be called again after a crash."""
        ...

    async def close(self) -> None:
        """Forget every secret, end every worker. Called at the end, also after errors."""
        ...
