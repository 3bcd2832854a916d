"""Rehearsals with real effects: real SoftHSM tokens, scripted participants, witnesses who sign; and verification as a command does it."""

import shutil
from pathlib import Path

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
from strongroom.wiring.ceremony_effects import ceremony_effects
from strongroom.wiring.ceremony_rehearsal import SUFFIX

WITNESSES = ("walter", "eva")


def setting_of(folder: Path, kind: CeremonyType, *, template: Path | None = None) -> Setting:
    """A rehearsal of the example script. ``template``: a rehearsal's home that is there already, to be copied."""
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / f"{kind}.yaml"
    script.write_bytes(example_script(kind))
    home = (folder / "ceremony").with_name(f"ceremony{SUFFIX}")
    if template is not None and not home.exists():
        shutil.copytree(template, home, symlinks=True)
    return open_setting(script, folder / "ceremony", home=None, is_rehearsal=True, clock=SystemClock())


async def rehearse(setting: Setting, participants: ScriptedParticipants | None = None) -> Transcript:
    """Hold a rehearsal to its end, unattended, and have its witnesses sign."""
    people = participants or ScriptedParticipants(setting.script)
    async with ceremony_effects(setting) as effects:
        transcript = await CeremonyRunner(setting, people, effects, installed_software("0.0.test")).run()
    sign(setting, transcript)
    return transcript


def sign(setting: Setting, transcript: Transcript) -> None:
    """Have the witnesses sign a transcript that is closed."""
    data = (setting.folder / "transcript.jsonl").read_bytes()
    for one in WITNESSES:
        witness, signature = sign_transcript(data, transcript, rehearsal_key(setting.ceremony, one))
        (setting.folder / signature_name(witness.id)).write_bytes(signature)
