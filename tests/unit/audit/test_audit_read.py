"""Reading: merged by time, followed while it is written, and never fooled by arbitrary bytes."""

import asyncio
import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strongroom.audit import AuditCorruptError, follow_entries, inspect_log, last_entries, read_entries
from strongroom.audit._cursor import SegmentReader
from strongroom.audit._format import Header, encode_group, encode_header, first_chain
from unit.audit.audit_fakes import SettableClock


@pytest.fixture
def two_writers(open_log):
    """Logs of main and api-0 whose entries 0 to 9 alternate, over several segments."""
    clock = SettableClock()
    logs = [open_log("main", clock=clock, segment_bytes=400), open_log("api-0", clock=clock)]
    for number in range(10):
        logs[number % 2].append("event", "e", request_id=str(number))
    for log in logs:
        log.close()
    return clock


def _ids(entries):
    return [entry.request_id for entry in entries]


def test_entries_of_all_writers_are_merged_by_time(two_writers, directory):
    assert _ids(read_entries(directory)) == [str(number) for number in range(10)]


@pytest.mark.parametrize("count", [0, 1, 3, 7, 10, 50])
def test_the_last_entries_are_those_of_all_writers(two_writers, directory, count):
    assert (
        _ids(last_entries(directory, count)) == [str(number) for number in range(10)][10 - min(count, 10) :]
    )


def test_following_shows_the_last_entries_and_then_new_ones_across_boots_and_new_writers(
    two_writers, open_log, directory
):
    looks = itertools.count()

    def write_more(_seconds):
        look = next(looks)
        log = open_log(["main", "api-0", "api-1", "main"][look], clock=two_writers)
        log.append("event", "e", request_id=f"new-{look}")
        log.close()

    followed = follow_entries(directory, last=2, sleep=write_more)
    assert _ids(itertools.islice(followed, 6)) == ["8", "9", "new-0", "new-1", "new-2", "new-3"]


def test_following_survives_a_writer_that_takes_back_what_its_disk_refused(open_log, directory, wal):
    clock = SettableClock()
    log = open_log(clock=clock)
    log.append("event", "e", request_id="kept")
    log.close()
    segment = wal / "00000001.wal"
    kept = segment.read_bytes()

    def frames(*ids):
        from strongroom.audit._entry import Entry, encode_entry

        common = {"version": 1, "writer": "main", "boot": 1, "kind": "event", "event": "e"}
        payloads = [
            encode_entry(Entry(**common, seq=seq, at=int(clock.now() * 1e6), request_id=name))
            for seq, name in enumerate(ids, start=2)
        ]
        return kept + encode_group(payloads, group=2, chain=kept[-32:])[0]

    contents = iter([frames("refused-1", "refused-2"), kept, frames("later-1", "later-2", "later-3")])
    followed = follow_entries(directory, sleep=lambda _seconds: segment.write_bytes(next(contents)))
    assert _ids(itertools.islice(followed, 6)) == [
        "kept",
        "refused-1",
        "refused-2",
        "later-1",
        "later-2",
        "later-3",
    ]


def test_an_entry_that_is_being_written_ends_the_reading_without_complaint(two_writers, directory):
    segment = max((directory / "wal" / "api-0").glob("*.wal"))
    segment.write_bytes(segment.read_bytes()[:-10])
    assert _ids(read_entries(directory)) == [str(number) for number in range(9)]


def test_reading_raises_at_the_first_frame_that_does_not_fit(two_writers, directory):
    segment = max((directory / "wal" / "api-0").glob("*.wal"))
    data = bytearray(segment.read_bytes())
    data[-1] ^= 1
    segment.write_bytes(data)
    read = []
    with pytest.raises(AuditCorruptError, match="writer api-0, segment 00000001"):
        read.extend(read_entries(directory))
    with pytest.raises(AuditCorruptError):
        last_entries(directory, 3)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    body=st.binary(max_size=300)
    | st.builds(lambda n, rest: n.to_bytes(4, "big") + rest, st.integers(0, 300), st.binary(max_size=400))
    | st.builds(
        lambda payload, group: encode_group([payload], group=group, chain=first_chain("main"))[0],
        st.binary(min_size=1, max_size=100),
        st.integers(0, 2),
    ),
    with_header=st.booleans(),
)
def test_arbitrary_bytes_are_read_or_corrupt(tmp_path, body, with_header):
    folder = tmp_path / "wal" / "main"
    folder.mkdir(parents=True, exist_ok=True)
    header = encode_header(Header(1, 1, 1, first_chain("main"), "main")) if with_header else b""
    (folder / "00000001.wal").write_bytes(header + body)
    try:
        assert list(read_entries(tmp_path)) == []
    except AuditCorruptError:
        assert inspect_log(tmp_path).problems
    else:
        assert not inspect_log(tmp_path).problems


@pytest.mark.parametrize("overtaken_at", [{1}, {2}, {1, 2}, {1, 2, 3, 4}])
def test_verification_takes_nothing_that_comes_while_it_looks_for_an_unfinished_entry(
    open_log, directory, monkeypatch, overtaken_at
):
    """The writer appends whenever a look at the end, the first, the second and so on, has just found nothing new."""
    log, looks = open_log(), itertools.count(1)
    read_one = SegmentReader._next
    asyncio.run(log.record("event", "e"))

    def read_and_be_overtaken(reader):
        found = read_one(reader)
        if found is None and next(looks) in overtaken_at:
            asyncio.run(log.record("event", "e"))
        return found

    monkeypatch.setattr(SegmentReader, "_next", read_and_be_overtaken)
    report = inspect_log(directory)
    assert (report.problems, report.warnings) == ((), ())
    assert report.entries >= 1


def test_verification_waits_for_an_entry_that_is_half_written(open_log, directory, wal, monkeypatch):
    log = open_log()
    asyncio.run(log.record("event", "e"))
    log.close()
    segment = wal / "00000001.wal"
    data = segment.read_bytes()
    segment.write_bytes(data[:-20])
    monkeypatch.setattr("strongroom.audit._verify.time.sleep", lambda _seconds: segment.write_bytes(data))
    report = inspect_log(directory)
    assert (report.problems, report.warnings, report.entries) == ((), (), 1)


def test_a_log_of_16_callers_at_work_is_sound_however_often_it_is_verified(directory, tmp_path):
    command = [sys.executable, str(Path(__file__).with_name("crash_writer.py")), str(directory), "run", "16"]
    reports, give_up_at = [], time.monotonic() + 100
    with (
        (tmp_path / "committed").open("wb") as committed,
        subprocess.Popen(command, stdout=committed) as writer,
    ):
        try:
            while not os.fstat(committed.fileno()).st_size:
                time.sleep(0.01)
                assert time.monotonic() < give_up_at
            while len(reports) < 12 or reports[-1].entries < reports[0].entries + 500:
                reports.append(inspect_log(directory))
                assert time.monotonic() < give_up_at
        finally:
            writer.kill()
    assert [report.problems + report.warnings for report in reports] == [()] * len(reports)
