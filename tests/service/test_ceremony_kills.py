"""Ceremonies whose process is killed (``kill -9``) and run again: each ends whole, leaves no orphan key, and no secret on disk."""

import asyncio
import contextlib
import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ceremony_homes import (
    RootKeyRehearsal,
    rehearsal_home,
    rehearse_and_keep,
    root_key_rehearsal,
    setting_of,
)
from running_service import require_softhsm
from secret_forms import files_with, forms_of_share, in_forms
from strongroom.ceremony import (
    CeremonyAbandonedError,
    CeremonyType,
    Question,
    ScriptedParticipants,
    read_transcript,
    read_transcript_file,
    verify_ceremony,
)
from strongroom.config import Home, load_config
from strongroom.hsm.token import write_softhsm_config
from strongroom.shares import combine, read_share
from strongroom.storage import BackupSetState, HsmKeyState, Store
from strongroom.wiring.ceremony_members import look_at
from strongroom.wiring.pin_sealing import read_pin

__all__ = ["root_key_rehearsal"]

pytestmark = [pytest.mark.softhsm, pytest.mark.timeout(1_800)]

PROGRAM = Path(__file__).parents[1] / "ceremony_program.py"
LIMIT_S = 600


class Killed:
    """A ceremony that is run again whenever it was killed."""

    def __init__(self, folder: Path, kind: CeremonyType, template: Path | None) -> None:
        self.folder, self.kind = folder, kind
        self.said = ""
        folder.mkdir()
        if template is not None:
            shutil.copytree(template, rehearsal_home(folder / "ceremony"), symlinks=True)

    def run(self, point: str) -> int:
        done = subprocess.run(
            [sys.executable, PROGRAM, self.folder, self.kind, point],
            capture_output=True, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip
        self.said += done.stdout + done.stderr
        assert done.returncode in {0, -9}, done.stdout[-2000:] + done.stderr[-4000:]
        return done.returncode

    @property
    def home(self) -> Home:
        """The home, as it was when the ceremony was over."""
        return Home(self.folder / "kept" / "home")

    @property
    def shares(self) -> dict[str, list[str]]:
        """What each custodian was shown, the newest last."""
        paper = self.folder / "paper.json"
        found: dict[str, list[str]] = json.loads(paper.read_text()) if paper.exists() else {}
        return found


def require_whole(killed: Killed) -> None:
    """The transcript verifies, and members hold no key that no record knows."""
    verified = verify_ceremony(killed.folder / "ceremony")
    assert verified.transcript.end.state == "complete"
    assert not rehearsal_home(killed.folder / "ceremony").exists()
    home = killed.home
    for conf in home.tokens.glob("*.conf"):
        write_softhsm_config(conf, home.tokens / conf.stem)
    store = Store.open(home.database)
    try:
        assert not [one for one in store.list_backup_sets() if one.state is BackupSetState.MAKING]
        assert store.list_hsm_keys(HsmKeyState.PENDING) == []
        assert known_and_held(home, store) == []
        active = store.get_active_backup_set()
        assert (active is not None) == (
            killed.kind in {CeremonyType.BACKUP, CeremonyType.RESHARE, CeremonyType.RECOVERY}
        )
    finally:
        store.close()


def known_and_held(home: Home, store: Store) -> list[str]:
    """Objects of members that no record of theirs explains, and keys that records have and members lack."""
    active = {one.set_id for one in store.list_backup_sets() if one.state is BackupSetState.ACTIVE}
    roots, keys = store.list_roots(), store.list_hsm_keys(HsmKeyState.ACTIVE)
    held = {(copy.member, copy.key_id) for copy in store.list_held_hsm_key_copies()}
    odd = []
    for member in load_config(home.root).cluster.members:
        seen = asyncio.run(look_at(home, member, roots, keys, held))
        known = {root.root_id for root in roots} | {one.transport_id for one in store.list_transport_keys()}
        known |= {one.transport_id for one in store.list_backup_transport_keys() if one.set_id in active and one.member == member.name}  # fmt: skip
        known |= {key_id for name, key_id in held if name == member.name}
        odd += [
            f"{member.name}: {one.object_class} {one.cka_id.hex()} {one.label}"
            for one in seen.entries
            if one.cka_id not in known and one.object_class != "data"
        ]
        odd += [f"{member.name} lacks {root}" for root, check in seen.roots.items() if check is None]
        odd += [f"{member.name}: {key} {names}" for key, names in seen.changed.items() if names]
    return odd


def leaked(killed: Killed, *, everywhere: bool = False) -> list[str]:
    """Files that hold a share, a share key or a PIN, and ``said`` if what the runs printed does.

    ``everywhere``: also where they are by design, which shows that they are found.
    """
    secrets = [form for words in itertools.chain(*killed.shares.values()) for form in forms_of_share(words)]
    newest = [words[-1] for words in killed.shares.values()]
    if newest:
        shares = [read_share(words) for words in newest]
        secrets += in_forms(combine(shares[: shares[0].threshold]).reveal())
    for member in load_config(killed.home.root).cluster.members:
        secrets += in_forms(read_pin(member, killed.home).reveal())
        so_pin = killed.home.pins / f"{member.name}-so"
        secrets += in_forms(so_pin.read_bytes()) if so_pin.exists() else []
    by_design = [] if everywhere else [killed.folder / "paper.json", *killed.home.pins.glob("*-so")]
    found = [str(path) for path in files_with(killed.folder, secrets, but=by_design)]
    return found + ["said"] * any(one in killed.said.encode() for one in secrets)


POINTS = (
    "shown: a share to kurt",  # two custodians have shares of a set that nobody will ever use
    "before writing done make-set",  # the set is active, and nobody wrote it down
    "taking in root",  # shares are in memory, and a scratch token is open
)


def test_a_backup_ceremony_that_is_killed_goes_on_and_leaves_nothing_behind(
    root_key_rehearsal: RootKeyRehearsal, tmp_path: Path
) -> None:
    killed = Killed(tmp_path / "run", CeremonyType.BACKUP, root_key_rehearsal.home)
    for point in POINTS:
        assert killed.run(point) == -9, point
    assert killed.run("") == 0
    require_whole(killed)
    assert len(killed.shares["kai"]) == 2, (
        "the set that was cut off gave its first share to nobody a second time"
    )
    assert leaked(killed) == []
    assert {Path(one).name for one in leaked(killed, everywhere=True)} == {
        "paper.json",
        "alpha-so",
        "beta-so",
    }


class Leaving(ScriptedParticipants):
    """The fire alarm rings while the fourth custodian copies their share."""

    async def ask(self, question: Question) -> str:
        if question.key == "reason":
            return "the fire alarm rang"
        if question.who == "kate" and question.key == "go-on":
            return "/abandon"
        return await super().ask(question)


@pytest.mark.slow
def test_a_ceremony_that_is_given_up_while_shares_are_given_leaves_no_key_of_the_set(
    root_key_rehearsal: RootKeyRehearsal, tmp_path: Path
) -> None:
    setting = setting_of(tmp_path / "run", CeremonyType.BACKUP, template=root_key_rehearsal.home)
    with pytest.raises(CeremonyAbandonedError):
        asyncio.run(rehearse_and_keep(setting, tmp_path / "kept", Leaving(setting.script)))
    transcript = read_transcript(read_transcript_file(setting.folder))
    assert (transcript.end.state, transcript.end.reason) == ("abandoned", "the fire alarm rang")
    home = Home(tmp_path / "kept" / "home")
    for conf in home.tokens.glob("*.conf"):
        write_softhsm_config(conf, home.tokens / conf.stem)
    with contextlib.closing(Store.open(home.database)) as store:
        assert [one.state for one in store.list_backup_sets()] == [BackupSetState.ABANDONED]
        assert known_and_held(home, store) == []
        assert store.list_hsm_keys(HsmKeyState.ACTIVE) == []


@pytest.mark.slow
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("kind", list(CeremonyType))
def test_each_ceremony_can_be_killed_at_every_point_one_after_the_other(
    kind: CeremonyType, request: Any, tmp_path: Path
) -> None:
    require_softhsm()
    template = None
    if kind is not CeremonyType.ROOT_KEY:
        template = request.getfixturevalue("root_key_rehearsal").home
    killed = Killed(tmp_path / "run", kind, template)
    seen = tmp_path / "seen"
    while killed.run(f"@{seen}") == -9:
        pass
    assert len(seen.read_text().splitlines()) > 30
    require_whole(killed)
    assert leaked(killed) == []
