"""Proofs that were made once stay good: for our package, and for the checker that uses nothing of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from strongroom.audit import (
    decode_entry,
    read_checkpoint,
    read_entry_proof,
    read_growth_proof,
    read_log_key,
    read_note,
    verify_note,
)

TESTS = Path(__file__).parents[2]
GOLDEN = TESTS / "vectors" / "audit"
CHECKER = TESTS.parent / "tools" / "check_audit_proof.py"


def keys_of(name: str):
    return [read_log_key(line) for line in (GOLDEN / name).read_text().splitlines()]


@pytest.mark.parametrize(
    ("keys", "proof"), [("keys.txt", "entry.tlog-proof"), ("keys-p256.txt", "entry-p256.tlog-proof")]
)
def test_a_golden_proof_shows_its_entry(keys, proof):
    data = (GOLDEN / proof).read_bytes()
    found = read_entry_proof(data)
    assert found.check(keys_of(keys)).size == 310
    entry = decode_entry(found.entry)
    assert (entry.writer, entry.seq, found.number) == ("main", 150, 156)
    assert found.encode() == data


def test_golden_growth_shows_that_nothing_before_was_changed():
    keys, old = keys_of("keys.txt"), read_note((GOLDEN / "old-checkpoint.txt").read_bytes())
    assert len(verify_note(old, keys)) == 2
    data = (GOLDEN / "growth.txt").read_bytes()
    found = read_growth_proof(data)
    assert found.check(keys, read_checkpoint(old.text)).size == 310
    assert found.encode() == data


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["keys.txt", "entry.tlog-proof"], "entry 156 of 310 is in the log"),
        (["keys-p256.txt", "entry-p256.tlog-proof"], "entry 156 of 310 is in the log"),
        (["keys.txt", "growth.txt", "old-checkpoint.txt"], "the log of 310 entries goes on from that of 9"),
        (["keys-p256.txt", "entry.tlog-proof"], ""),
        (["keys.txt", "growth.txt"], ""),
        (["keys.txt", "entry.tlog-proof", "old-checkpoint.txt"], ""),
    ],
)
def test_the_checker_says_the_same(names, words):
    checked = subprocess.run(
        [sys.executable, "-I", str(CHECKER), *names], cwd=GOLDEN, capture_output=True, text=True, check=False
    )
    assert (words in checked.stdout, checked.returncode) == (True, 0 if words else 1)
