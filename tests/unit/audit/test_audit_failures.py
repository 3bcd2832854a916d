"""Disks that fail: no entry is durable by mistake, none is lost by mistake, and the log heals by itself."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strongroom.audit import AuditLog, read_entries, verify_log
from strongroom.audit._files import WalFile, WalFolder
from strongroom.core import AuditUnavailableError
from unit.audit.audit_fakes import FlakyDisk, SettableClock


async def _healed(log):
    for _ in range(500):
        if log.is_writable:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"still failing: {log.failure}")


def _ids(directory):
    return [entry.request_id for entry in read_entries(directory) if not entry.event.startswith("log.")]


async def _try(log, request_id):
    try:
        await log.record("event", "e", request_id=request_id)
    except AuditUnavailableError:
        return False
    return True


@pytest.mark.parametrize("call", ["write", "sync"])
@pytest.mark.parametrize("fault", ["lost", "persisted", "half"])
async def test_a_failed_group_is_not_in_the_log_and_all_its_waiters_hear_it(
    open_log, directory, disk, call, fault
):
    log = open_log()
    assert await _try(log, "before")
    disk.decide = lambda seen: fault if seen == call else None
    assert await asyncio.gather(*(_try(log, f"lost-{i}") for i in range(20))) == [False] * 20
    assert log.failure == os.strerror(5)
    disk.decide = lambda _call: None
    await _healed(log)
    assert await _try(log, "after")
    log.close()
    assert _ids(directory) == ["before", "after"]
    report = verify_log(directory)  # so there are no gaps either
    assert report.warnings == ()
    (resumed,) = [entry for entry in read_entries(directory) if entry.event == "log.resumed"]
    assert resumed.detail == {"failure": os.strerror(5), "refused": str(log.stats.refused)}


async def test_a_failed_log_refuses_at_once_and_counts(open_log, disk):
    log = open_log(retry_after_s=60)
    disk.decide = lambda _call: "lost"
    assert not await _try(log, "a")
    calls = len(disk.calls)
    started = time.perf_counter()
    for _ in range(100):
        with pytest.raises(AuditUnavailableError, match="cannot be written"):
            log.append("event", "e")
    assert time.perf_counter() - started < 30  # and not when the disk is tried again
    assert len(disk.calls) == calls
    assert log.stats.refused == 100


async def test_a_ticket_of_a_failed_group_never_takes_the_success_of_a_later_entry(open_log, disk):
    log = open_log()
    disk.decide = lambda _call: "lost"
    lost = log.append("event", "lost")
    while log.is_writable:
        await asyncio.sleep(0.001)
    disk.decide = lambda _call: None
    await _healed(log)
    kept = log.append("event", "kept")  # has the sequence number that the lost one had, or the next
    await log.commit(kept)
    with pytest.raises(AuditUnavailableError):
        await log.commit(lost)
    assert kept > lost


async def test_after_a_failed_sync_nothing_more_goes_into_that_file(open_log, disk, wal):
    log = open_log()
    assert await _try(log, "a")
    before = (wal / "00000001.wal").read_bytes().rstrip(b"\0")
    disk.decide = lambda call: "lost" if call == "sync" else None
    assert not await _try(log, "b")
    disk.decide = lambda _call: None
    await _healed(log)
    assert await _try(log, "c")
    assert (wal / "00000001.wal").read_bytes().rstrip(b"\0") == before
    assert (wal / "00000002.wal").stat().st_size > 128


@pytest.mark.parametrize("fault", ["lost", "persisted", "half"])
async def test_an_entry_is_refused_where_no_room_can_be_kept_behind_it(open_log, disk, directory, fault):
    log = open_log()
    disk.decide = lambda call: fault if call == "reserve" else None
    assert not await _try(log, "lost")
    assert log.failure == os.strerror(5)
    disk.decide = lambda _call: None
    await _healed(log)
    assert await _try(log, "kept")
    log.close()
    assert _ids(directory) == ["kept"]
    verify_log(directory)


async def test_while_there_is_room_behind_the_end_no_entry_makes_the_file_longer(open_log, wal):
    log = open_log()
    assert await _try(log, "a")
    size = (wal / "00000001.wal").stat().st_size
    assert all([await _try(log, "b") for _ in range(50)])
    assert (wal / "00000001.wal").stat().st_size == size


@pytest.mark.parametrize("call", ["create.write", "create.sync", "create.sync_names"])
@pytest.mark.parametrize("fault", ["lost", "persisted"])
async def test_a_rotation_that_failed_is_done_before_anything_else_is_written(
    open_log, directory, disk, call, fault
):
    log = open_log(segment_bytes=700)
    assert await _try(log, "small")
    disk.decide = lambda seen: fault if seen == call else None
    with pytest.raises(AuditUnavailableError):
        await log.record("event", "e", principal="x" * 500)  # does not fit into the segment any more
    disk.decide = lambda _call: None
    await _healed(log)  # the entry about it would fit into the old segment
    assert await _try(log, "after")
    log.close()
    assert _ids(directory) == ["small", "after"]
    assert verify_log(directory).writers[0].segments == 2


async def test_close_while_the_disk_fails_tells_the_waiters(open_log, disk, directory):
    log = open_log(retry_after_s=60)
    assert await _try(log, "kept")
    disk.decide = lambda _call: "half"
    assert not await _try(log, "lost")
    log.close()
    assert not log.is_writable
    disk.decide = lambda _call: None
    open_log().close()
    assert _ids(directory) == ["kept"]
    verify_log(directory)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_fails_the_log_holds_exactly_what_was_committed(data, tmp_path_factory):
    """Random groups, faults and reopenings.

    Only where the log was closed while its disk still failed may the last refused group have stayed: nobody
    could cut it off. An entry too many claims nothing that a caller was told to be otherwise.
    """
    directory = tmp_path_factory.mktemp("flaky")
    disk, clock = FlakyDisk(), SettableClock()
    committed, may_have_stayed = [], set()
    faults = st.lists(st.sampled_from([None, None, "lost", "persisted", "half"]), max_size=6)

    def opened():
        options = {"clock": clock, "segment_bytes": 2000, "retry_after_s": 0.001}
        return AuditLog.open(directory, "main", open_folder=disk.open_folder, **options)

    async def one_round(log, number):
        plan, refused = data.draw(faults), []
        disk.decide = lambda _call: plan.pop() if plan else None
        for group in range(data.draw(st.integers(1, 3))):
            ids = [f"{number}.{group}.{i}" for i in range(data.draw(st.integers(1, 5)))]
            outcomes = await asyncio.gather(*(_try(log, request_id) for request_id in ids))
            for request_id, is_committed in zip(ids, outcomes, strict=True):
                (committed if is_committed else refused).append(request_id)
        return refused

    async def run():
        log = opened()
        for number in range(data.draw(st.integers(1, 4))):
            refused = await one_round(log, number)
            if data.draw(st.booleans()):
                log.close()
                may_have_stayed.update(refused)
                disk.decide = lambda _call: None
                log = opened()
            disk.decide = lambda _call: None
            await _healed(log)
        log.close()

    asyncio.run(run())
    present = _ids(directory)
    assert [request_id for request_id in present if request_id not in may_have_stayed] == committed
    verify_log(directory)


class _FullFile(WalFile):
    """Writes to /dev/full, and so gets the system's own ENOSPC, while ``is_full``."""

    is_full = False

    def write_at(self, offset, data):
        if not self.is_full:
            super().write_at(offset, data)
            return
        fd = os.open("/dev/full", os.O_WRONLY)
        try:
            os.pwrite(fd, data, offset)
        finally:
            os.close(fd)


class _FullFolder(WalFolder):
    def _open_file(self, path, flags):
        return _FullFile(os.open(path, flags, 0o600))


async def test_a_full_device_refuses_and_heals(open_log, directory, monkeypatch):
    log = open_log(open_folder=_FullFolder)
    assert await _try(log, "before")
    monkeypatch.setattr(_FullFile, "is_full", True)
    assert not await _try(log, "lost")
    assert log.failure == "No space left on device"
    monkeypatch.setattr(_FullFile, "is_full", False)
    await _healed(log)
    assert await _try(log, "after")
    assert _ids(directory) == ["before", "after"]


_LIMITED = Path(__file__).with_name("limited_writer.py")


def test_a_file_size_limit_of_the_system_refuses_and_heals(tmp_path):
    """RLIMIT_FSIZE makes the kernel cut a write short and then refuse it: a real partial write and a real error."""
    done = subprocess.run(
        [sys.executable, str(_LIMITED), str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    committed = done.stdout.split()
    assert committed[-1] == "after-lifting"
    assert 1 < len(committed) < 100
    assert _ids(tmp_path) == committed
    assert verify_log(tmp_path).warnings == ()
    (resumed,) = [entry for entry in read_entries(tmp_path) if entry.event == "log.resumed"]
    assert resumed.detail["failure"] == "File too large"
