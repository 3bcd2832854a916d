"""Reading a log while it is pruned: what goes meanwhile is not missing."""

import shutil

import msgspec
import pytest

from cli_support import run
from strongroom.audit import LogFollower, LogSearch, VerifyReport, last_entries, verify_log, verify_tree
from strongroom.audit._beside_pruning import read_beside_pruning
from strongroom.audit._retention import Pruner
from strongroom.audit._retention_plan import MOST_SEGMENTS, Planner
from strongroom.audit._retention_record import MAX_RECORD_BYTES, PruneRecord, read_pruned
from strongroom.audit._verify import _Inspection
from unit.audit.pruned_logs import BEFORE, OLD, make_old_log, prune
from unit.audit.signed_logs import COSIGNER_KEY, KEY


@pytest.fixture
def log(directory):
    make_old_log(directory)
    return directory


def test_a_pruning_beside_a_verification_is_no_alarm(log):
    progressed = []

    def pruned_once(number):
        progressed.append(number)
        if len(progressed) == 1:
            prune(log)

    # as if it came between the look at the records and that at the segments
    before = read_beside_pruning(
        log, lambda: _inspected_late(log, pruned_once), is_sound=lambda one: not one.problems
    )
    assert progressed == [0, 0]
    assert [bool(one.pruned) for one in before.writers] == [True, True]
    verify_log(log)
    verify_tree(log, (KEY, COSIGNER_KEY))


def _inspected_late(log, between):
    inspection = _Inspection(None)
    inspection.read_pruned(log)
    between(0)
    return VerifyReport(
        tuple(inspection.inspect_writer(log / "wal" / name) for name in ("api-0", "main")),
        tuple(inspection.problems),
        tuple(inspection.warnings),
    )


def test_what_is_missing_without_a_pruning_is_told_at_once(log):
    tries = []

    def read():
        tries.append(1)
        raise FileNotFoundError

    with pytest.raises(FileNotFoundError):
        read_beside_pruning(log, read)
    assert len(tries) == 1


def test_a_search_goes_on_behind_what_is_pruned_meanwhile(log):
    search = LogSearch(log)
    found = iter(search)
    next(found)
    prune(log)
    left = [(entry.writer, entry.seq) for entry in found]
    assert not search.damage
    assert {("main", 36), ("main", 37), ("api-0", 8), ("api-0", 9)} <= set(left)


def test_a_plan_names_no_more_segments_than_a_record_holds(log):
    """So that no record is written that cannot be read again; the same command lets the rest go."""
    few = Planner(log, most=4).plan(BEFORE, needed=None)
    assert [len(one.removed) for one in few.writers.values()] == [3, 1]
    record = PruneRecord(
        number=1,
        origin="x",
        previous="",
        at=1,
        before=BEFORE,
        approval="ab" * 32,
        tree_size=1,
        tree_root="ab" * 32,
        writers={
            "w" * 60: msgspec.structs.replace(few.writers["api-0"], removed=few.writers["api-0"].removed[:1])
        },
    )
    assert len(record.encode()) * MOST_SEGMENTS < MAX_RECORD_BYTES
    prune(log, most=4)
    prune(log, most=4)
    assert read_pruned(log).records == 2
    verify_log(log)
    verify_tree(log, (KEY, COSIGNER_KEY))


@pytest.mark.parametrize("is_mount_point_there", [False, True])
def test_nothing_is_a_gap_to_a_sink_while_the_volume_of_the_archive_is_away(
    log, tmp_path, is_mount_point_there
):
    if is_mount_point_there:
        (tmp_path / "away").mkdir()
    shutil.move(log / "archive", tmp_path / "volume")
    (log / "archive").symlink_to(tmp_path / "away")
    follower = LogFollower(log, {})
    batch = follower.read(most=99, most_bytes=1 << 20)
    assert (batch.gaps, sorted(batch.stuck)) == ([], ["api-0", "main"])
    shutil.copytree(tmp_path / "volume", tmp_path / "away", dirs_exist_ok=True)
    batch = follower.read(most=99, most_bytes=1 << 20)
    assert (batch.gaps, batch.stuck, batch.entries[0].seq) == ([], {}, 1)


def test_a_clock_that_went_back_since_the_last_pruning_makes_no_record_that_is_bad(log):
    first = prune(log, most=4)
    record = Pruner(log).begin(Planner(log).plan(BEFORE, needed=None), approval="", at=OLD)
    assert record.at == first.at
    assert read_pruned(log).begun == record


def test_the_last_entries_are_found_while_older_ones_are_pruned(log):
    seen = []

    def keeps(entry):
        if not seen:
            prune(log)
        seen.append(entry)
        return entry.seq == 37

    assert [entry.writer for entry in last_entries(log, 5, keeps)] == ["main"]


def test_verify_says_that_the_volume_of_the_archive_is_away(log, tmp_path):
    shutil.move(log / "archive", tmp_path / "volume")
    (log / "archive").symlink_to(tmp_path / "away")
    result = run("audit", "verify", log)
    assert result.exit_code == 1
    assert "mount that volume" in result.stderr
