"""The tampering table: what somebody may do to the files, and that verification names the place."""

import asyncio
import shutil

import pytest

from strongroom.audit import AuditCorruptError, inspect_log, verify_log

_ENTRIES = 12
_SEGMENT_BYTES = 128 + 4 * 118 + 50  # about four entries each


@pytest.fixture
def log(open_log, wal):
    """A log over several segments; returns its folder."""
    opened = open_log(segment_bytes=_SEGMENT_BYTES)

    async def write():
        for i in range(_ENTRIES):
            await opened.record("event", "e", request_id=f"{i:04d}")

    asyncio.run(write())
    opened.close()
    assert len(_segments(wal)) >= 3
    return wal


def _segments(folder):
    return sorted(folder.glob("*.wal"))


def _frames(path):
    data, offset, frames = path.read_bytes(), 128, []
    while offset < len(data):
        end = offset + 12 + int.from_bytes(data[offset : offset + 4], "big") + 32
        frames.append(data[offset:end])
        offset = end
    return data[:128], frames


def _write(path, header, frames):
    path.write_bytes(header + b"".join(frames))


def _flip(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)


def _edit(change):
    """Change the list of frames of the second segment."""

    def act(folder):
        path = _segments(folder)[1]
        header, frames = _frames(path)
        change(frames)
        _write(path, header, frames)

    return act


def _flip_in_frame(from_start=None, from_end=None):
    def act(folder):
        path = _segments(folder)[1]
        _, frames = _frames(path)
        start, end = 128 + len(frames[0]), 128 + len(frames[0]) + len(frames[1])
        _flip(path, start + from_start if from_start is not None else end - from_end)

    return act


def _swap(folder):
    one, two = _segments(folder)[1:3]
    one_data, two_data = one.read_bytes(), two.read_bytes()
    one.write_bytes(two_data)
    two.write_bytes(one_data)


def _truncate(folder):
    path = _segments(folder)[1]
    path.write_bytes(path.read_bytes()[:-40])


def _remove_first(folder):
    _segments(folder)[0].unlink()


def _remove_middle(folder):
    _segments(folder)[1].unlink()


def _remove_and_renumber(folder):
    paths = _segments(folder)
    shutil.copy(paths[2], paths[1])
    paths[2].unlink()


def _empty(folder):
    for path in _segments(folder):
        path.unlink()


def _copy_of_other_writer(folder):
    folder.rename(folder.with_name("other"))


TABLE = {
    "bit flip in a payload": (_flip_in_frame(from_start=30), 2, "does not fit the hash chain"),
    "bit flip in a chain value": (_flip_in_frame(from_end=5), 2, "does not fit the hash chain"),
    "bit flip in a length, small": (_flip_in_frame(from_start=3), 2, "does not fit the hash chain"),
    "bit flip in a length, huge": (_flip_in_frame(from_start=0), 2, "impossible"),
    "bit flip in a group": (_flip_in_frame(from_start=11), 2, "does not fit the hash chain"),
    "bit flip in a header": (lambda folder: _flip(_segments(folder)[1], 40), 2, "header"),
    "bit flip in the magic": (lambda folder: _flip(_segments(folder)[1], 0), 2, "does not start like"),
    "first entry deleted": (_edit(lambda frames: frames.pop(0)), 2, "does not fit the hash chain"),
    "entry deleted": (_edit(lambda frames: frames.pop(1)), 2, "does not fit the hash chain"),
    "last entry of a segment deleted": (_edit(lambda frames: frames.pop()), 3, "starts with entry"),
    "entry inserted": (_edit(lambda frames: frames.insert(1, frames[1])), 2, "does not fit the hash chain"),
    "entries reordered": (_edit(lambda frames: frames.reverse()), 2, "does not fit the hash chain"),
    "cut off in the middle of the log": (_truncate, 2, "ends within an entry"),
    "segments swapped": (_swap, 2, "belongs to segment 00000003"),
    "first segment removed": (_remove_first, 2, "segment 00000001 is missing"),
    "middle segment removed": (_remove_middle, 3, "segment 00000002 is missing"),
    "segment removed, next one renamed": (_remove_and_renumber, 2, "belongs to segment 00000003"),
    "all segments removed": (_empty, None, "no segment"),
    "folder renamed to another writer": (_copy_of_other_writer, 1, "belongs to writer main"),
}


@pytest.mark.parametrize("case", TABLE)
def test_tampering_is_detected_and_its_place_named(log, directory, case):
    tamper, segment, message = TABLE[case]
    verify_log(directory)
    tamper(log)
    with pytest.raises(AuditCorruptError, match=message) as caught:
        verify_log(directory)
    assert caught.value.writer in ("main", "other")
    assert caught.value.segment == segment


@pytest.mark.parametrize(
    "case", ["bit flip in a payload", "bit flip in a chain value", "bit flip in a length, huge"]
)
def test_the_first_bad_entry_is_named_exactly(log, directory, case):
    _, first = _frames(_segments(log)[0])
    _, second = _frames(_segments(log)[1])
    TABLE[case][0](log)
    (problem,) = inspect_log(directory).problems
    assert (problem.seq, problem.offset) == (len(first) + 2, 128 + len(second[0]))
    assert str(problem).startswith(
        f"writer main, segment 00000002, offset {problem.offset}, entry {problem.seq}: "
    )


def test_every_single_byte_of_a_segment_is_covered(log, directory):
    path = _segments(log)[1]
    original = path.read_bytes()
    for offset in range(len(original)):
        _flip(path, offset)
        with pytest.raises(AuditCorruptError):
            verify_log(directory)
        path.write_bytes(original)
    verify_log(directory)


def test_a_changed_byte_of_the_very_last_frame_is_named(log, directory, monkeypatch):
    monkeypatch.setattr("strongroom.audit._verify.SETTLE_S", 0)  # nobody writes
    path = _segments(log)[-1]
    original = path.read_bytes()
    _, frames = _frames(path)
    for offset in range(len(original) - len(frames[-1]), len(original)):
        _flip(path, offset)
        report = inspect_log(directory)
        assert report.problems + report.warnings  # a longer length looks like a torn tail
        path.write_bytes(original)


def test_a_missing_writer_is_detected_when_it_is_expected(log, directory):
    shutil.copytree(log, log.with_name("kept"))
    with pytest.raises(AuditCorruptError, match="writer api-0: the log of this writer is missing"):
        verify_log(directory, expected_writers=frozenset({"api-0", "main"}))


def test_no_log_at_all_is_an_error(tmp_path):
    with pytest.raises(AuditCorruptError, match="no audit log"):
        verify_log(tmp_path)


def test_problems_of_several_segments_are_each_listed_once(log, directory):
    for path in _segments(log)[:2]:
        _flip(path, 150)
    assert [problem.segment for problem in inspect_log(directory).problems] == [1, 2]


def test_what_does_not_belong_there_is_a_warning(log, directory):
    (log / "notes.txt").write_text("x")
    (log.parent / "NOT A WRITER").mkdir()
    assert len(verify_log(directory).warnings) == 2


def test_what_a_bare_chain_cannot_see(log, directory):
    """The end cut off between two entries leaves a shorter log that is sound: checkpoints will tell."""
    header, frames = _frames(_segments(log)[-1])
    _write(_segments(log)[-1], header, frames[:-1])
    assert verify_log(directory).entries == _ENTRIES - 1


def test_a_clock_that_went_back_is_a_warning_at_the_entry(open_log, directory):
    from unit.audit.audit_fakes import SettableClock

    clock = SettableClock()
    log = open_log(clock=clock)
    log.append("event", "before")
    clock.at -= 3600
    log.append("event", "after")
    log.close()
    (warning,) = verify_log(directory).warnings
    assert warning.seq in (2, 3)
    assert "clock went back by 3599.9" in str(warning)
