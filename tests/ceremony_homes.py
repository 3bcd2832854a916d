"""Rehearsals with real effects: real SoftHSM tokens, scripted participants, witnesses who sign; and verification as a command does it."""

import asyncio
import shutil
from pathlib import Path

import pytest

from running_service import require_softhsm
from strongroom.ceremony import (
    CeremonyRunner,
    CeremonyType,
    ScriptedParticipants,
    Setting,
    Transcript,
    example_script,
    installed_software,
    open_setting,
    rehearsal_key,
    sign_transcript,
    signature_name,
)
from strongroom.core import SystemClock
from strongroom.wiring.ceremony_effects import CeremonyEffects, ceremony_effects
from strongroom.wiring.ceremony_rehearsal import SUFFIX, RehearsalStage

WITNESSES = ("walter", "eva")
VERSION = "0.0.test"


def setting_of(
    folder: Path, kind: CeremonyType, *, template: Path | None = None, text: bytes | None = None
) -> Setting:
    """A rehearsal of a script, else of the example. ``template``: the home of another rehearsal, to be copied: making one takes long."""
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / f"{kind}.yaml"
    script.write_bytes(example_script(kind) if text is None else text)
    home = rehearsal_home(folder / "ceremony")
    if template is not None and not home.exists():
        shutil.copytree(template, home, symlinks=True)
    return open_setting(script, folder / "ceremony", home=None, is_rehearsal=True, clock=SystemClock())


def restoring_script() -> bytes:
    """The example of a recovery, with a restore in the place of the test."""
    text = example_script(CeremonyType.RECOVERY).decode()
    test = text.index("  - id: test\n")
    after = text.index("\n  - id:", test)
    restore = (
        "  - id: restore\n    do: restore\n    by: ada\n    witness: [walter, eva]\n    with:\n"
        "      bundle: backup.bundle\n      script: init.toml\n"
    )
    return (text[:test] + restore + text[after:]).encode()


def rehearsal_home(folder: Path) -> Path:
    """Where the home of a rehearsal is while it is held."""
    return folder.with_name(f"{folder.name}{SUFFIX}")


async def rehearse(setting: Setting, participants: ScriptedParticipants | None = None) -> Transcript:
    """Hold a rehearsal to its end, unattended, and have its witnesses sign."""
    people = participants or ScriptedParticipants(setting.script)
    async with ceremony_effects(setting) as effects:
        transcript = await CeremonyRunner(setting, people, effects, installed_software(VERSION)).run()
    sign(setting, transcript)
    return transcript


def sign(setting: Setting, transcript: Transcript) -> None:
    """Have the witnesses sign a transcript that is closed."""
    data = (setting.folder / "transcript.jsonl").read_bytes()
    for one in WITNESSES:
        witness, signature = sign_transcript(data, transcript, rehearsal_key(setting.ceremony, one))
        (setting.folder / signature_name(witness.id)).write_bytes(signature)


class KeptStage(RehearsalStage):
    """The home of a rehearsal that is kept: to be looked at, or copied for other rehearsals."""

    def __init__(self, setting: Setting, kept: Path) -> None:
        super().__init__(setting)
        self._kept = kept

    async def remove(self) -> None:
        """Keep a copy, and remove it."""
        if self._folder.exists():
            shutil.copytree(self._folder, self._kept, symlinks=True)
        await super().remove()


async def rehearse_and_keep(
    setting: Setting, kept: Path, participants: ScriptedParticipants | None = None
) -> Transcript:
    """Hold a rehearsal, and keep a copy of its home."""
    effects = CeremonyEffects(setting, KeptStage(setting, kept))
    people = participants or ScriptedParticipants(setting.script)
    transcript = await CeremonyRunner(setting, people, effects, installed_software(VERSION)).run()
    sign(setting, transcript)
    return transcript


class RootKeyRehearsal:
    """The rehearsal by which a home is made, and that home."""

    def __init__(self, folder: Path) -> None:
        self.setting = setting_of(folder, CeremonyType.ROOT_KEY)
        self.home = folder / "kept"
        asyncio.run(rehearse_and_keep(self.setting, self.home))


@pytest.fixture(scope="session")
def root_key_rehearsal(tmp_path_factory: pytest.TempPathFactory) -> RootKeyRehearsal:
    """The rehearsal of the root key ceremony; its home is to be copied, not used."""
    require_softhsm()
    return RootKeyRehearsal(tmp_path_factory.mktemp("root-key"))
