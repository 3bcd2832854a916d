"""A ceremony without HSMs: effects in memory (or in one small file, for processes that are killed), and clocks and scripts for them.

``MemoryEffects`` really does something that can be counted: each step of its own writes an artefact and adds a line to a
ledger on disk, so a test sees whether an effect was repeated, lost or half done.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from strongroom.ceremony import (
    SHARE_WORDS,
    Action,
    Artefact,
    CeremonyEnd,
    CeremonyRunner,
    CeremonyType,
    Console,
    MakeBackupSet,
    Outcome,
    Question,
    Scene,
    ScriptedParticipants,
    Setting,
    SharePage,
    Software,
    Step,
    Transcript,
    example_script,
    open_setting,
    rehearsal_key,
    sign_transcript,
    signature_name,
)
from strongroom.core import Secret, StrongroomError
from strongroom.custody import Json
from strongroom.shares import Share

SOFTWARE = Software(version="0.0.test", sha256="5" * 64, files=3, python="3.11.2")
LEDGER = "ledger.jsonl"


class CeremonyClock:
    """A clock that goes on by a second at each look."""

    def __init__(self, start: int = 1_795_000_000) -> None:
        self._now = start

    def now(self) -> float:
        self._now += 1
        return self._now

    def monotonic(self) -> float:
        return self._now


class SharesGoneError(StrongroomError):
    """The shares that were collected are no longer in memory."""


class MemoryEffects:
    """Effects whose world is a ledger: a file beside the ceremony, one line for each effect.

    ``between`` is called within each effect, before and after its line is on disk: where a test interrupts.
    """

    def __init__(self, world: Path, between: Callable[[str], None] = lambda _where: None) -> None:
        self._ledger = world / LEDGER
        self._between = between
        self._has_shares = False
        self.scene: Scene | None = None
        self.ends: list[CeremonyEnd] = []
        self.is_closed = False

    async def begin(self, scene: Scene) -> None:
        self.scene = scene

    async def perform(self, action: Action, step: Step, console: Console) -> Outcome:
        assert self.scene is not None
        assert step.id not in self.lines(), f"the effect of {step.id} was repeated"
        self._between(f"before {step.id}")
        if action == Action.COLLECT_SHARES:
            self._has_shares = True
            return Outcome({"shares": 3})
        if action in {Action.OPEN_BACKUP, Action.RESTORE}:
            if not self._has_shares:
                raise SharesGoneError("there are no shares")
            self._has_shares = False
        if isinstance(step.parameters, MakeBackupSet):
            await self._give_shares(step.parameters, console)
        self._write_artefact(step)
        with self._ledger.open("a") as file:
            file.write(json.dumps(step.id) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._between(f"after {step.id}")
        return self._outcome(step)

    async def resume(self, action: Action, step: Step, console: Console) -> Outcome | None:
        return self._outcome(step) if step.id in self.lines() else None

    async def abandon(self, action: Action, step: Step, console: Console) -> Outcome:
        left = [line for line in self.lines() if line != step.id]
        self._ledger.write_text("".join(json.dumps(line) + "\n" for line in left))
        return Outcome({"undone": step.id})

    async def audit_checkpoint(self) -> Mapping[str, Json]:
        return {"size": len(self.lines()), "root-sha256": "a" * 64}

    async def ended(self, end: CeremonyEnd) -> None:
        self.ends.append(end)

    async def close(self) -> None:
        self._has_shares = False
        self.is_closed = True

    def lines(self) -> list[str]:
        """The effects that the world has seen, by the ids of their steps."""
        if not self._ledger.exists():
            return []
        return [json.loads(line) for line in self._ledger.read_text().splitlines()]

    async def _give_shares(self, parameters: MakeBackupSet, console: Console) -> None:
        assert self.scene is not None
        for number, custodian in enumerate(parameters.custodians, 1):
            words = words_of_share(number)
            await console.show_share(SharePage("Your share", custodian, words))
            await console.ask(Question("go-on", custodian, "Press Enter when every word is copied"))
            await console.clear()
            typed = await console.ask_hidden(Question(SHARE_WORDS, custodian, "Type it back"))
            assert typed.matches(Secret.from_text(" ".join(words)))
            await console.clear()
            await self.scene.initials(custodian, "I hold a copy that I have proved")

    def _artefact(self, step: Step) -> tuple[str, bytes]:
        return f"{step.id}.json", json.dumps({"step": step.id}).encode()

    def _write_artefact(self, step: Step) -> None:
        assert self.scene is not None
        name, content = self._artefact(step)
        (self.scene.setting.artefacts / name).write_bytes(content)

    def _outcome(self, step: Step) -> Outcome:
        name, content = self._artefact(step)
        hashed = hashlib.sha256(content).hexdigest()
        return Outcome(
            {"members": [{"name": "alpha", "serial": "0815", "fips-mode": True}], "root-sha256": "b" * 64},
            (Artefact(name, hashed),),
        )


def words_of_share(number: int) -> tuple[str, ...]:
    """The words of a share that is given in the fake."""
    return Share(0x2BCD, number, 3, Secret(bytes(range(number, number + 32)))).words


def rehearsal_setting(folder: Path, kind: CeremonyType = CeremonyType.BACKUP) -> Setting:
    """A rehearsal of the example script of a type, in ``folder/ceremony``."""
    script = folder / f"{kind}.yaml"
    script.write_bytes(example_script(kind))
    return open_setting(script, folder / "ceremony", home=None, is_rehearsal=True, clock=CeremonyClock())


async def rehearsed(
    folder: Path, kind: CeremonyType = CeremonyType.BACKUP, *, signers: tuple[str, ...] = ("walter", "eva")
) -> tuple[Setting, Transcript]:
    """Hold a rehearsal to its end, and have witnesses sign it."""
    setting = rehearsal_setting(folder, kind)
    participants = ScriptedParticipants(setting.script)
    transcript = await CeremonyRunner(setting, participants, MemoryEffects(folder), SOFTWARE).run()
    data = (setting.folder / "transcript.jsonl").read_bytes()
    for one in signers:
        witness, signature = sign_transcript(data, transcript, rehearsal_key(setting.ceremony, one))
        (setting.folder / signature_name(witness.id)).write_bytes(signature)
    return setting, transcript
