"""Gathering: every durable entry of every writer becomes one leaf, once, in the order of its writer; nothing else does."""

import asyncio
import itertools
import os

import pytest

from strongroom.audit import AuditCorruptError, leaf_hash
from strongroom.audit._cursor import SegmentReader
from strongroom.audit._files import WalFolder
from strongroom.audit._gather import Gatherer
from strongroom.audit._segments import SegmentWriter, recover
from strongroom.audit._tree import Frontier, check_inclusion, inclusion_path
from strongroom.audit._tree_files import TreeFiles, TreeWriter
from unit.audit.audit_fakes import payload_of


@pytest.fixture
def gathering(directory):
    """A tree and its gatherer, opened anew at each call; all are closed at the end."""
    opened = []

    def begin():
        while opened:
            opened.pop().close()
        tree = TreeWriter(directory)
        gatherer = Gatherer(directory, tree)
        opened.extend((tree, gatherer))
        return tree, gatherer

    yield begin
    for one in reversed(opened):
        one.close()


@pytest.fixture
def write(directory):
    """Write groups to a writer's log; it stays open between calls."""
    writers = {}

    def append(writer, *groups, segment_bytes=100_000):
        if writer not in writers:
            folder = WalFolder(directory / "wal" / writer)
            writers[writer] = SegmentWriter(folder, recover(folder).end, segment_bytes=segment_bytes)
        log = writers[writer]
        for count in groups:
            seq = log.position.seq
            log.write([payload_of(seq + i, boot=log.boot, writer=writer) for i in range(count)])
        return log

    yield append
    for log in writers.values():
        log.close()


def leaves_of_tree(directory) -> list[tuple[str, int]]:
    """Every leaf of a tree as (writer, seq), checked against the tree itself."""
    files = TreeFiles(directory)
    state, node = files.state(), files.nodes()
    runs = sorted(
        (files.run(writer, number), writer)
        for writer, place in state.writers.items()
        for number in range(place.runs)
    )
    found, frontier = [], Frontier()
    for run, writer in runs:
        assert run.first_leaf == len(found)
        with SegmentReader(directory / "wal" / writer, run.segment) as reader:
            wanted = (one for one in reader if one.entry.seq >= run.first_seq)
            located = list(itertools.islice(wanted, run.n_entries))
            assert (located[0].offset, len(located)) == (run.offset, run.n_entries)
        for one in located:
            leaf = leaf_hash(one.payload)
            path = inclusion_path(len(found), state.size, node)
            check_inclusion(leaf, len(found), state.size, bytes.fromhex(state.root), path)
            found.append((writer, one.entry.seq))
            frontier.add(leaf)
    assert (frontier.size, frontier.root().hex()) == (state.size, state.root)
    return found


def all_of(writer: str, count: int, first: int = 1) -> list[tuple[str, int]]:
    return [(writer, seq) for seq in range(first, first + count)]


def test_what_a_later_group_shows_to_be_durable_is_taken_at_once_the_rest_when_it_stood_still(
    directory, gathering, write
):
    _, gatherer = gathering()
    assert gatherer.gather() == (0, False, {})
    write("main", 3, 2)
    assert gatherer.gather().n_entries == 3
    write("main", 1)
    assert gatherer.gather().n_entries == 2
    assert gatherer.gather().n_entries == 1
    assert gatherer.gather() == (0, False, {})
    assert leaves_of_tree(directory) == all_of("main", 6)


def test_writers_are_taken_in_the_order_of_their_names_and_new_ones_are_noticed(directory, gathering, write):
    _, gatherer = gathering()
    write("main", 2, 1)
    write("api-0", 2)
    gatherer.gather(is_last=True)
    write("api-0", 1)
    write("api-1", 2)
    gatherer.gather(is_last=True)
    expected = [*all_of("api-0", 2), *all_of("main", 3), ("api-0", 3), *all_of("api-1", 2)]
    assert leaves_of_tree(directory) == expected


def test_segments_and_boots_are_followed_and_nothing_is_taken_twice(directory, gathering, write):
    for boot in range(3):
        folder = WalFolder(directory / "wal" / "main")
        log = SegmentWriter(folder, recover(folder).end, segment_bytes=900)
        for _ in range(5):
            log.write([payload_of(log.position.seq + i, boot=log.boot) for i in range(3)])
        if boot == 1:
            _, gatherer = gathering()
            gatherer.gather()
        log.close()
        tree, gatherer = gathering()
        gatherer.gather(is_last=True)
        assert tree.size == 15 * (boot + 1)
    assert len(list((directory / "wal" / "main").glob("*.wal"))) > 5
    assert leaves_of_tree(directory) == all_of("main", 45)


def test_a_look_takes_no_more_than_it_should_and_says_that_there_is_more(directory, gathering, write):
    _, gatherer = gathering()
    write("api-0", *[3] * 10)
    write("main", 5)
    looks = [gatherer.gather(is_last=True, most=7) for _ in range(6)]
    assert [look.n_entries for look in looks] == [7, 7, 7, 7, 7, 0]
    assert [look.has_more for look in looks] == [True, True, True, True, True, False]
    assert leaves_of_tree(directory) == [*all_of("api-0", 30), *all_of("main", 5)]


def test_a_group_that_its_writer_takes_back_never_becomes_a_leaf(directory, gathering, write):
    _, gatherer = gathering()
    log = write("main", 2, 2)
    end = log.position
    write("main", 3)
    assert gatherer.gather().n_entries == 4
    os.truncate(directory / "wal" / "main" / "00000001.wal", end.offset)  # as after a failed sync
    log._position = end
    gatherer.gather()
    log.write([payload_of(5, request_id="another")])
    assert [gatherer.gather().n_entries for _ in range(2)] == [0, 1]
    assert leaves_of_tree(directory) == all_of("main", 5)


def test_a_group_whose_sync_fails_for_us_is_not_taken(directory, gathering, write, monkeypatch):
    _, gatherer = gathering()
    write("main", 2)

    def fail(_fd):
        raise OSError(5, "Input/output error")

    gatherer.gather()
    monkeypatch.setattr(os, "fdatasync", fail)
    assert gatherer.gather().n_entries == 0
    monkeypatch.undo()
    assert [gatherer.gather().n_entries for _ in range(3)] == [0, 2, 0]
    assert leaves_of_tree(directory) == all_of("main", 2)


def test_a_log_that_lost_what_the_tree_holds_is_named_and_the_others_go_on(directory, gathering, write):
    _, gatherer = gathering()
    write("api-0", 2)
    write("main", 2)
    gatherer.gather(is_last=True)
    os.truncate(directory / "wal" / "main" / "00000001.wal", 128)
    write("api-0", 1)
    looked = gatherer.gather(is_last=True)
    assert (looked.n_entries, list(looked.stuck)) == (1, ["main"])
    assert "not in the log any more" in str(looked.stuck["main"])
    for path in (directory / "wal" / "main").glob("*.wal"):
        path.unlink()
    assert "ends before what the tree holds" in str(gatherer.gather().stuck["main"])


def test_entries_before_a_damaged_one_are_taken_and_then_it_is_named(directory, gathering, write):
    _, gatherer = gathering()
    end = write("main", 2, 2).position.offset
    write("main", 2, 2)
    path = directory / "wal" / "main" / "00000001.wal"
    data = bytearray(path.read_bytes())
    data[end + 40] ^= 1
    path.write_bytes(data)
    assert gatherer.gather(is_last=True).n_entries == 4
    assert isinstance(gatherer.gather().stuck["main"], AuditCorruptError)
    assert leaves_of_tree(directory) == all_of("main", 4)


def test_old_segments_that_were_taken_whole_may_go(directory, gathering, write):
    _, gatherer = gathering()
    write("main", *[2] * 6, segment_bytes=500)
    gatherer.gather(is_last=True)
    newest = max((directory / "wal" / "main").glob("*.wal"))
    for path in (directory / "wal" / "main").glob("*.wal"):
        if path != newest:
            path.unlink()
    write("main", 2, 2)
    tree, gatherer = gathering()
    assert gatherer.gather(is_last=True).stuck == {}
    assert tree.size == 16


def test_a_running_log_is_gathered_while_it_is_written(directory, gathering, open_log):
    log = open_log()

    async def write_and_gather():
        _, gatherer = gathering()
        for round_ in range(30):
            await asyncio.gather(*(log.record("event", "e", request_id=f"{round_}.{i}") for i in range(9)))
            await asyncio.to_thread(gatherer.gather)
        await asyncio.to_thread(gatherer.gather, is_last=True)

    asyncio.run(write_and_gather())
    assert leaves_of_tree(directory) == all_of("main", 270)
