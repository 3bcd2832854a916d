"""Reading a log while it is pruned: what goes meanwhile is not missing."""

import pytest

from strongroom.audit import LogSearch, VerifyReport, verify_log, verify_tree
from strongroom.audit._beside_pruning import read_beside_pruning
from strongroom.audit._verify import _Inspection
from unit.audit.pruned_logs import make_old_log, prune
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
