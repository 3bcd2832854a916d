"""Appending and committing on a disk that works."""

import asyncio
import stat
import threading

import pytest

from strongroom.audit import AuditLog, AuditWriterInUseError, read_entries, verify_log
from strongroom.audit._format import decode_header
from strongroom.core import AuditUnavailableError, SystemClock
from unit.audit.audit_fakes import SettableClock


async def test_what_was_recorded_is_read_back_with_every_field(open_log, directory):
    log = open_log()
    fields = {
        "principal": "user/app",
        "access_key_id": "AKIA",
        "source_address": "192.0.2.1",
        "request_id": "r-1",
        "key_id": "k-1",
        "key_version": "2",
        "outcome": "ok",
        "member": "hsm-a",
        "detail": {"context": "tenant"},
    }
    await log.record("outcome", "kms.Decrypt", **fields)
    (entry,) = read_entries(directory)
    assert {name: getattr(entry, name) for name in fields} == fields
    assert (entry.kind, entry.event, entry.writer, entry.seq, entry.boot) == (
        "outcome",
        "kms.Decrypt",
        "main",
        1,
        1,
    )
    assert entry.at == pytest.approx(1_800_000_000_000_000, abs=1_000_000)


async def test_sequence_and_chain_go_on_across_boots_and_each_boot_counts(open_log, directory):
    for boot in (1, 2, 3):
        log = open_log()
        await log.record("event", f"boot-{boot}")
        await log.record("event", f"boot-{boot}")
        log.close()
    assert [(entry.seq, entry.boot) for entry in read_entries(directory)] == [
        (1, 1),
        (2, 1),
        (3, 2),
        (4, 2),
        (5, 3),
        (6, 3),
    ]
    report = verify_log(directory)
    assert (report.entries, report.writers[0].segments, report.warnings) == (6, 3, ())


async def test_one_group_commit_serves_all_that_wait(open_log, disk):
    log = open_log()
    await log.record("event", "warm")
    before = log.stats.groups
    await asyncio.gather(*(log.record("event", "e", request_id=str(i)) for i in range(500)))
    assert log.stats.entries == 501
    assert log.stats.groups - before <= 50  # 500 syncs without groups; 1 to 3 is usual


async def test_a_group_is_never_larger_than_what_recovery_may_cut(open_log, directory, monkeypatch):
    log = open_log()
    big = "x" * 512
    fields = dict.fromkeys(
        ["principal", "request_id", "key_id", "key_version", "member", "source_address"], big
    )
    await asyncio.gather(*(log.record("event", "e", **fields) for _ in range(500)))  # 1.6 MB
    assert verify_log(directory).entries == 500


async def test_segments_rotate_and_stay_one_log(open_log, directory, wal):
    log = open_log(segment_bytes=4096)
    for i in range(100):
        await log.record("event", "e", request_id=str(i))
    log.close()
    sizes = [path.stat().st_size for path in sorted(wal.glob("*.wal"))]
    assert len(sizes) >= 3
    assert max(sizes) <= 4096
    assert [entry.request_id for entry in read_entries(directory)] == [str(i) for i in range(100)]
    verify_log(directory)


async def test_close_makes_durable_what_nobody_committed(open_log, directory):
    log = open_log()
    for _ in range(100):
        log.append("event", "e")
    log.close()
    assert len(list(read_entries(directory))) == 100
    log.close()


async def test_a_closed_log_refuses_and_says_so(open_log):
    log = open_log()
    assert log.is_writable
    log.close()
    assert log.failure == "the audit log is closed"
    with pytest.raises(AuditUnavailableError, match="closed"):
        log.append("event", "e")


async def test_folders_and_files_are_for_the_owner_only(open_log, directory, wal):
    await open_log().record("event", "e")
    assert {stat.S_IMODE(path.stat().st_mode) for path in (directory, wal.parent, wal)} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in wal.iterdir()} == {0o600}


def test_a_writer_cannot_be_opened_twice_until_it_is_closed(open_log, directory):
    log = open_log()
    with pytest.raises(AuditWriterInUseError, match="another process"):
        open_log()
    open_log("api-0")
    log.close()
    open_log()


@pytest.mark.parametrize("name", ["", "../x", "Main"])
def test_a_writer_needs_a_plain_name(directory, name):
    with pytest.raises(ValueError, match="writer name"):
        AuditLog.open(directory, name, clock=SystemClock())


def test_a_directory_that_cannot_be_made_is_unavailable(tmp_path):
    (tmp_path / "audit").write_text("a file")
    with pytest.raises(AuditUnavailableError, match="cannot be opened"):
        AuditLog.open(tmp_path / "audit", "main", clock=SystemClock())


async def test_commit_of_a_durable_entry_returns_at_once_and_of_an_unknown_ticket_is_an_error(open_log):
    log = open_log()
    ticket = log.append("event", "e")
    await log.commit(ticket)
    await log.commit(ticket)
    with pytest.raises(ValueError, match="never issued"):
        await log.commit(ticket + 1)


async def test_a_cancelled_waiter_does_not_disturb_the_others(open_log):
    log = open_log()
    tasks = [asyncio.ensure_future(log.record("event", "e")) for _ in range(10)]
    await asyncio.sleep(0)
    tasks[3].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results].count(asyncio.CancelledError) == 1
    assert results.count(None) == 9


def test_threads_and_their_event_loops_share_a_log(open_log, directory):
    log = open_log()

    async def work(name):
        for i in range(50):
            await log.record("event", name, request_id=str(i))

    threads = [threading.Thread(target=asyncio.run, args=(work(f"t{n}"),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = list(read_entries(directory))
    assert [entry.seq for entry in entries] == list(range(1, 201))
    for n in range(4):
        assert [entry.request_id for entry in entries if entry.event == f"t{n}"] == [
            str(i) for i in range(50)
        ]


@pytest.fixture
def hanging(disk):
    """Have the disk hang in its next syncs. Returns what is set once it does, and what lets it go on."""
    entered, released = threading.Event(), threading.Event()

    def hang(call):
        if call == "sync":
            entered.set()
            released.wait(60)

    disk.decide = hang
    yield entered, released
    released.set()


async def test_that_a_slow_disk_is_back_is_told_though_nobody_comes_any_more(open_log, hanging):
    clock = SettableClock(at=100.0)
    entered, released = hanging
    log = open_log(clock=clock)
    written = asyncio.ensure_future(log.record("event", "written"))
    await asyncio.to_thread(entered.wait, 5)
    clock.at += 6
    with pytest.raises(AuditUnavailableError, match="has not answered for 6 s"):
        log.append("event", "refused")
    released.set()
    await written
    async with asyncio.timeout(30):
        while log.stats.entries < 2:  # the one that was written, and the one that tells
            await asyncio.sleep(0.01)


async def test_a_disk_that_does_not_answer_is_a_failure_that_refuses_what_comes_and_keeps_what_waits(
    open_log, hanging, directory
):
    clock = SettableClock(at=100.0)
    entered, released = hanging
    log = open_log(clock=clock)
    written = asyncio.ensure_future(log.record("event", "written"))
    await asyncio.to_thread(entered.wait, 5)
    assert log.failure is None
    waiting = asyncio.ensure_future(log.record("event", "waiting"))
    await asyncio.sleep(0)
    clock.at += 6
    assert log.failure == "the disk has not answered for 6 s"
    for _ in range(3):
        with pytest.raises(AuditUnavailableError, match="has not answered for 6 s"):
            log.append("event", "refused")
    assert not written.done()
    assert not waiting.done()
    released.set()
    await asyncio.gather(written, waiting)
    assert log.is_writable
    await log.record("event", "after")
    log.close()
    entries = {entry.event: entry for entry in read_entries(directory)}
    assert list(entries) == ["written", "waiting", "log.resumed", "after"]
    assert entries["log.resumed"].detail == {"failure": "the disk has not answered for 6 s", "refused": "3"}


def test_no_segment_spans_more_than_its_hours(tmp_path):
    """Under light load too; a day on, the next entry begins a segment, and a log without entries makes none."""
    clock = SettableClock()
    log = AuditLog.open(tmp_path, "main", clock=clock, rotate_s=86_400)

    def write() -> None:
        waiting = asyncio.run(_record(log))
        assert waiting is None

    for hours in (0, 23, 2, 1, 50):
        clock.at += hours * 3600
        write()
    log.close()
    firsts = [
        decode_header(path.read_bytes()[:128]).first_seq for path in sorted(tmp_path.glob("wal/main/*.wal"))
    ]
    assert firsts == [1, 3, 5]


async def _record(log) -> None:
    await log.record("event", "e")
