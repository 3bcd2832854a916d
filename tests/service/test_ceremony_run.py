"""A backup ceremony as it is run: in a home with officers, PINs typed, approvals waited for, the service beside; and where no secret is."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from fakes_custody import key_of
from running_service import copy_home
from scripted_homes import Made, Prepared, approve_all
from secret_forms import files_with, forms_of_share, in_forms
from strongroom.ceremony import (
    CeremonyRunner,
    CeremonyType,
    Question,
    ScriptedParticipants,
    SharePage,
    example_script,
    installed_software,
    open_setting,
    sign_transcript,
    signature_name,
    verify_ceremony,
)
from strongroom.config import load_config
from strongroom.core import Secret, SystemClock
from strongroom.shares import combine, read_share
from strongroom.storage import ReadOnlyStore
from strongroom.wiring.ceremony_effects import ceremony_effects
from strongroom.wiring.pin_sealing import read_pin

pytestmark = [pytest.mark.softhsm, pytest.mark.slow, pytest.mark.timeout(900)]

WITNESSES = ("walter", "eva")
OFFICERS = (("anna", "ben"), ("cleo",))
"""Who signs for the set, and who for the backup: a signature that does not count would spoil the others."""


def real_script() -> bytes:
    """The example, with the keys of witnesses who exist."""
    text = example_script(CeremonyType.BACKUP).decode()
    for name in WITNESSES:
        text = text.replace('key: ""', f"key: {key_of(name).public.line}", 1)
    return text.encode()


class People(ScriptedParticipants):
    """They type PINs, mistype a word once, and have officers sign when something waits for them."""

    def __init__(self, script: Any, ready: Prepared) -> None:
        super().__init__(script)
        self._ready = ready
        self._pins = ready.so_pins()
        self.seen: dict[str, list[str]] = {}
        self.said: list[str] = []
        self.n_troubles = 0
        self._has_mistyped = False

    async def say(self, line: str) -> None:
        self.said.append(line)

    async def ask(self, question: Question) -> str:
        if question.key == "trouble":
            self.n_troubles += 1
            assert self.n_troubles < 5, self._last_failure
            await approve_all(self._ready.home, *OFFICERS[self.n_troubles == 2])
            return "again"
        return await super().ask(question)

    async def show_share(self, page: SharePage) -> None:
        self.seen.setdefault(page.who, []).append(" ".join(page.words))
        await super().show_share(page)

    async def ask_hidden(self, question: Question) -> Secret:
        if question.key == "pin":
            (pin,) = (pin for member, pin in self._pins.items() if question.text.endswith(member))
            return Secret(pin.encode())
        typed = await super().ask_hidden(question)
        if question.who == "kim" and not self._has_mistyped:
            self._has_mistyped = True
            words = typed.reveal().decode().split()
            return Secret.from_text(" ".join([*words[:6], words[7], words[6], *words[8:]]))
        return typed

    def secrets(self) -> list[bytes]:
        """Every form of every secret that was used."""
        found = [form for shares in self.seen.values() for words in shares for form in forms_of_share(words)]
        found += in_forms(
            combine([read_share(self.seen[who][-1]) for who in ("kai", "kim", "kurt")]).reveal()
        )
        for pin in self._pins.values():
            found += in_forms(pin.encode())
        for member in load_config(self._ready.home.root).cluster.members:
            found += in_forms(read_pin(member, self._ready.home).reveal())
        return found


def test_a_backup_ceremony_is_run_in_a_home_with_officers_and_leaves_no_secret_anywhere(
    made_by_script: Made, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ready = made_by_script.ready
    ready = ready._replace(home=copy_home(ready.home.root, tmp_path / "home"))
    script = tmp_path / "backup.yaml"
    script.write_bytes(real_script())
    setting = open_setting(
        script, tmp_path / "ceremony", home=ready.home.root, is_rehearsal=False, clock=SystemClock()
    )
    people = People(setting.script, ready)

    async def run() -> Any:
        async with ceremony_effects(setting) as effects:
            return await CeremonyRunner(setting, people, effects, installed_software("0.0.test")).run()

    with ready.service() as service:
        service.start()
        transcript = asyncio.run(run())
        assert service.stop() == 0
    data = (setting.folder / "transcript.jsonl").read_bytes()
    for name in WITNESSES:
        witness, signature = sign_transcript(data, transcript, key_of(name))
        (setting.folder / signature_name(witness.id)).write_bytes(signature)
    assert set(verify_ceremony(setting.folder).signatures) == set(WITNESSES)
    assert people.n_troubles == 2, "the set and the backup waited for officers"
    assert any("changed places" in line or "words 7 and 8" in line for line in people.said)
    with ReadOnlyStore.open(ready.home.database) as store:
        assert store.get_active_backup_set() is not None
        (backup,) = store.list_backups(limit=10)
        assert backup.verified_at is not None
        assert store.get_ceremony(setting.ceremony).transcript_sha256 == transcript.sha256
    printed = "".join(capfd.readouterr()) + service.log() + "\n".join(people.said)
    secrets = people.secrets()
    assert files_with(tmp_path, secrets) == []
    assert not any(one in printed.encode() for one in secrets)
