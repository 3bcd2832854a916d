"""``officers keygen`` and ``approvals``: from files alone, without a home and a service."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cli_support import run
from fakes_custody import RULES, approve, ask, begun, change, signed_genesis
from strongroom.core import Secret
from strongroom.custody import (
    NAMESPACE_APPROVAL,
    NAMESPACE_REJECTION,
    OfficerKey,
    OfficerPrivateKey,
    dearmour,
    document_hash,
    make_evidence,
    verify_signature,
    write_document,
)

PASSPHRASE = "correct horse battery"
STATE = begun(rules=RULES | {"RetireRoot": RULES["DestroyRoot"]}).state


@pytest.fixture(autouse=True)
def _work_in_an_empty_folder(tmp_path, monkeypatch):
    folder = tmp_path / "desk"
    folder.mkdir()
    monkeypatch.chdir(folder)
    Path("passphrase").write_text(f"{PASSPHRASE}\n")
    Path("passphrase").chmod(0o600)


@pytest.fixture
def request_file():
    path = Path("request.json")
    path.write_bytes(write_document(ask(STATE, "RetireRoot", {"root_id": "ab" * 16, "why": "\x1b[2J"})))
    return path


@pytest.fixture
def key_file():
    """A key with one round of bcrypt, made once for each test that needs it."""
    path = Path("anna")
    path.touch(mode=0o600)
    path.write_bytes(OfficerPrivateKey.generate().file_bytes(Secret.from_text(PASSPHRASE), rounds=1))
    return path


def _public(key_file):
    return OfficerPrivateKey.from_file_bytes(key_file.read_bytes(), Secret.from_text(PASSPHRASE)).public


def test_keygen_makes_a_key_under_a_passphrase():
    result = run(
        "officers",
        "keygen",
        "anna",
        "--kind",
        "p256",
        "--comment",
        "Anna",
        "--passphrase-file",
        "passphrase",
        "--json",
    )
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert stat.S_IMODE(os.stat("anna").st_mode) == 0o600
    public = OfficerKey.from_line(Path("anna.pub").read_text())
    assert public == _public(Path("anna"))
    assert (said["fingerprint"], said["public_key"]) == (public.fingerprint, public.line)
    assert Path("anna.pub").read_text().endswith(" Anna\n")
    assert PASSPHRASE not in result.output


@pytest.mark.parametrize("there", ["anna", "anna.pub"])
def test_keygen_overwrites_nothing(there):
    Path(there).write_text("precious")
    result = run("officers", "keygen", "anna", "--passphrase-file", "passphrase")
    assert result.exit_code == 1
    assert Path(there).read_text() == "precious"
    assert {path.name for path in Path().iterdir()} == {there, "passphrase"}


def test_a_passphrase_that_others_can_read_that_is_short_or_absent_is_refused():
    for change_, words in (
        (lambda path: path.chmod(0o644), "others can read"),
        (lambda path: path.write_text("\n"), "empty"),
        (lambda path: path.write_text("short\n"), "fewer than 12"),
    ):
        Path("passphrase").unlink()
        Path("passphrase").write_text(PASSPHRASE)
        Path("passphrase").chmod(0o600)
        change_(Path("passphrase"))
        result = run("officers", "keygen", "anna", "--passphrase-file", "passphrase")
        assert result.exit_code == 1
        assert words in result.stderr
    result = run("officers", "keygen", "anna")
    assert "--passphrase-file" in result.stderr
    assert not Path("anna").exists()


def test_show_tells_in_words_and_escapes_what_could_drive_the_terminal(request_file):
    result = run("approvals", "show", request_file)
    assert result.exit_code == 0
    assert result.stdout.startswith("DESTROY an old root key on every member")
    assert '"why": "\\x1b[2J"' in result.stdout
    assert "\x1b" not in result.stdout
    shown = json.loads(run("approvals", "show", request_file, "--json").stdout)
    assert shown["request"]["verb"] == "RetireRoot"
    assert shown["words"][0].startswith("DESTROY")


def test_show_refuses_bytes_that_are_not_what_was_made(request_file):
    request_file.write_bytes(request_file.read_bytes() + b"\n")
    result = run("approvals", "show", request_file)
    assert result.exit_code == 1
    assert "not in canonical form" in result.stderr
    request_file.write_bytes(b"[" * 100_000)
    assert "longer than" in run("approvals", "show", request_file).stderr


@pytest.mark.parametrize(
    ("command", "suffix", "namespace"),
    [("sign", "sig", NAMESPACE_APPROVAL), ("reject", "rejection.sig", NAMESPACE_REJECTION)],
)
def test_a_signature_lies_beside_the_request_and_is_for_one_purpose(
    request_file, key_file, command, suffix, namespace
):
    result = run(
        "approvals", command, request_file, "--key", key_file, "--passphrase-file", "passphrase", "--yes"
    )
    assert result.exit_code == 0, result.output
    assert "DESTROY an old root key" in result.stdout
    blob = dearmour(Path(f"request.json.{suffix}").read_bytes())
    assert verify_signature(blob, request_file.read_bytes(), namespace) == _public(key_file)
    again = run(
        "approvals", command, request_file, "--key", key_file, "--passphrase-file", "passphrase", "--yes"
    )
    assert again.exit_code == 1


def test_nothing_is_signed_unread_nor_with_a_key_that_others_can_read(request_file, key_file):
    options = ("approvals", "sign", request_file, "--key", key_file, "--passphrase-file", "passphrase")
    unread = run(*options)
    assert unread.exit_code == 1
    assert "--yes" in unread.stderr
    key_file.chmod(0o640)
    assert "others can read anna" in run(*options, "--yes").stderr
    key_file.chmod(0o600)
    Path("passphrase").write_text("another passphrase")
    wrong = run(*options, "--yes")
    assert "passphrase is wrong" in wrong.stderr
    assert "another passphrase" not in wrong.output
    assert not Path("request.json.sig").exists()


@pytest.fixture
def evidence_file():
    chain = begun()
    chain = chain.extended(change(chain, "RevokeOfficer", {"officer": "cleo", "reason": "left"}))
    request = ask(chain.state, "DestroyRoot", {"root_id": "ab" * 16})
    path = Path("evidence.json")
    path.write_bytes(
        make_evidence(chain, request, approve(request, "anna", "ben"), executed=request.created + 1)
    )
    return path


def test_evidence_verifies_in_an_empty_folder_without_home_and_service(evidence_file, tmp_path):
    """In a process of its own, with nothing but the file."""
    empty = tmp_path / "empty"
    empty.mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "strongroom", "approvals", "verify", str(evidence_file.absolute()), "--json"],
        cwd=empty, env={"PATH": os.environ["PATH"], "HOME": str(empty), "STRONGROOM_HOME": str(empty / "none")},
        capture_output=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    proved = json.loads(done.stdout)
    assert [(one["officer"], one["role"]) for one in proved["approvers"]] == [
        ("anna", "security-officer"),
        ("ben", "security-officer"),
    ]
    assert proved["after_record"] == 1
    assert not proved["is_genesis_expected"]
    assert list(empty.iterdir()) == []


def test_evidence_is_of_the_genesis_that_the_reader_knows(evidence_file):
    known = document_hash(signed_genesis())
    result = run("approvals", "verify", evidence_file, "--genesis-sha256", known.upper())
    assert result.exit_code == 0
    assert "the expected one" in result.stdout
    assert "Anna (anna), security-officer, with SHA256:" in result.stdout
    assert "proves nothing until" in run("approvals", "verify", evidence_file).stdout
    other = run("approvals", "verify", evidence_file, "--genesis-sha256", "00" * 32)
    assert other.exit_code == 1
    assert "genesis" in other.stderr


def test_evidence_that_was_tampered_with_names_the_place(evidence_file):
    document = json.loads(evidence_file.read_bytes())
    document["records"][0]["request"]["parameters"]["officer"] = "ben"
    evidence_file.write_text(json.dumps(document, separators=(",", ":"), sort_keys=True))
    result = run("approvals", "verify", evidence_file)
    assert result.exit_code == 1
    assert "record 1" in result.stderr
