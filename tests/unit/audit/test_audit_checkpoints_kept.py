"""Checkpoints on disk: all of them stay, a crash costs the unfinished one at most, and none contradicts another."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.audit import (
    CheckpointFiles,
    KeyKind,
    LogKey,
    Signature,
    TreeDamagedError,
    TreeLog,
)
from strongroom.audit import _checkpoint_files as checkpoint_files
from strongroom.audit._checkpoint_files import CheckpointWriter
from strongroom.audit._files import WalFolder
from strongroom.audit._segments import SegmentWriter, recover
from strongroom.core import VerificationFailedError
from unit.audit.audit_fakes import payload_of
from unit.audit.tree_disks import FailingDisk

SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(32))
ORIGIN = "strongroom/test/host"
KEY = LogKey(ORIGIN, KeyKind.ED25519, SIGNER.public_key().public_bytes_raw())


def sign(log: TreeLog):
    checkpoint = log.next_checkpoint()
    return log.add(
        checkpoint, [Signature(KEY.name, KEY.key_id, SIGNER.sign(checkpoint.text().encode()))], [KEY]
    )


@pytest.fixture
def write(directory):
    def append(count, writer="main"):
        folder = WalFolder(directory / "wal" / writer)
        log = SegmentWriter(folder, recover(folder).end, segment_bytes=100_000)
        seq = log.position.seq
        log.write([payload_of(seq + i, boot=log.boot, writer=writer) for i in range(count)])
        log.close()

    return append


@pytest.fixture
def grown(directory, write):
    """A log with three checkpoints, of 3, 5 and 9 entries; closed."""
    log = TreeLog(directory, ORIGIN)
    notes = []
    for count in (3, 2, 4):
        write(count)
        log.gather(is_last=True)
        notes.append(sign(log))
    log.close()
    return notes


def test_all_checkpoints_are_read_back_and_the_log_keeps_its_name(directory, grown):
    files = CheckpointFiles(directory)
    assert [kept.note for kept in files.read()] == grown
    assert [kept.checkpoint.size for kept in files.read()] == [3, 5, 9]
    assert files.last().note == grown[-1]
    assert files.keys() == (KEY,)
    log = TreeLog(directory, "another/name")
    log.close()
    assert (log.origin, log.size, log.checkpointed) == (ORIGIN, 9, 9)


def test_a_log_without_checkpoints_has_none(directory):
    files = CheckpointFiles(directory)
    assert (files.origin(), files.last(), list(files.read()), files.keys()) == (None, None, [], ())


@pytest.mark.parametrize("lost", [1, 2, 3, 20, 60, 100])
def test_an_unfinished_checkpoint_is_passed_over_and_cut_off(directory, grown, lost):
    path = directory / "checkpoints" / "00000001.checkpoints"
    data = path.read_bytes()
    path.write_bytes(data[:-lost])
    assert [kept.note for kept in CheckpointFiles(directory).read()] == grown[:2]
    log = TreeLog(directory, ORIGIN)
    assert log.checkpointed == 5
    sign(log)
    log.close()
    assert path.read_bytes() == data


def test_a_damaged_checkpoint_is_named(directory, grown):
    path = directory / "checkpoints" / "00000001.checkpoints"
    data = bytearray(path.read_bytes())
    data[2] = 1
    path.write_bytes(data)
    with pytest.raises(TreeDamagedError, match="byte 0"):
        list(CheckpointFiles(directory).read())
    with pytest.raises(TreeDamagedError):
        TreeLog(directory, ORIGIN)


def test_files_are_followed_by_new_ones(directory, write, monkeypatch):
    monkeypatch.setattr(checkpoint_files, "FILE_BYTES", 300)
    log = TreeLog(directory, ORIGIN)
    for _ in range(6):
        write(1)
        log.gather(is_last=True)
        sign(log)
    log.close()
    files = CheckpointFiles(directory)
    assert len(files.numbers()) == 3
    assert [kept.checkpoint.size for kept in files.read()] == [1, 2, 3, 4, 5, 6]


def test_nothing_is_kept_that_does_not_verify(directory, write):
    log = TreeLog(directory, ORIGIN)
    write(1)
    log.gather(is_last=True)
    checkpoint = log.next_checkpoint()
    with pytest.raises(VerificationFailedError):
        log.add(checkpoint, [Signature(KEY.name, KEY.key_id, bytes(64))], [KEY])
    log.close()
    assert CheckpointFiles(directory).last() is None


def test_a_tree_that_is_not_that_of_the_last_checkpoint_is_never_signed_again(directory, grown):
    older = directory.with_name("older")
    directory.rename(older)
    (directory / "checkpoints").mkdir(parents=True)
    for path in (older / "checkpoints").iterdir():
        (directory / "checkpoints" / path.name).write_bytes(path.read_bytes())
    with pytest.raises(TreeDamagedError, match="tree of 9 entries, and 0 are there"):
        TreeLog(directory, ORIGIN)


def test_a_checkpoint_counts_only_once_it_is_durable(tmp_path, grown):
    counting = FailingDisk()
    writer = CheckpointWriter(tmp_path / "new", counting)
    writer.name(ORIGIN)
    writer.append(grown[0])
    for call in range(1, counting.n_calls + 1):
        disk = FailingDisk()
        disk.fails_at = call
        directory = tmp_path / f"{call}"
        with pytest.raises(OSError, match=r"."):
            _name_and_append(CheckpointWriter(directory, disk), grown[0])
        writer = CheckpointWriter(directory)
        writer.name(ORIGIN)
        assert [kept.note for kept in writer.read()] in ([], [grown[0]])
        writer.append(grown[1])
        assert writer.last().note == grown[1]


def _name_and_append(writer, note):
    writer.name(ORIGIN)
    writer.append(note)
