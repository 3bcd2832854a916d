"""``audit prove``, ``growth``, ``keys`` and the tree part of ``audit verify``; and the checker that needs none of our code."""

import base64
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli_support import run
from strongroom.audit import decode_entry, read_entry_proof
from strongroom.core import VerificationFailedError
from unit.audit.signed_logs import COSIGNER_KEY, KEY, ORIGIN, make_signed_log

CHECKER = Path(__file__).parents[3] / "tools" / "check_audit_proof.py"


@pytest.fixture
def log(home):
    """The audit directory of a home, with three checkpoints."""
    make_signed_log(home.audit)
    return home.audit


@pytest.fixture
def key_file(log, tmp_path):
    path = tmp_path / "keys.txt"
    path.write_text(run("audit", "keys").stdout)
    return path


def check(*arguments):
    """Run the checker in a Python that does not see our package; -O takes its assertions, if it had any."""
    return subprocess.run(
        [sys.executable, "-I", "-O", str(CHECKER), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_checker_is_short_and_needs_nothing_of_ours():
    text = CHECKER.read_text()
    assert len([line for line in text.splitlines() if line.strip()]) <= 115
    assert not re.search(r"^\s*(from|import) strongroom", text, re.MULTILINE)


def test_keys_are_shown_as_lines_and_as_a_document(log):
    assert run("audit", "keys").stdout.splitlines() == [KEY.text(), COSIGNER_KEY.text()]
    shown = json.loads(run("audit", "keys", "--json").stdout)
    assert shown == {"origin": ORIGIN, "keys": [KEY.text(), COSIGNER_KEY.text()]}


@pytest.mark.parametrize("entry", ["main/1", "api-0/7", "main/303"])
def test_a_proof_convinces_the_checker(log, key_file, tmp_path, entry):
    path = tmp_path / "entry.tlog-proof"
    assert run("audit", "prove", entry, "--output", str(path)).exit_code == 0
    checked = check(key_file, path)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.startswith(f"{ORIGIN}: entry ")
    found = decode_entry(base64.b64decode(path.read_text().splitlines()[1].split()[1]))
    assert f"{found.writer}/{found.seq}" == entry
    assert run("audit", "prove", entry).stdout == path.read_text()


@pytest.mark.parametrize("key", [KEY, COSIGNER_KEY])
def test_either_key_is_enough_for_the_checker_and_one_is_needed(log, tmp_path, key):
    (tmp_path / "proof").write_text(run("audit", "prove", "main/5").stdout)
    (tmp_path / "one.txt").write_text(key.text())
    assert check(tmp_path / "one.txt", tmp_path / "proof").returncode == 0
    (tmp_path / "none.txt").write_text("")
    checked = check(tmp_path / "none.txt", tmp_path / "proof")
    assert (checked.returncode, checked.stdout) == (1, "")
    assert "none of the keys" in checked.stderr


def test_the_checker_refuses_a_proof_in_which_any_byte_was_changed(log, key_file, tmp_path):
    sound = run("audit", "prove", "main/3", "--size", "9").stdout.encode()
    text_end = sound.rindex(b"\n\n")
    path = tmp_path / "changed"
    for place in range(0, text_end, 9):
        if sound[place : place + 1] == b"\n":
            continue
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :])
        assert check(key_file, path).returncode == 1, place


def test_growth_convinces_the_checker_and_another_past_does_not(log, key_file, tmp_path):
    old, grown = tmp_path / "old", tmp_path / "grown"
    for size in (5, 9, 310):
        old.write_text(run("audit", "prove", "main/1", "--size", str(size)).stdout)
        grown.write_text(run("audit", "growth", str(old)).stdout)
        checked = check(key_file, grown, old)
        assert (checked.returncode, checked.stderr) == (0, "")
        assert f"of 310 entries goes on from that of {size}" in checked.stdout
    old.write_text(run("audit", "prove", "main/1", "--size", "9").stdout)
    assert "other trees" in check(key_file, grown, old).stderr
    grown.write_text(run("audit", "growth", str(old)).stdout)
    lines = grown.read_text().split("\n")
    lines[1], lines[2] = lines[2], lines[1]
    grown.write_text("\n".join(lines))
    assert check(key_file, grown, old).returncode == 1


def test_growth_from_a_checkpoint_that_the_log_never_signed_is_refused(log, tmp_path):
    old = tmp_path / "old"
    old.write_text(run("audit", "prove", "main/1", "--size", "5").stdout.replace("\n5\n", "\n4\n"))
    assert run("audit", "growth", str(old)).exit_code == 1


@pytest.mark.parametrize(
    "entry", ["main", "main/", "main/x", "main/0", "main/999", "nobody/1", "/", "main/1/2"]
)
def test_what_is_not_in_the_tree_is_not_proved(log, entry):
    result = run("audit", "prove", entry)
    assert (result.exit_code, result.stdout) == (1, "")


def test_a_proof_never_overwrites_a_file(log, tmp_path):
    (tmp_path / "taken").write_text("mine")
    assert run("audit", "prove", "main/1", "--output", str(tmp_path / "taken")).exit_code == 1
    assert (tmp_path / "taken").read_text() == "mine"


def test_verify_checks_tree_and_checkpoints_by_the_keys_that_are_named(log, key_file):
    result = run("audit", "verify", "--key", str(key_file))
    assert result.exit_code == 0
    assert f"Tree {ORIGIN}: 310 entries, 3 checkpoints over the first 310" in result.stdout
    assert "name yours" not in result.stdout
    assert "name yours with --key" in run("audit", "verify").stdout
    shown = json.loads(run("audit", "verify", "--json", "--key", COSIGNER_KEY.text()).stdout)
    assert (shown["sound"], shown["tree"]["checkpointed"], shown["tree_problem"]) == (True, 310, None)


def test_verify_refuses_checkpoints_of_other_keys_and_a_changed_tile(log):
    other = KEY.text().replace(ORIGIN, "strongroom/other/host")
    result = run("audit", "verify", "--key", other)
    assert result.exit_code == 1
    assert "no public key of a log" in result.stderr
    tile = log / "tree" / "tile" / "0" / "000"
    data = bytearray(tile.read_bytes())
    data[3] ^= 1
    tile.write_bytes(data)
    result = run("audit", "verify", "--json")
    assert result.exit_code == 1
    assert "tile/0/000 is not what the entries make" in json.loads(result.stdout)["tree_problem"]


def test_verify_says_when_a_log_is_gone_that_the_tree_goes_over(log):
    for path in (log / "wal" / "api-0").glob("*.wal"):
        path.unlink()
    (log / "wal" / "api-0").rmdir() if not list((log / "wal" / "api-0").iterdir()) else None
    result = run("audit", "verify")
    assert result.exit_code == 1
    assert "the audit log is bad" in result.stderr


def test_verify_with_a_key_refuses_a_log_whose_checkpoints_were_all_removed(log, key_file):
    shutil.rmtree(log / "checkpoints")
    for part in ("checkpoints", "tree"):
        shutil.rmtree(log / part, ignore_errors=True)
        assert run("audit", "verify").exit_code == 0
        result = run("audit", "verify", "--key", str(key_file))
        assert result.exit_code == 1
        assert "there is no checkpoint that it could have signed" in result.stderr


def test_a_checkpoint_that_the_cosigner_alone_signed_convinces_nobody_who_knows_the_key_of_the_log(
    log, key_file, tmp_path
):
    sound = run("audit", "prove", "main/5").stdout
    lines = sound.splitlines(keepends=True)
    without_log_key = [
        line
        for line in lines
        if not line.startswith(f"— {ORIGIN} ") or base64.b64decode(line.split()[2])[:4] != KEY.key_id
    ]
    assert len(without_log_key) == len(lines) - 1
    forged = tmp_path / "proof"
    forged.write_text("".join(without_log_key))
    checked = check(key_file, forged)
    assert (checked.returncode, checked.stdout) == (1, "")
    assert "none of the keys of the log" in checked.stderr
    proof = read_entry_proof(forged.read_bytes())
    with pytest.raises(VerificationFailedError, match="only the cosigner"):
        proof.check([KEY, COSIGNER_KEY])
    proof.check([COSIGNER_KEY])
