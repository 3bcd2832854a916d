"""Following logs from kept positions: nothing is left out, whatever happens to the log or to the follower."""

import asyncio
import itertools
import shutil

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.audit import AuditLog, LogFollower, LogHeads, WriterPosition
from unit.audit.audit_fakes import SettableClock


async def write(log, count, *, prefix="e"):
    for number in range(count):
        await log.record("event", f"{prefix}.{number}")


def read_all(follower, *, most=7, most_bytes=1 << 20):
    found = []
    while batch := follower.read(most=most, most_bytes=most_bytes):
        assert not batch.gaps
        assert not batch.stuck
        if not batch.entries:
            return found
        assert len(batch.entries) <= most
        found += batch.entries
    return found


def stored(positions):
    """What a file would keep of positions."""
    return msgspec.json.decode(msgspec.json.encode(positions), type=dict[str, WriterPosition])


async def test_every_entry_of_every_writer_is_read_once_in_the_order_of_its_writer(open_log, directory):
    clock = SettableClock()
    logs = [open_log(name, clock=clock, segment_bytes=2_000) for name in ("api-0", "api-1", "main")]
    for _ in range(5):
        for log in logs:
            await write(log, 6)
    found = read_all(LogFollower(directory, {}))
    for name in ("api-0", "api-1", "main"):
        assert [entry.seq for entry in found if entry.writer == name] == list(range(1, 31))
    assert len(found) == 90


async def test_reading_goes_on_in_another_follower_where_positions_were_kept(open_log, directory):
    log = open_log(segment_bytes=2_000)
    await write(log, 40)
    kept, seqs = {}, []
    for _ in range(40):
        follower = LogFollower(directory, kept)
        seqs += [entry.seq for entry in follower.read(most=3, most_bytes=1 << 20).entries]
        kept = stored(follower.positions())
    assert seqs == list(range(1, 41))
    await write(log, 2)
    assert [entry.seq for entry in read_all(LogFollower(directory, kept))] == [41, 42]


async def test_a_busy_writer_leaves_the_others_their_share(open_log, directory):
    await write(open_log("api-0"), 50)
    await write(open_log("main"), 3)
    batch = LogFollower(directory, {}).read(most=10, most_bytes=1 << 20)
    assert {entry.writer for entry in batch.entries} == {"api-0", "main"}


async def test_a_batch_ends_with_the_entry_that_fills_its_bytes(open_log, directory):
    log = open_log()
    for _ in range(20):
        await log.record("event", "e", detail={"x": "y" * 400})
    assert len(LogFollower(directory, {}).read(most=100, most_bytes=1_000).entries) <= 3


def test_no_log_at_all_is_an_empty_batch(directory):
    assert LogFollower(directory, {}).read(most=10, most_bytes=1_000).entries == []


async def test_entries_that_were_pruned_before_they_were_read_are_told_as_a_gap(open_log, directory, wal):
    log = open_log(segment_bytes=1_000)
    await write(log, 30)
    segments = sorted(wal.glob("*.wal"))
    for segment in segments[:-1]:
        segment.unlink()
    batch = LogFollower(directory, {}).read(most=100, most_bytes=1 << 20)
    ((writer, first, last),) = batch.gaps
    assert (writer, first) == ("main", 1)
    assert [entry.seq for entry in batch.entries] == list(range(last + 1, 31))


async def test_pruning_what_was_read_is_no_gap(open_log, directory, wal):
    log = open_log(segment_bytes=1_000)
    await write(log, 12)
    follower = LogFollower(directory, {})
    assert len(read_all(follower)) == 12
    await write(log, 12)
    at = follower.positions()["main"].at.segment
    for segment in sorted(wal.glob("*.wal"))[: at - 1]:
        segment.unlink()
    assert [entry.seq for entry in read_all(LogFollower(directory, follower.positions()))] == list(
        range(13, 25)
    )


async def test_damage_to_one_log_stops_that_one_and_not_the_others(open_log, directory, wal):
    bad = open_log("main")
    await write(bad, 4)
    await write(open_log("api-0"), 4)
    path = wal / "00000001.wal"
    data = bytearray(path.read_bytes())
    data[150] ^= 1
    path.write_bytes(data)
    batch = LogFollower(directory, {}).read(most=100, most_bytes=1 << 20)
    assert [entry.writer for entry in batch.entries] == ["api-0"] * 4
    assert set(batch.stuck) == {"main"}


async def test_a_log_that_was_begun_anew_is_not_taken_for_the_one_that_was_read(open_log, directory, wal):
    log = open_log(segment_bytes=1_000)
    await write(log, 30)
    follower = LogFollower(directory, {})
    read_all(follower)
    log.close()
    shutil.rmtree(wal)
    await write(open_log(), 2)
    assert set(follower.read(most=10, most_bytes=1 << 20).stuck) == {"main"}


async def test_what_a_power_cut_took_back_is_read_again_as_it_is_then(open_log, directory, wal):
    """A group that was read but never durable goes, and its numbers come again with other contents."""
    log = open_log()
    await write(log, 5)
    log.close()
    before = LogFollower(directory, {})
    read_all(before)
    path = wal / "00000001.wal"
    short = before.positions()["main"].sure.offset
    kept = path.read_bytes()[:short]
    path.write_bytes(kept)  # the last group is gone
    await write(open_log(), 2, prefix="again")
    found = read_all(LogFollower(directory, stored(before.positions())))
    assert [(entry.seq, entry.event) for entry in found] == [(5, "again.0"), (6, "again.1")]


@pytest.fixture(scope="module")
def whole_log(tmp_path_factory):
    directory = tmp_path_factory.mktemp("cut") / "audit"
    log = AuditLog.open(directory, "main", clock=SettableClock(), segment_bytes=1_500)
    asyncio.run(write(log, 25))
    log.close()
    return directory


@settings(max_examples=30)
@given(cuts=st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_any_cut_into_batches_reads_the_same(whole_log, cuts):
    kept, seqs = {}, []
    for most in itertools.cycle(cuts):
        follower = LogFollower(whole_log, kept)
        entries = follower.read(most=most, most_bytes=1 << 20).entries
        if not entries:
            break
        seqs += [entry.seq for entry in entries]
        kept = stored(follower.positions())
    assert seqs == list(range(1, 26))


async def test_heads_tell_the_last_entry_of_each_writer_as_it_grows(open_log, directory):
    heads = LogHeads(directory)
    assert heads.look() == {}
    log = open_log(segment_bytes=2_000)
    for count in (1, 30, 1, 90):
        await write(log, count)
        last = heads.look()["main"]
        assert last == LogHeads(directory).look()["main"]
    assert last == 122


@pytest.mark.parametrize("field", ["segment", "offset", "group"])
async def test_a_position_that_nobody_gave_is_not_read_from(open_log, directory, field):
    await write(open_log(), 5)
    follower = LogFollower(directory, {})
    read_all(follower)
    position = follower.positions()["main"]
    changed = msgspec.structs.replace(position.at, **{field: getattr(position.at, field) + 7})
    other = LogFollower(directory, {"main": WriterPosition(changed, changed)})
    batch = other.read(most=10, most_bytes=1 << 20)
    assert not batch.entries
