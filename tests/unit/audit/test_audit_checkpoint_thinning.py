"""Old checkpoints are thinned to one an hour: nothing that they prove is lost, and a crash leaves the file of before or of after."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.audit import (
    Checkpoint,
    CheckpointFiles,
    Note,
    Signature,
    TreeLog,
    TreeLookup,
    verify_tree,
)
from strongroom.audit import _checkpoint_files as checkpoint_files
from strongroom.audit._checkpoint_files import CheckpointWriter, KeptCheckpoint
from strongroom.audit._checkpoint_thinning import KEEP_ALL_S, SLOT_S, thinned
from unit.audit.signed_logs import COSIGNER_KEY, KEY, ORIGIN, sign, write_entries
from unit.audit.tree_disks import FailingDisk

START = 1_700_000_000 // SLOT_S * SLOT_S
KEYS = (KEY, COSIGNER_KEY)


@pytest.fixture
def signed_each_20_minutes(directory, monkeypatch):
    """A log with eight checkpoints in three closed files and an open one; closed."""
    monkeypatch.setattr(checkpoint_files, "FILE_BYTES", 6000)
    for number in range(8):
        write_entries(directory, "main", 2)
        log = TreeLog(directory, ORIGIN)
        log.gather(is_last=True)
        sign(log, at=START + number * SLOT_S // 3)
        log.close()
    assert CheckpointFiles(directory).numbers() == [1, 2, 3, 4]
    return directory


def sizes(directory) -> list[int]:
    return [kept.checkpoint.size for kept in CheckpointFiles(directory).read()]


def thin_all(directory, now: float) -> int:
    log = TreeLog(directory, ORIGIN)
    n_dropped = sum(log.thin(now) for _ in range(5))
    log.close()
    return n_dropped


def test_of_each_hour_of_an_old_file_the_last_checkpoint_stays(signed_each_20_minutes):
    directory = signed_each_20_minutes
    before = sizes(directory)
    assert thin_all(directory, START + KEEP_ALL_S) == 0
    assert sizes(directory) == before
    assert thin_all(directory, START + KEEP_ALL_S + 10 * SLOT_S) == 2
    # two in a file: hours change between the third and fourth, and the sixth and seventh
    assert sizes(directory) == [4, 6, 8, 12, 14, 16]
    assert thin_all(directory, START + KEEP_ALL_S + 10 * SLOT_S) == 0


def test_a_thinned_log_verifies_and_proves_all_its_entries_and_its_growth(signed_each_20_minutes):
    directory = signed_each_20_minutes
    dropped = next(CheckpointFiles(directory).read()).checkpoint
    thin_all(directory, START + 2 * KEEP_ALL_S)
    report = verify_tree(directory, KEYS)
    assert (report.entries, report.checkpoints, report.checkpointed) == (16, 6, 16)
    lookup = TreeLookup(directory)
    assert dropped.size not in sizes(directory)
    assert lookup.prove_growth(dropped).old_size == dropped.size
    assert lookup.prove("main", 1, size=4).number == 0


def test_a_failing_disk_leaves_the_file_of_before_or_of_after(signed_each_20_minutes):
    directory = signed_each_20_minutes
    before = sizes(directory)
    found = CheckpointFiles(directory).read_closed(1)
    for is_done_first in (False, True):
        for fails_at in range(1, 6):
            disk = FailingDisk()
            writer = CheckpointWriter(directory, disk)
            disk.fails_at, disk.is_done_first = disk.n_calls + fails_at, is_done_first
            with pytest.raises(OSError, match=r"."):
                writer.rewrite(1, found[1:])
            assert sizes(directory) in (before, before[1:])
    CheckpointWriter(directory).rewrite(1, found[1:])
    assert sizes(directory) == before[1:]


def test_checkpoints_without_a_time_stay(signed_each_20_minutes):
    found = list(CheckpointFiles(signed_each_20_minutes).read())
    assert list(thinned(found, [KEY], START + 2 * KEEP_ALL_S)) == found


@given(st.data())
def test_what_stays_is_in_order_and_has_the_last_of_every_hour(checkpoint_at, data):
    steps = data.draw(st.lists(st.integers(-100, SLOT_S), min_size=1, max_size=30))
    times = [START + sum(steps[: index + 1]) for index in range(len(steps))]
    found = [checkpoint_at(at, size) for size, at in enumerate(times)]
    stay = list(thinned(found, [COSIGNER_KEY], max(times) + KEEP_ALL_S))
    assert stay == [kept for kept in found if kept in stay]
    last = {at // SLOT_S: kept for at, kept in zip(times, found, strict=True)}
    assert set(map(id, stay)) == set(map(id, last.values()))


@pytest.fixture(scope="module")
def checkpoint_at():
    """Make a checkpoint whose cosignature, which nobody checks here, tells a time."""

    def make(at: int, size: int) -> KeptCheckpoint:
        checkpoint = Checkpoint(ORIGIN, size, bytes(32))
        signature = Signature(ORIGIN, COSIGNER_KEY.key_id, at.to_bytes(8, "big") + b"x")
        return KeptCheckpoint(checkpoint, Note(checkpoint.text(), (signature,)), 1, 0)

    return make
