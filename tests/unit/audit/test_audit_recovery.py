"""Opening a log after a crash: what is cut, what is refused."""

import asyncio
import shutil

import pytest

from strongroom.audit import AuditCorruptError, inspect_log, read_entries, verify_log


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


@pytest.mark.parametrize("kept_bytes", [1, 3, 4, 5, 50, -33, -32, -1])
def test_an_incomplete_last_frame_is_cut_and_recorded(five, open_log, directory, kept_bytes):
    segment, offsets = five
    keep = offsets[4] + kept_bytes if kept_bytes > 0 else offsets[5] + kept_bytes
    segment.write_bytes(segment.read_bytes()[:keep])
    (warning,) = inspect_log(directory).warnings
    assert (warning.segment, warning.offset, warning.seq) == (1, offsets[4], 5)
    assert "torn tail" in str(warning)
    verify_log(directory)  # a crash is no tampering
    open_log().close()
    assert _recovered(directory) == [{"cut_bytes": str(keep - offsets[4])}]
    assert _request_ids(directory) == ["0", "1", "2", "3"]
    assert verify_log(directory).warnings == ()


@pytest.mark.parametrize("zeros", [1, 4, 100, 5000])
def test_zeros_behind_the_end_are_cut(five, open_log, directory, zeros):
    segment, _ = five
    segment.write_bytes(segment.read_bytes() + bytes(zeros))
    open_log().close()
    assert _recovered(directory) == [{"cut_bytes": str(zeros)}]
    assert len(_request_ids(directory)) == 5
    verify_log(directory)


@pytest.mark.parametrize("where", ["payload", "chain"])
def test_a_last_frame_that_breaks_the_chain_is_cut_by_recovery_but_is_a_problem_to_verify(
    five, open_log, directory, where
):
    segment, offsets = five
    data = bytearray(segment.read_bytes())
    data[offsets[4] + 20 if where == "payload" else offsets[5] - 1] ^= 1
    segment.write_bytes(data)
    with pytest.raises(AuditCorruptError, match="entry 5: the entry does not fit the hash chain"):
        verify_log(directory)
    open_log().close()
    assert len(_recovered(directory)) == 1
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


def test_more_than_one_group_of_rubbish_is_refused(five, open_log):
    segment, _ = five
    segment.write_bytes(segment.read_bytes() + bytes(1024 * 1024 + 1))
    with pytest.raises(AuditCorruptError):
        open_log()


def test_a_whole_entry_of_a_later_version_is_never_cut(five, open_log):
    from strongroom.audit._format import encode_frame, next_chain

    segment, _ = five
    data = segment.read_bytes()
    payload = b"\x81\xa7version\x02"
    segment.write_bytes(data + encode_frame(payload, next_chain(data[-32:], payload)))
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


def test_drafts_of_segments_are_removed(five, open_log, wal):
    (wal / "00000002.tmp").write_bytes(b"half a header")
    open_log()
    assert sorted(path.name for path in wal.iterdir()) == ["00000001.wal", "00000002.wal", "lock"]


def test_an_empty_boot_leaves_nothing_to_mend(open_log, directory):
    for _ in range(3):
        open_log().close()
    report = verify_log(directory)
    assert (report.entries, report.writers[0].boot, report.writers[0].segments) == (0, 3, 3)
