"""A full disk: what must be audited is refused, and the refusals are in the log while the disk is still full."""

import asyncio
import contextlib
import errno
import itertools
import json
import os
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.audit import AuditLog, read_entries, verify_log
from strongroom.audit._cursor import RESERVE_BYTES
from strongroom.audit._files import WalFile, WalFolder
from strongroom.audit._refusing import Refusing
from strongroom.audit._segments import KEPT_BYTES
from strongroom.core import AuditUnavailableError, SystemClock
from strongroom.testing import FakeClock


class SmallDisk:
    """Files below one folder that have ``room`` bytes together: overwriting needs none, growing does."""

    def __init__(self, root, room):
        self.root, self.room = root, room
        self.after_call = lambda: None

    def used(self):
        return sum(path.stat().st_size for path in self.root.rglob("*") if path.is_file())

    def open_folder(self, path):
        return SmallFolder(path, self)


class SmallFile(WalFile):
    def __init__(self, fd, disk):
        super().__init__(fd)
        self._small = disk

    def write_at(self, offset, data):
        grows = offset + len(data) - os.fstat(self._fd).st_size
        free = max(self._small.room - self._small.used(), 0)
        if grows <= free:
            super().write_at(offset, data)
            self._small.after_call()
            return
        if kept := data[: max(len(data) - grows + free, 0)]:
            super().write_at(offset, kept)
        self._small.after_call()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def sync(self):
        super().sync()
        self._small.after_call()

    def cut(self, length):
        super().cut(length)
        self._small.after_call()


class SmallFolder(WalFolder):
    def __init__(self, path, disk):
        super().__init__(path)
        self._small = disk

    def _open_file(self, path, flags):
        return SmallFile(os.open(path, flags, 0o600), self._small)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def opened(tmp_path, clock):
    with contextlib.ExitStack() as stack:

        def open_log(disk, **options):
            options = {"clock": clock, "retry_after_s": 0.02, "open_folder": disk.open_folder, **options}
            log = AuditLog.open(tmp_path, "api-0", **options)
            stack.callback(log.close)
            return log

        yield open_log


async def fill(log, prefix="kept"):
    """Write entries until one is refused; returns the ids of those that were durable."""
    ids = []
    while True:
        request_id = f"{prefix}-{len(ids)}"
        try:
            await log.record("outcome", "kms.Encrypt", request_id=request_id, principal="x" * 400)
        except AuditUnavailableError:
            return ids
        ids.append(request_id)


def refuse(log, event, count):
    for _ in range(count):
        with pytest.raises(AuditUnavailableError):
            log.append("outcome", event)


async def refusing(log, folder, count):
    """Return what the log says of its refusals, once it says so much and knows that it did."""
    for _ in range(3_000):
        entries = list(read_entries(folder))
        told = [entry for entry in entries if entry.event == "log.refusing"]
        if len(told) >= count and len(entries) == log.stats.entries:
            return told
        await asyncio.sleep(0.01)
    raise AssertionError(f"{len(told)} entries")


async def writable(log):
    for _ in range(1_000):
        if log.is_writable:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(log.failure)


def ids_in(folder):
    return [entry.request_id for entry in read_entries(folder) if not entry.event.startswith("log.")]


@pytest.mark.parametrize("segment_bytes", [2_000, 20_000, 1 << 26])
async def test_refusals_are_in_the_log_while_the_disk_is_still_full(opened, tmp_path, clock, segment_bytes):
    disk = SmallDisk(tmp_path, room=KEPT_BYTES + 50_000)
    log = opened(disk, segment_bytes=segment_bytes)
    kept = await fill(log)
    (first,) = await refusing(log, tmp_path, 1)
    assert (first.kind, first.detail["failure"]) == ("event", os.strerror(errno.ENOSPC))
    assert json.loads(first.detail["events"]) == {"kms.Encrypt": 1}
    assert int(first.detail["since"]) == int(clock.now() * 1_000_000)
    refuse(log, "kms.Decrypt", 30)
    refuse(log, "kms.Sign", 3)
    clock.advance(6)
    second = (await refusing(log, tmp_path, 2))[1]
    assert json.loads(second.detail["events"]) == {"kms.Decrypt": 30, "kms.Sign": 3, "kms.Encrypt": 1}
    assert second.detail["refused"] == "34"
    assert not log.is_writable
    assert verify_log(tmp_path).warnings == ()
    disk.room += 1_000_000
    await writable(log)
    await log.record("outcome", "kms.Encrypt", request_id="after")
    log.close()
    assert ids_in(tmp_path) == [*kept, "after"]
    assert [entry.event for entry in read_entries(tmp_path)][-2] == "log.resumed"
    verify_log(tmp_path)


def test_nothing_is_told_twice_and_ever_more_rarely():
    refusing, now, at = Refusing(), 0.0, []
    while now < 86_400:
        if refusing.is_due(now, is_last=False):
            refusing.told(now)
            at.append(now)
        elif now < 43_200:  # in the second half of the day nothing is refused
            refusing.events["kms.Sign"] += 1
        now += 1.0
    pauses = [after - before for before, after in itertools.pairwise(at)]
    assert pauses == [min(5.0 * 2**n, 3_600.0) for n in range(len(at) - 1)]
    assert 43_200 <= at[-1] < 43_200 + 3_600
    assert not refusing.is_due(now, is_last=True)


async def test_a_log_that_is_closed_on_a_full_disk_says_what_it_refused(opened, tmp_path, clock):
    log = opened(SmallDisk(tmp_path, room=KEPT_BYTES + 20_000))
    await fill(log)
    await refusing(log, tmp_path, 1)
    refuse(log, "kms.Sign", 7)
    log.close()
    last = list(read_entries(tmp_path))[-1]
    assert (last.event, json.loads(last.detail["events"])["kms.Sign"]) == ("log.refusing", 7)
    verify_log(tmp_path)


async def test_a_flood_of_refusals_fits_into_the_room_that_is_kept(opened, tmp_path, clock):
    """For three days of refusals every second; nothing else grows meanwhile."""
    disk = SmallDisk(tmp_path, room=KEPT_BYTES + 20_000)
    log = opened(disk, retry_after_s=0.001)
    await fill(log)
    await refusing(log, tmp_path, 1)
    used = disk.used()
    for n_told in range(2, 40):
        refuse(log, "kms.Decrypt", 10)
        clock.advance(3_601)
        await refusing(log, tmp_path, n_told)
    assert disk.used() == used
    verify_log(tmp_path)


async def test_a_crash_at_any_moment_of_a_full_disk_leaves_a_log_that_opens(opened, tmp_path, clock):
    disk = SmallDisk(tmp_path, room=KEPT_BYTES + 20_000)
    log = opened(disk, segment_bytes=8_000)
    kept = await fill(log)
    await refusing(log, tmp_path, 1)
    copies = tmp_path.with_name("copies")
    copies.mkdir()

    def keep_a_copy():
        if len(list(copies.iterdir())) < 60:
            shutil.copytree(tmp_path / "wal", copies / f"{len(list(copies.iterdir())):02}" / "wal")

    disk.after_call = keep_a_copy
    refuse(log, "kms.Sign", 5)
    clock.advance(60)
    await refusing(log, tmp_path, 2)
    disk.room += 1_000_000
    await writable(log)
    log.close()
    disk.after_call = lambda: None
    found = sorted(copies.iterdir())
    assert len(found) > 4
    for copy in found:
        AuditLog.open(copy, "api-0", clock=clock).close()
        verify_log(copy)
        assert ids_in(copy) == kept


async def test_behind_a_cut_the_first_entry_is_the_one_that_tells_of_it(opened, tmp_path, clock):
    """Were it another one, and the process killed then, nothing would ever tell of the cut."""
    whole = opened(SmallDisk(tmp_path, room=1_000_000))
    await whole.record("event", "service.started")
    whole.close()
    segment = tmp_path / "wal" / "api-0" / "00000001.wal"
    segment.write_bytes(segment.read_bytes() + b"\0\0\0\x20 half of an entry")
    disk = SmallDisk(tmp_path, room=0)
    disk.room = disk.used() + KEPT_BYTES + 300  # for the copy of what is cut and a new segment, and no entry
    log = opened(disk)
    for _ in range(1_000):
        if not log.is_writable:
            break
        with contextlib.suppress(AuditUnavailableError):
            log.append("event", "service.started")
        await asyncio.sleep(0.01)
    refuse(log, "kms.Sign", 3)
    clock.advance(60)
    await asyncio.sleep(0.2)
    assert [entry.event for entry in read_entries(tmp_path)] == ["service.started"]
    disk.room += 1_000_000
    await writable(log)
    assert [entry.event for entry in read_entries(tmp_path)][1] == "log.recovered"
    log.close()
    verify_log(tmp_path)


@settings(max_examples=8, deadline=None)
@given(
    room=st.integers(0, 60_000),
    segment_bytes=st.sampled_from([1_500, 9_000, 1 << 26]),
    more=st.lists(st.integers(0, 30_000), max_size=3),
)
def test_whatever_room_there_is_the_log_holds_what_was_committed(tmp_path_factory, room, segment_bytes, more):
    folder, clock = tmp_path_factory.mktemp("small"), FakeClock()
    disk = SmallDisk(folder, room=2 * KEPT_BYTES + room)

    async def run():
        options = {"clock": clock, "retry_after_s": 0.001, "open_folder": disk.open_folder}
        log = AuditLog.open(folder, "api-0", segment_bytes=segment_bytes, **options)
        kept = []
        try:
            for number, added in enumerate([*more, 0]):
                kept += await fill(log, prefix=str(number))
                disk.room += added
                verify_log(folder)
            disk.room += 10_000_000
            await writable(log)
        finally:
            log.close()
        return kept

    assert asyncio.run(run()) == ids_in(folder)
    verify_log(folder)


@pytest.fixture
def tmpfs(tmp_path):
    folder = tmp_path / "full"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("file systems can be mounted by root alone")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
async def test_refusals_are_in_the_log_of_a_file_system_that_is_full(tmpfs):
    log = AuditLog.open(tmpfs, "api-0", clock=SystemClock(), retry_after_s=0.05)
    try:
        await log.record("outcome", "kms.Encrypt")
        filler = tmpfs / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4_096))
        kept = await fill(log)
        await refusing(log, tmpfs, 1)
        refuse(log, "kms.Sign", 9)
        assert os.statvfs(tmpfs).f_bavail == 0
        verify_log(tmpfs)
        told = await refusing(log, tmpfs, 2)  # after five seconds
        assert json.loads(told[1].detail["events"]) == {"kms.Encrypt": 1, "kms.Sign": 9}
        filler.unlink()
        await writable(log)
    finally:
        log.close()
    assert ids_in(tmpfs) == ["", *kept]
    verify_log(tmpfs)


def test_the_room_that_is_kept_is_part_of_what_is_written_ahead():
    assert KEPT_BYTES < RESERVE_BYTES
