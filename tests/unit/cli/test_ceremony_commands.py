"""``strongroom ceremony``: what each command does with a folder, and what it refuses. Ceremonies are held without HSMs."""

import asyncio
import contextlib
import json
import sys
import types
from pathlib import Path

import pytest

from cli_support import run
from fakes_ceremony import MemoryEffects
from strongroom.audit import AuditLog, verify_log
from strongroom.ceremony import CeremonyType, example_script, read_script, rehearsal_key, signature_name
from strongroom.core import Secret, SystemClock
from strongroom.custody import OfficerPrivateKey

PASSPHRASE = "a long enough passphrase"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose ceremonies have effects in memory."""

    @contextlib.asynccontextmanager
    async def ceremony_effects(_setting):
        yield MemoryEffects(tmp_path)

    module = types.ModuleType("strongroom.wiring.ceremony_effects")
    module.ceremony_effects = ceremony_effects
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr("strongroom.wiring.process_protection.forbid_dumps", list)
    return tmp_path


def _rehearsed(world: Path, kind: str = "root-ca") -> Path:
    script = world / "script.yaml"
    assert run("ceremony", "new", "--type", kind, "--output", script).exit_code == 0
    done = run("ceremony", "rehearse", script, "--folder", world / "ceremony", "--unattended", "--json")
    assert done.exit_code == 0, done.output
    return world / "ceremony"


@pytest.mark.parametrize("kind", CeremonyType)
def test_new_prints_a_script_or_writes_it_where_nothing_is(tmp_path, kind):
    printed = run("ceremony", "new", "--type", kind)
    assert printed.stdout_bytes == example_script(kind)
    read_script(printed.stdout_bytes)
    file = tmp_path / "script.yaml"
    assert run("ceremony", "new", "--type", kind, "--output", file).exit_code == 0
    again = run("ceremony", "new", "--type", kind, "--output", file)
    assert again.exit_code == 1
    assert file.read_bytes() == example_script(kind)


def test_a_rehearsal_is_held_verified_shown_listed_and_printed(world):
    folder = _rehearsed(world)
    verified = json.loads(run("ceremony", "verify", folder, "--json").stdout)
    assert verified["signed_by"] == ["eva", "walter"]
    assert verified["is_rehearsal"]
    assert "4 prints are what the transcript gives" in verified["checked"]
    shown = run("ceremony", "show", folder)
    assert "REHEARSAL" in shown.stdout
    assert "6. Witness signatures" in shown.stdout
    assert json.loads(run("ceremony", "show", folder, "--json").stdout)["state"] == "complete"
    (one,) = json.loads(run("ceremony", "list", world, "--json").stdout)["ceremonies"]
    assert (one["folder"], one["type"], one["state"]) == ("ceremony", "root-ca", "complete")
    printed = json.loads(run("ceremony", "print", folder, "--json").stdout)["files"]
    assert {Path(file).name for file in printed} == {f"{page}.{form}" for page in ("transcript", "auditor") for form in ("html", "pdf")}  # fmt: skip


FILES = (
    "script.yaml",
    "transcript.jsonl",
    "transcript.jsonl.eva.sig",
    "artefacts/authority.json",
    "printed/transcript.pdf",
    "printed/transcript.html",
    "printed/auditor.pdf",
    "printed/auditor.html",
)


def test_one_byte_changed_in_any_file_makes_verify_fail_and_name_it(world):
    folder = _rehearsed(world)
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found - {"artefacts/members.json", "transcript.jsonl.walter.sig"} == set(FILES)
    for name in FILES:
        whole = (folder / name).read_bytes()
        data = bytearray(whole)
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(data)
        refused = run("ceremony", "verify", folder)
        assert refused.exit_code == 1, name
        assert Path(name).name in refused.stderr
        (folder / name).write_bytes(whole)
    assert run("ceremony", "verify", folder).exit_code == 0


def test_a_print_by_other_software_is_not_compared(world, monkeypatch):
    folder = _rehearsed(world)
    monkeypatch.setattr("strongroom.ceremony.installed_software", _other_software)
    (folder / "printed" / "transcript.html").write_bytes(b"another version of the layout")
    verified = json.loads(run("ceremony", "verify", folder, "--json").stdout)
    assert any("other software made them" in line for line in verified["unchecked"])


def _other_software(version):
    from strongroom.ceremony import Software

    return Software(version=version, sha256="7" * 64, files=1, python="3")


def test_witnesses_sign_with_keys_in_files_and_prints_are_made_anew(world):
    folder = _rehearsed(world)
    ceremony = json.loads(run("ceremony", "show", folder, "--json").stdout)["ceremony"]
    (folder / signature_name("eva")).unlink()
    assert run("ceremony", "verify", folder).exit_code == 1
    (world / "passphrase").write_text(PASSPHRASE)
    (world / "passphrase").chmod(0o600)
    for who, said in (
        ("ada", "only witnesses sign"),
        ("walter", "walter.sig"),
        (None, "no witness's"),
        ("eva", ""),
    ):
        key = rehearsal_key(ceremony, who) if who else OfficerPrivateKey.generate()
        file = world / "key"
        file.write_bytes(key.file_bytes(Secret.from_text(PASSPHRASE), rounds=1))
        file.chmod(0o600)
        sign = ("ceremony", "sign", folder, "--key", file, "--passphrase-file", world / "passphrase")
        unread = run(*sign)
        assert "nobody is there to say that it was read" in unread.stderr
        signed = run(*sign, "--yes")
        assert signed.exit_code == (1 if said else 0), signed.output
        assert said in signed.stderr
    assert run("ceremony", "verify", folder).exit_code == 0


def test_run_wants_a_terminal_and_a_script_that_is_filled_in(world, monkeypatch):
    script = world / "script.yaml"
    script.write_bytes(example_script(CeremonyType.ROOT_CA))
    command = ("ceremony", "run", script, "--folder", world / "ceremony", "--previous", "none")
    assert "needs a terminal" in run(*command).stderr
    unsaid = run(*command[:-2])
    assert unsaid.exit_code == 1
    assert "--previous none: this is the first one" in unsaid.stderr
    monkeypatch.setattr(
        "strongroom.cli._ceremony_console.TerminalConsole.__init__", lambda *_args, **_kwargs: None
    )
    refused = run(*command)
    assert refused.exit_code == 1
    assert "the key of walter" in refused.stderr
    assert not (world / "ceremony").exists()


def test_a_ceremony_that_is_not_over_is_not_printed_and_followed_by_none(world):
    folder = _rehearsed(world)
    whole = (folder / "transcript.jsonl").read_bytes()
    (folder / "transcript.jsonl").write_bytes(whole[: whole.rindex(b"\n", 0, -1) + 1])
    assert run("ceremony", "print", folder).exit_code == 1
    assert run("ceremony", "verify", folder).exit_code == 1
    assert "unfinished" in run("ceremony", "list", world).stdout
    assert json.loads(run("ceremony", "show", folder, "--json").stdout)["state"] == "unfinished"
    refused = run("ceremony", "verify", folder, "--previous", folder)
    assert "is not over, so nothing follows it yet" in refused.stderr


def test_a_folder_that_is_none_is_said(tmp_path):
    assert "no folder" in run("ceremony", "list", tmp_path / "nothing").stderr
    assert "there is no file" in run("ceremony", "verify", tmp_path).stderr
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "transcript.jsonl").write_text("{}\n")
    assert "unreadable" in run("ceremony", "list", tmp_path).stdout


def test_the_audit_log_is_compared_with_the_checkpoint(world, monkeypatch):
    log = AuditLog.open(world / "audit", "ceremony", clock=SystemClock())
    for number in range(3):
        asyncio.run(
            log.record("event", "kms.Test", principal="user/a", outcome="ok", detail={"number": str(number)})
        )
    (report,) = verify_log(world / "audit").writers

    async def checkpoint(_self):
        return {"writers": {"ceremony": {"entries": report.entries, "chain": report.chain.hex()}}}

    monkeypatch.setattr(MemoryEffects, "audit_checkpoint", checkpoint)
    folder = _rehearsed(world)
    asyncio.run(log.record("event", "kms.Test", principal="user/a", outcome="ok", detail={}))
    log.close()
    verify = ("ceremony", "verify", folder, "--audit", world / "audit")
    sound = run(*verify)
    assert "The audit log begins with what it held at the end of the ceremony (1 writers)" in sound.stdout
    assert "audit checkpoint:" not in sound.stdout
    other = AuditLog.open(world / "other", "ceremony", clock=SystemClock())
    for _ in range(4):
        asyncio.run(other.record("event", "kms.Other", principal="user/a", outcome="ok", detail={}))
    other.close()
    refused = run(*verify[:-1], world / "other")
    assert "is not the one of the ceremony" in refused.stderr
    short = AuditLog.open(world / "short", "ceremony", clock=SystemClock())
    asyncio.run(short.record("event", "kms.Other", principal="user/a", outcome="ok", detail={}))
    short.close()
    assert "before" in run(*verify[:-1], world / "short").stderr


def test_a_transcript_without_an_audit_checkpoint_is_said(world):
    folder = _rehearsed(world)
    (world / "audit" / "wal").mkdir(parents=True)
    assert "no audit checkpoint" in run("ceremony", "verify", folder, "--audit", world / "audit").stderr


def test_a_rehearsal_without_a_terminal_leaves_nothing_behind(world):
    (world / "script.yaml").write_bytes(example_script(CeremonyType.ROOT_CA))
    refused = run("ceremony", "rehearse", world / "script.yaml", "--folder", world / "ceremony")
    assert refused.exit_code == 1
    assert "rehearse takes --unattended" in refused.stderr
    assert not (world / "ceremony").exists()
