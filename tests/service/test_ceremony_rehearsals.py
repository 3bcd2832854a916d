"""``strongroom ceremony rehearse`` of each type, unattended, on SoftHSM; verified; and every file of it altered by one byte."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ceremony_homes import (
    RootKeyRehearsal,
    rehearsal_home,
    rehearse,
    rehearse_and_keep,
    restoring_script,
    root_key_rehearsal,
    setting_of,
)
from strongroom.ceremony import CeremonyType, Setting, verify_ceremony
from strongroom.config import Home, load_config
from strongroom.core import StrongroomError
from strongroom.storage import ReadOnlyStore

__all__ = ["root_key_rehearsal"]

pytestmark = [pytest.mark.softhsm, pytest.mark.timeout(900)]

KINDS = [
    pytest.param(
        kind, marks=[pytest.mark.slow] if kind is CeremonyType.BACKUP else []
    )  # test_ceremony_kills has it
    for kind in CeremonyType
    if kind is not CeremonyType.ROOT_KEY
]
MADE = {
    CeremonyType.ROOT_KEY: {"genesis.json", "init.toml"},
    CeremonyType.BACKUP: {"backup-set.json", "backup.bundle"},
    CeremonyType.RECOVERY: {"backup.bundle"},
    CeremonyType.RESHARE: {"backup-set.json", "backup.bundle"},
    CeremonyType.OFFICER_CHANGE: {"request.json", "record.json"},
    CeremonyType.ROOT_CA: {"root-ca.pem", "root-ca-request.pem"},
    CeremonyType.MEMBER_JOIN: set(),
}


def named(transcript) -> set[str]:
    return {
        artefact.name
        for entry in transcript.entries
        if entry.__class__.__name__ == "Done"
        for artefact in entry.artefacts
    }


def require_verified(setting: Setting, kind: CeremonyType) -> None:
    verified = verify_ceremony(setting.folder)
    assert verified.transcript.header.is_rehearsal
    assert any("REHEARSAL" in line for line in verified.checked)
    assert set(verified.signatures) == {"walter", "eva"}
    assert MADE[kind] <= named(verified.transcript)
    assert not rehearsal_home(setting.folder).exists(), "the throw-away home is removed"


def altered_files(folder: Path, copy: Path) -> list[str]:
    """Alter one byte of each file of a ceremony in turn; return those that verify did not name."""
    shutil.copytree(folder, copy)
    not_named = []
    for path in sorted(path for path in copy.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        name = path.relative_to(copy).as_posix()
        for at in {0, len(whole) // 2, len(whole) - 1}:
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1 :])
            try:
                verify_ceremony(copy)
            except StrongroomError as error:
                if not names(str(error), name):
                    not_named.append(f"{name} at {at}: {error}")
            else:
                not_named.append(f"{name} at {at}: verified")
        path.write_bytes(whole)
    verify_ceremony(copy)
    return not_named


def names(message: str, file: str) -> bool:
    """Whether a message says which file is meant: the transcript by its entry, the script by its line or its name."""
    if file == "transcript.jsonl":
        return "entry" in message or "transcript" in message
    if file == "script.yaml":
        return "script" in message or "line" in message
    return Path(file).name in message


def test_a_root_key_ceremony_is_rehearsed_and_verified(root_key_rehearsal: RootKeyRehearsal) -> None:
    require_verified(root_key_rehearsal.setting, CeremonyType.ROOT_KEY)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_rehearsed_and_verified_and_a_byte_altered_in_any_file_of_it_is_named(
    kind: CeremonyType, root_key_rehearsal: RootKeyRehearsal, tmp_path: Path
) -> None:
    setting = setting_of(tmp_path / "run", kind, template=root_key_rehearsal.home)
    asyncio.run(rehearse(setting))
    require_verified(setting, kind)
    assert altered_files(setting.folder, tmp_path / "altered") == []


@pytest.mark.slow
def test_a_restore_is_rehearsed_and_makes_a_home_with_the_same_root(
    root_key_rehearsal: RootKeyRehearsal, tmp_path: Path
) -> None:
    setting = setting_of(
        tmp_path / "run", CeremonyType.RECOVERY, template=root_key_rehearsal.home, text=restoring_script()
    )
    asyncio.run(rehearse_and_keep(setting, tmp_path / "kept"))
    require_verified(setting, CeremonyType.RECOVERY)
    homes = [Home(tmp_path / "kept" / name) for name in ("home", "restored")]
    roots = []
    for home in homes:
        assert load_config(home.root).custody is not None
        with ReadOnlyStore.open(home.database) as store:
            roots.append([root.root_id for root in store.list_roots()])
    assert roots[0] == roots[1]


def test_the_commands_rehearse_and_verify(root_key_rehearsal: RootKeyRehearsal, tmp_path: Path) -> None:
    environment = {**os.environ, "STRONGROOM_HOME": str(tmp_path / "no-home")}

    def strongroom(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "strongroom", "ceremony", *map(str, arguments)],
            capture_output=True, text=True, env=environment, timeout=600, check=False,
        )  # fmt: skip

    script, folder = tmp_path / "officers.yaml", tmp_path / "rehearsal"
    written = strongroom("new", "--type", "officer-change", "--output", script)
    assert written.returncode == 0, written.stderr
    shutil.copytree(root_key_rehearsal.home, rehearsal_home(folder), symlinks=True)
    done = strongroom("rehearse", script, "--folder", folder, "--unattended", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["state"], sorted(told["signed_by"])) == ("complete", ["eva", "walter"])
    verified = strongroom("verify", folder)
    assert verified.returncode == 0, verified.stderr
    assert "REHEARSAL" in verified.stdout
    (folder / "artefacts" / "record.json").write_bytes(b"{}")
    refused = strongroom("verify", folder)
    assert refused.returncode == 1
    assert "record.json" in refused.stderr
    assert not (tmp_path / "no-home").exists()
