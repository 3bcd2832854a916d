"""Entries are found and proved from the files, and the tree is checked against the entries: what was changed is named."""

import shutil

import pytest

from strongroom.audit import (
    AuditCorruptError,
    CheckpointFiles,
    ProofError,
    TreeLog,
    TreeLookup,
    decode_entry,
    read_checkpoint,
    read_entry_proof,
    read_growth_proof,
    verify_log,
    verify_tree,
)
from unit.audit.signed_logs import COSIGNER_KEY, KEY, ORIGIN, make_signed_log, sign, write_entries


@pytest.fixture
def notes(directory):
    return make_signed_log(directory)


def test_a_sound_log_is_built_anew_to_the_same_tree(directory, notes):
    told = []
    report = verify_tree(directory, [KEY], progress=told.append)
    assert (report.origin, report.entries, report.checkpoints, report.checkpointed) == (ORIGIN, 310, 3, 310)
    assert report.warnings == ()
    assert verify_tree(directory, [COSIGNER_KEY]) == report


@pytest.mark.parametrize(
    ("writer", "seq"), [("api-0", 1), ("api-0", 7), ("main", 1), ("main", 150), ("main", 303)]
)
def test_every_entry_is_proved_under_the_newest_checkpoint(directory, notes, writer, seq):
    proof = read_entry_proof(TreeLookup(directory).prove(writer, seq).encode())
    assert proof.check([KEY]).size == 310
    entry = decode_entry(proof.entry)
    assert (entry.writer, entry.seq) == (writer, seq)


def test_an_entry_is_proved_under_an_older_checkpoint_too(directory, notes):
    proof = TreeLookup(directory).prove("main", 2, size=5)
    assert proof.check([KEY, COSIGNER_KEY]) == read_checkpoint(notes[0].text)
    with pytest.raises(ProofError, match="the checkpoint covers 5"):
        TreeLookup(directory).prove("api-0", 5, size=5)
    with pytest.raises(ProofError, match="no such checkpoint"):
        TreeLookup(directory).prove("main", 2, size=6)


@pytest.mark.parametrize(
    ("writer", "seq"), [("main", 0), ("main", 304), ("api-1", 1), ("../main", 1), ("", 1)]
)
def test_what_the_tree_does_not_hold_is_not_proved(directory, notes, writer, seq):
    with pytest.raises(ProofError):
        TreeLookup(directory).prove(writer, seq)


def test_checkpoints_are_shown_to_go_on_from_each_other(directory, notes):
    for older in notes:
        old = read_checkpoint(older.text)
        proof = read_growth_proof(TreeLookup(directory).prove_growth(old).encode())
        assert proof.check([KEY], old).size == 310
    forged = read_checkpoint(notes[0].text)._replace(root=bytes(32))
    with pytest.raises(ProofError):
        TreeLookup(directory).prove_growth(forged)
    with pytest.raises(ProofError, match="another"):
        TreeLookup(directory).prove_growth(forged._replace(origin="another"))


def test_a_log_without_a_tree_has_nothing_to_prove(directory):
    write_entries(directory, "main", 1)
    with pytest.raises(ProofError):
        TreeLookup(directory).prove("main", 1)
    assert verify_tree(directory, []).entries == 0


# Tampering: each is named.


def _flip(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def _rewrite_main(directory):
    """Write a writer's log anew with another first entry: its chain is sound, as nobody needs a secret for it."""
    shutil.rmtree(directory / "wal" / "main")
    write_entries(directory, "main", 1, request_id="another")
    write_entries(directory, "main", 302)


def _forge_checkpoint(directory):
    """Put a checkpoint there that nobody signed who is trusted."""
    path = directory / "checkpoints" / "00000001.checkpoints"
    note = CheckpointFiles(directory).last().note
    text = note.text.replace("\n310\n", "\n309\n")
    path.write_bytes(path.read_bytes().replace(note.text.encode(), text.encode()))


def _drop_last_runs(directory):
    path = directory / "tree" / "runs" / "main"
    path.write_bytes(path.read_bytes()[:-32])


TAMPERING = {
    "an entry is changed and the chain made to fit": (
        _rewrite_main,
        "make another tree|not in the log any more|no entry at",
    ),
    "the end of a writer's log is cut off": (
        lambda d: [path.unlink() for path in list((d / "wal" / "main").glob("*.wal"))[1:]],
        "segment 00000002: the segment is not there",
    ),
    "a tile is changed": (lambda d: _flip(d / "tree" / "tile" / "0" / "000", 40), "tile/0/000 is not what"),
    "the last tile is changed": (
        lambda d: _flip(d / "tree" / "tile" / "0" / "001.part", 4),
        "tile/0/001.p/54 is not",
    ),
    "the position is changed": (lambda d: _flip(d / "tree" / "position", 4), "does not match its own hash"),
    "a run is changed": (lambda d: _flip(d / "tree" / "runs" / "main", 4), "runs is damaged"),
    "runs are cut off": (_drop_last_runs, "runs is damaged"),
    "a checkpoint is changed": (
        lambda d: _flip(d / "checkpoints" / "00000001.checkpoints", 21),
        "bad|cannot be read",
    ),
    "a checkpoint is forged": (_forge_checkpoint, "smaller tree|bad"),
}


@pytest.mark.parametrize("what", TAMPERING)
def test_tampering_is_found_and_named(directory, notes, what):
    tamper, words = TAMPERING[what]
    tamper(directory)
    with pytest.raises((AuditCorruptError, OSError), match=words):
        verify_tree(directory, [KEY])


def test_everything_written_anew_is_found_by_whoever_has_one_old_checkpoint(directory, notes):
    """The whole directory is made anew by somebody who even has the keys: the old checkpoint contradicts it."""
    shutil.rmtree(directory)
    write_entries(directory, "main", 400, request_id="another story")
    log = TreeLog(directory, ORIGIN)
    log.gather(is_last=True)
    sign(log)
    log.close()
    verify_log(directory)
    verify_tree(directory, [KEY])
    with pytest.raises(ProofError):
        TreeLookup(directory).prove_growth(read_checkpoint(notes[0].text))


def test_checkpoints_of_nobody_who_is_trusted_are_bad(directory, notes):
    with pytest.raises(AuditCorruptError, match="none of the keys that are trusted"):
        verify_tree(directory, [])


def test_old_entries_that_come_after_a_checkpoint_are_told(directory, notes):
    write_entries(directory, "late", 1, at=1_600_000_000_000_000)
    log = TreeLog(directory, ORIGIN)
    log.gather(is_last=True)
    sign(log, at=1_690_000_000)
    log.close()
    warnings = verify_tree(directory, [KEY, COSIGNER_KEY]).warnings
    assert "writer late, entry 1" in warnings[0]
    assert "the clock went back" in warnings[1]


def test_a_tree_that_is_gathered_while_it_is_checked_stays_sound(directory, notes):
    write_entries(directory, "main", 3)
    log = TreeLog(directory, ORIGIN)
    log.gather(is_last=True)
    assert verify_tree(directory, [KEY]).entries == 313
    log.close()
