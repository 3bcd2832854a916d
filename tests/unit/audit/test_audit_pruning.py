"""Pruning: what is left proves what it proved before, says what is gone, and nothing goes unnoticed."""

import datetime as dt
import json
import random
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.audit import (
    AuditCorruptError,
    AuditLog,
    LogFollower,
    ProofError,
    TreeLookup,
    chain_after,
    inspect_log,
    last_entries,
    read_entries,
    read_entry_proof,
    verify_log,
    verify_tree,
)
from strongroom.audit._archive import Archiver
from strongroom.audit._archive_file import pack
from strongroom.audit._retention import Pruner
from strongroom.audit._retention_plan import Planner, RetentionError, day_start, require_old_enough
from strongroom.audit._retention_record import read_prune_record, read_pruned
from unit.audit.archive_disks import FailingArchiveDisk
from unit.audit.audit_fakes import SettableClock
from unit.audit.pruned_logs import BEFORE, DAY, NEW, OLD, gather_and_sign, make_old_log, prune, tell
from unit.audit.signed_logs import COSIGNER_KEY, KEY, write_entries

KEYS = (KEY, COSIGNER_KEY)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A log that no test changes: each takes a copy."""
    directory = tmp_path_factory.mktemp("made") / "audit"
    make_old_log(directory)
    return directory


@pytest.fixture
def log(made, directory):
    return shutil.copytree(made, directory)


def is_sound(directory):
    report = inspect_log(directory)
    try:
        verify_tree(directory, KEYS)
    except (AuditCorruptError, FileNotFoundError):
        return False
    return not report.problems


def test_what_is_left_verifies_and_says_what_is_gone(log):
    before = verify_tree(log, KEYS)
    kept = TreeLookup(log).prove("main", 2).encode()
    old_checkpoint = next(iter(TreeLookup(log)._checkpoints.read())).checkpoint
    record = prune(log)
    gather_and_sign(log)
    main, api = (
        next(one for one in verify_log(log).writers if one.writer == name) for name in ("main", "api-0")
    )
    assert api.pruned == (f"entries 1 to 7 were pruned on 2024-12-18 under approval {'ab' * 32}",)
    assert main.pruned == (f"entries 1 to 35 were pruned on 2024-12-18 under approval {'ab' * 32}",)
    assert (main.entries, main.last_seq, main.segments) == (3, 38, 2)
    tree = verify_tree(log, KEYS)
    assert (tree.entries, tree.pruned) == (before.entries + 1, 42)
    assert not list(log.glob("archive/*/*.xz"))
    read_entry_proof(kept).check(KEYS)
    TreeLookup(log).prove_growth(old_checkpoint)
    TreeLookup(log).prove("main", 36)
    with pytest.raises(ProofError, match="was pruned: entries 1 to 35"):
        TreeLookup(log).prove("main", 2)
    assert [entry.seq for entry in read_entries(log) if entry.writer == "main"] == [36, 37, 38]
    assert len(last_entries(log, 100)) == 5
    assert chain_after(log, "api-0", 7).hex() == record.writers["api-0"].chain
    with pytest.raises(AuditCorruptError, match="were pruned"):
        chain_after(log, "api-0", 6)
    (gap,) = [
        gap for gap in LogFollower(log, {}).read(most=99, most_bytes=1 << 20).gaps if gap.writer == "main"
    ]
    assert (gap.first, gap.last) == (1, 35)


def test_a_writer_goes_on_and_more_is_pruned_later(log):
    prune(log, approval="01" * 32)
    AuditLog.open(log, "main", clock=SettableClock(NEW)).close()
    write_entries(log, "api-0", 2, at=(NEW + DAY) * 1_000_000)
    write_entries(log, "main", 1, at=(NEW + DAY) * 1_000_000)
    gather_and_sign(log, NEW + DAY)
    Archiver(log).run(before_us=(NEW + 10 * DAY) * 1_000_000, needed=None)
    prune(log, "2024-12-25", approval="02" * 32)
    gather_and_sign(log, NEW + 2 * DAY)
    history = read_pruned(log)
    assert history.records == 2
    assert [line[-4:] for line in history.approvals["main"]] == ["0101", "0202"]
    assert is_sound(log)


def test_only_old_archived_and_read_entries_are_planned(log):
    planner = Planner(log)
    for needed, day in (({}, BEFORE), ({"main": 1, "api-0": 1}, BEFORE), (None, "2023-11-14")):
        with pytest.raises(RetentionError, match="nothing"):
            planner.plan(day, needed=needed)
    assert {name: one.segment for name, one in planner.plan(BEFORE, needed={"main": 2}).writers.items()} == {
        "main": 1
    }
    far = planner.plan("2030-01-01", needed=None)  # the newest are not archived
    assert {name: one.segment for name, one in far.writers.items()} == {"main": 3, "api-0": 3}


def test_the_same_plan_comes_again(log):
    plan = Planner(log).plan(BEFORE, needed=None)
    gather_and_sign(log)
    assert Planner(log).plan(BEFORE, needed=None).parameters() == plan.parameters()
    assert json.loads(json.dumps(plan.parameters())) == plan.parameters()


def test_a_clock_that_was_set_back_makes_nothing_old(directory):
    write_entries(directory, "main", 2, at=NEW * 1_000_000)
    gather_and_sign(directory, NEW)
    write_entries(directory, "main", 2, at=OLD * 1_000_000)  # says that it is older
    gather_and_sign(directory, OLD)
    write_entries(directory, "main", 1, at=OLD * 1_000_000)
    gather_and_sign(directory, OLD)
    Archiver(directory).run(before_us=(NEW + DAY) * 1_000_000, needed=None)
    assert len(list(directory.glob("archive/main/*"))) == 2
    with pytest.raises(RetentionError, match="nothing"):
        Planner(directory).plan(BEFORE, needed=None)


def test_entries_of_an_old_time_under_a_young_checkpoint_are_not_old(directory):
    write_entries(directory, "main", 2, at=OLD * 1_000_000)
    write_entries(directory, "main", 2, at=OLD * 1_000_000)
    gather_and_sign(directory, NEW)
    Archiver(directory).run(before_us=(OLD + DAY) * 1_000_000, needed=None)
    with pytest.raises(RetentionError, match="nothing"):
        Planner(directory).plan(BEFORE, needed=None)


@pytest.mark.parametrize(
    ("day", "now", "keep_days", "newest"),
    [
        ("2023-11-16", OLD + 2 * DAY, 1, OLD + 9 * DAY),
        ("2023-11-16", NEW, 366, OLD + 2 * DAY),  # the clock was set forward
        ("2023-11-16", OLD + 2 * DAY, 0, NEW),  # never below one day
        ("2024-12-01", NEW, 366, NEW),
        ("yesterday", NEW, 366, NEW),
        ("20231116", NEW, 366, NEW),
    ],
)
def test_nothing_younger_than_the_policy_is_pruned(day, now, keep_days, newest):
    with pytest.raises(RetentionError):
        require_old_enough(day, now=now, keep_days=keep_days, newest_checkpoint=newest)


def test_what_is_old_enough_may_be_pruned():
    require_old_enough(BEFORE, now=NEW, keep_days=366, newest_checkpoint=NEW)
    assert day_start("2023-11-16") == 1_700_092_800


def _without_entry(log):
    record = prune(log)
    (log / "pruned" / "00000001.json").write_bytes(
        record.__class__(**{**_fields(record), "approval": "cd" * 32}).encode()
    )


def _fields(record):
    return {name: getattr(record, name) for name in record.__struct_fields__}


def _changed(change):
    def act(log):
        record = prune(log)
        changed = record.__class__(**{**_fields(record), **change(record)})
        (log / "pruned" / "00000001.json").write_bytes(changed.encode())
        tell(log, changed)
        gather_and_sign(log)

    return act


def _writers(record, **change):
    main = record.writers["main"]
    fields = {name: getattr(main, name) for name in main.__struct_fields__}
    return {"writers": {**record.writers, "main": main.__class__(**{**fields, **change})}}


def _told_by_another(log):
    record = Pruner(log).begin(Planner(log).plan(BEFORE, needed=None), approval="", at=NEW)
    write_entries(log, "api-0", 1, at=NEW * 1_000_000, event="audit.pruned", detail={"record": record.hash()})
    (log / "pruned" / "00000001.json.begun").rename(log / "pruned" / "00000001.json")
    shutil.rmtree(log / "archive")
    gather_and_sign(log)


TAMPERING = {
    "a record that no entry tells of": _without_entry,
    "a record that another writer tells of": _told_by_another,
    "no record": lambda log: (prune(log), shutil.rmtree(log / "pruned")),
    "files removed without a record": lambda log: shutil.rmtree(log / "archive" / "main"),
    "one more segment removed": lambda log: (prune(log), (log / "wal" / "main" / "00000004.wal").unlink()),
    "another chain value": _changed(lambda record: _writers(record, chain="00" * 32)),
    "another last entry": _changed(lambda record: _writers(record, seq=34)),
    "a removed segment left out": _changed(
        lambda record: _writers(record, removed=record.writers["main"].removed[1:])
    ),
    "another root": _changed(lambda record: {"tree_root": "00" * 32}),
    "another size": _changed(lambda record: {"tree_size": 3}),
    "a tile of pruned entries changed": lambda log: (
        prune(log),
        _flip(log / "tree" / "tile" / "0" / "000.part", 40),
    ),
    "a run of pruned entries changed": lambda log: (prune(log), _flip(log / "tree" / "runs" / "main", 9)),
    "bytes behind the record": lambda log: (prune(log), _append(log / "pruned" / "00000001.json")),
}


def _flip(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def _append(path):
    path.write_bytes(path.read_bytes() + b" ")


@pytest.mark.parametrize("name", TAMPERING)
def test_tampering_with_what_was_pruned_shows(log, name):
    TAMPERING[name](log)
    assert not is_sound(log)


@pytest.mark.parametrize("is_done_first", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_failure_at_any_step_leaves_a_sound_log_and_is_gone_on_from(tmp_path, is_done_first):
    make_old_log(tmp_path / "all", ((1, 1), (0, 1)))
    number = 0
    while True:
        number += 1
        directory = tmp_path / f"at-{number}"
        shutil.copytree(tmp_path / "all", directory)
        disk = FailingArchiveDisk()
        disk.fails_at, disk.is_done_first = number, is_done_first
        try:
            prune(directory, disk=disk)
        except OSError:
            gather_and_sign(directory)
            assert is_sound(directory)
            if (record := Pruner(directory).begun()) is not None:  # as main does when it starts
                tell(directory, record)
                Pruner(directory).finish(record)
            elif not Pruner(directory).remove_rest() and not read_pruned(directory).records:
                prune(directory)
        gather_and_sign(directory)
        assert is_sound(directory)
        assert not list(directory.glob("archive/*/*.xz"))
        if disk.n_calls < number:
            break
    assert number > 8


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_no_bytes_are_taken_for_a_record(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("record") / "00000001.json"
    path.write_bytes(data)
    with pytest.raises(AuditCorruptError):
        read_prune_record(path)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 12))])
def test_any_order_of_writing_archiving_and_pruning_leaves_a_sound_log(directory, seed):
    chance, at = random.Random(seed), OLD
    written = {"main": 0, "api-0": 0}
    for _ in range(14):
        at += chance.randrange(2 * DAY)
        step = chance.choice(["write", "write", "archive", "prune", "verify"])
        if step == "write":
            for writer in written:
                count = chance.randrange(4)
                write_entries(directory, writer, count, at=at * 1_000_000)
                written[writer] += count
            gather_and_sign(directory, at)
        elif step == "archive" and sum(written.values()):
            Archiver(directory).run(before_us=(at - DAY) * 1_000_000, needed=None)
        elif step == "prune" and sum(written.values()):
            day = _day(at - chance.randrange(1, 5) * DAY)
            try:
                plan = Planner(directory).plan(day, needed=None)
            except RetentionError:
                continue
            record = Pruner(directory).begin(plan, approval="", at=at)
            write_entries(
                directory,
                "main",
                1,
                at=at * 1_000_000,
                event="audit.pruned",
                detail={"record": record.hash()},
            )
            written["main"] += 1
            Pruner(directory).finish(record)
            gather_and_sign(directory, at)
            assert all(
                entry.at >= plan.writers[entry.writer].newest_at
                for entry in read_entries(directory)
                if entry.writer in plan.writers
            )
        if sum(written.values()):
            assert verify_tree(directory, KEYS).entries == sum(written.values())
            assert {one.writer: one.last_seq for one in verify_log(directory).writers} == written


def _day(at):
    return dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%d")


def test_only_files_that_a_record_names_are_removed_by_it(log):
    kept = {path.name: path.read_bytes() for path in (log / "archive" / "api-0").glob("*.xz")}
    prune(log)
    folder = log / "archive" / "api-0"
    (folder / "00000001.wal.xz").write_bytes(kept["00000002.wal.xz"])
    (folder / "00000002.wal.xz").write_bytes(kept["00000002.wal.xz"])
    (folder / "00000003.wal.xz").write_bytes(kept["00000003.wal.xz"][:-9])
    with pytest.raises(AuditCorruptError, match="not what was pruned under its number"):
        Pruner(log).remove_rest()
    assert sorted(path.name for path in folder.iterdir()) == ["00000001.wal.xz", "00000003.wal.xz"]


def test_what_was_written_anew_under_the_tree_is_not_pruned(log):
    """A chain has no key: whoever has the files makes one that fits. The tree's leaves are older."""
    shutil.rmtree(log / "wal" / "api-0")
    shutil.rmtree(log / "archive" / "api-0")
    for count in (2, 4, 1, 2):
        write_entries(log, "api-0", count, at=OLD * 1_000_000, principal="user/other")
    (log / "archive" / "api-0").mkdir()
    for path in sorted((log / "wal" / "api-0").glob("*.wal"))[:3]:
        packed = log / "archive" / "api-0" / f"{path.name}.xz"
        packed.write_bytes(b"".join(pack(iter([path.read_bytes()]))))
        path.unlink()
    with pytest.raises(AuditCorruptError, match="another entry under this number"):
        Planner(log).plan(BEFORE, needed=None)
