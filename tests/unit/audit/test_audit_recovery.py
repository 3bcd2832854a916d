"""Opening a log after a crash: what is cut and kept aside, what is refused."""

import asyncio
import hashlib
import shutil

import pytest

from strongroom.audit import AuditCorruptError, inspect_log, read_entries, verify_log
from strongroom.audit._cursor import MAX_GROUP_BYTES, RESERVE_BYTES
from strongroom.audit._format import encode_group
from strongroom.core import AuditUnavailableError


@pytest.fixture
def five(open_log, directory, wal):
    """A log of five entries in one segment; returns the segment's path and the offset of each frame."""
    log = open_log()

    async def write():
        for i in range(5):
            await log.record("event", "e", request_id=str(i))

    asyncio.run(write())
    log.close()
    segment = wal / "00000001.wal"
    size = (segment.stat().st_size - 128) // 5
    return segment, [128 + size * i for i in range(6)]


def _request_ids(directory):
    return [entry.request_id for entry in read_entries(directory) if entry.event == "e"]


def _recovered(directory):
    return [entry.detail for entry in read_entries(directory) if entry.event == "log.recovered"]


def _told(cut):
    """What ``log.recovered`` tells of bytes cut off the first segment."""
    return {
        "segment": "1",
        "cut_bytes": str(len(cut)),
        "sha256": hashlib.sha256(cut).hexdigest(),
        "kept_as": "00000001.torn",
    }


@pytest.mark.parametrize("kept_bytes", [4, 5, 50, -33, -32, -1])
def test_an_incomplete_last_frame_is_cut_kept_aside_and_recorded(five, open_log, directory, wal, kept_bytes):
    segment, offsets = five
    keep = offsets[4] + kept_bytes if kept_bytes > 0 else offsets[5] + kept_bytes
    torn = segment.read_bytes()[:keep]
    segment.write_bytes(torn)
    (warning,) = inspect_log(directory).warnings
    assert (warning.segment, warning.offset, warning.seq) == (1, offsets[4], 5)
    assert "torn tail" in str(warning)
    verify_log(directory)  # a crash is no tampering
    open_log().close()
    kept = (wal / "00000001.torn").read_bytes()
    assert kept == torn[offsets[4] :].rstrip(b"\0")
    assert _recovered(directory) == [_told(kept)]
    assert _request_ids(directory) == ["0", "1", "2", "3"]
    (warning,) = verify_log(directory).warnings
    assert (warning.segment, warning.seq) == (1, 5)
    assert "00000001.torn keeps them" in str(warning)
    open_log().close()
    assert len(_recovered(directory)) == 1  # told once


@pytest.mark.parametrize("zeros", [1, 4, 100, 5000, RESERVE_BYTES])
def test_zeros_behind_the_end_are_space_that_was_never_used(five, open_log, directory, wal, zeros):
    segment, _ = five
    data = segment.read_bytes()
    segment.write_bytes(data + bytes(zeros))
    assert inspect_log(directory)[1:] == ((), ())
    open_log().close()
    assert segment.read_bytes() == data
    assert _recovered(directory) == []
    assert not list(wal.glob("*.torn"))
    assert len(_request_ids(directory)) == 5
    verify_log(directory)


@pytest.mark.parametrize("behind", [1, 3])
def test_the_first_zeros_of_a_frame_say_nothing(five, open_log, directory, behind):
    segment, offsets = five
    segment.write_bytes(segment.read_bytes()[: offsets[4] + behind])
    assert inspect_log(directory)[1:] == ((), ())
    open_log().close()
    assert segment.stat().st_size == offsets[4]
    verify_log(directory)


@pytest.mark.parametrize("kept_bytes", [4, 50, 90])
def test_a_last_frame_that_reached_into_the_reserve_in_part_is_torn(five, open_log, directory, kept_bytes):
    segment, offsets = five
    data = segment.read_bytes()[: offsets[4] + kept_bytes]
    segment.write_bytes(data + bytes(5000))
    (warning,) = inspect_log(directory).warnings
    assert "torn tail" in str(warning)
    open_log().close()
    assert _recovered(directory) == [_told(data[offsets[4] :].rstrip(b"\0"))]


def test_zeros_behind_the_end_of_an_earlier_segment_say_nothing(five, open_log, directory):
    segment, _ = five
    segment.write_bytes(segment.read_bytes() + bytes(100))
    before = segment.read_bytes()
    open_log().close()
    segment.write_bytes(before)  # a power loss took the cut back
    assert inspect_log(directory)[1:] == ((), ())
    assert len(list(read_entries(directory))) == 5


@pytest.mark.parametrize("where", ["payload", "chain"])
def test_a_last_frame_that_breaks_the_chain_is_cut_by_recovery_but_is_a_problem_to_verify(
    five, open_log, directory, where
):
    segment, offsets = five
    data = bytearray(segment.read_bytes())
    data[offsets[4] + 20 if where == "payload" else offsets[5] - 1] ^= 1
    segment.write_bytes(data)
    with pytest.raises(
        AuditCorruptError, match=r"entry 5: the entry does not fit.*keeps a copy of these 1\d\d"
    ):
        verify_log(directory)
    open_log().close()
    assert _recovered(directory) == [_told(bytes(data[offsets[4] :]))]
    assert len(_request_ids(directory)) == 4
    verify_log(directory)


@pytest.mark.parametrize("frame", [0, 1, 2, 3])
@pytest.mark.parametrize("where", ["length", "payload", "chain"])
def test_a_broken_frame_in_front_of_a_whole_one_is_refused_and_left_alone(five, open_log, frame, where):
    segment, offsets = five
    data = bytearray(segment.read_bytes())
    data[
        {"length": offsets[frame] + 2, "payload": offsets[frame] + 20, "chain": offsets[frame + 1] - 1}[where]
    ] ^= 1
    segment.write_bytes(data)
    with pytest.raises(AuditCorruptError) as caught:
        open_log()
    assert (caught.value.segment, caught.value.offset, caught.value.seq) == (1, offsets[frame], frame + 1)
    assert segment.read_bytes() == data


@pytest.mark.parametrize(
    "rubbish", [b"x" * (MAX_GROUP_BYTES + 1), bytes(MAX_GROUP_BYTES + RESERVE_BYTES + 1)]
)
def test_more_than_a_write_can_leave_is_refused(five, open_log, rubbish):
    segment, _ = five
    segment.write_bytes(segment.read_bytes() + rubbish)
    with pytest.raises(AuditCorruptError):
        open_log()


def test_a_whole_entry_of_a_later_version_is_never_cut(five, open_log):
    segment, _ = five
    data = segment.read_bytes()
    payload = b"\x81\xa7version\x02"
    segment.write_bytes(data + encode_group([payload], group=6, chain=data[-32:])[0])
    with pytest.raises(AuditCorruptError, match="version"):
        open_log()


def test_a_torn_tail_of_an_earlier_segment_is_refused(five, open_log, directory):
    segment, offsets = five
    open_log().close()
    segment.write_bytes(segment.read_bytes()[: offsets[5] - 3])
    open_log().close()  # opening reads the last segment only
    with pytest.raises(AuditCorruptError, match=r"segment 00000001.*ends within an entry"):
        verify_log(directory)
    with pytest.raises(AuditCorruptError):
        list(read_entries(directory))


def test_a_missing_segment_or_a_foreign_header_is_refused(five, open_log, wal):
    open_log().close()
    open_log().close()
    aside = wal.parent / "aside.wal"
    (wal / "00000002.wal").rename(aside)
    with pytest.raises(AuditCorruptError, match="segment 00000002: the segment is missing"):
        open_log()
    shutil.copy(wal / "00000003.wal", wal / "00000002.wal")
    with pytest.raises(AuditCorruptError, match="belongs to segment 00000003"):
        open_log()
    (wal / "00000002.wal").write_bytes(b"")
    with pytest.raises(AuditCorruptError, match="0 bytes"):
        open_log()
    aside.rename(wal / "00000002.wal")
    open_log()


def test_drafts_are_no_finding_and_are_removed(five, open_log, directory, wal):
    (wal / "00000002.wal.tmp").write_bytes(b"half a header")
    (wal / "00000001.torn.tmp").write_bytes(b"half of what is cut off")
    assert inspect_log(directory).warnings == ()
    open_log()
    assert sorted(path.name for path in wal.iterdir()) == ["00000001.wal", "00000002.wal", "lock"]


def test_an_empty_boot_leaves_nothing_to_mend(open_log, directory):
    for _ in range(3):
        open_log().close()
    report = verify_log(directory)
    assert (report.entries, report.writers[0].boot, report.writers[0].segments) == (0, 3, 3)


def _torn(segment, offsets):
    """Tear the last entry off; returns what is left of it."""
    data = segment.read_bytes()[: offsets[5] - 7]
    segment.write_bytes(data)
    return data[offsets[4] :]


@pytest.mark.parametrize(
    "call", ["create.write", "create.sync", "create.sync_names", "sync", "cut", "sync_names"]
)
@pytest.mark.parametrize("fault", ["lost", "persisted"])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_recovery_that_failed_half_way_is_done_again_and_told_once(
    five, open_log, directory, wal, disk, call, fault, nth
):
    torn = _torn(*five)
    seen = []

    def decide(asked):
        seen.append(asked)
        return fault if asked == call and seen.count(call) == nth else None

    disk.decide = decide
    try:
        open_log().close()
    except AuditUnavailableError:
        disk.decide = lambda _call: None
        open_log().close()
    disk.decide = lambda _call: None
    open_log().close()
    assert (wal / "00000001.torn").read_bytes() == torn
    assert _recovered(directory) == [_told(torn)]
    assert _request_ids(directory) == ["0", "1", "2", "3"]
    verify_log(directory)


def test_what_was_cut_is_told_even_when_its_first_record_was_lost_with_the_power_again(
    five, open_log, directory, wal
):
    torn = _torn(*five)
    open_log().close()
    record = wal / "00000002.wal"
    record.write_bytes(record.read_bytes()[:-5])  # the entry that told of the first cut, torn too
    open_log().close()
    assert [detail["kept_as"] for detail in _recovered(directory)] == ["00000001.torn", "00000002.torn"]
    assert _recovered(directory)[0] == _told(torn)
    assert len(verify_log(directory).warnings) == 2


async def test_what_was_cut_is_told_once_the_disk_takes_writes_again(five, open_log, directory, disk):
    torn = _torn(*five)
    disk.calls.clear()
    disk.decide = lambda call: "lost" if call == "write" and "create.sync_names" in disk.calls else None
    log = open_log()
    while log.is_writable:
        await asyncio.sleep(0.001)
    disk.decide = lambda _call: None
    while not log.is_writable:
        await asyncio.sleep(0.001)
    log.close()
    events = [entry.event for entry in read_entries(directory)]
    assert events[4:] == ["log.recovered", "log.resumed"]
    assert _recovered(directory) == [_told(torn)]


def test_verify_names_what_was_cut_when_the_copy_was_changed_removed_or_is_told_of_nowhere(
    five, open_log, directory, wal
):
    torn = _torn(*five)
    open_log().close()
    kept = wal / "00000001.torn"
    kept.write_bytes(torn[:-1] + b"?")
    with pytest.raises(
        AuditCorruptError, match=r"entry 5: .*00000001\.torn, which should keep them, holds other bytes"
    ):
        verify_log(directory)
    kept.unlink()
    (warning,) = verify_log(directory).warnings
    assert f"{len(torn)} bytes were cut off" in str(warning)
    assert "is not there" in str(warning)
    (wal / "00000002.torn").write_bytes(b"?")
    assert "no entry tells of them" in str(verify_log(directory).warnings[1])


def test_the_durable_end_is_synced_before_a_new_segment_builds_on_it(five, open_log, disk):
    """A process that was killed may have left whole entries that were never synced."""
    disk.calls.clear()
    open_log()
    assert "sync" in disk.calls[: disk.calls.index("create.write")]
