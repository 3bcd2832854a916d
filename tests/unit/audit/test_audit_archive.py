"""Archived segments: the same bytes, readable by everything, never lost on the way, bounded against bombs."""

import contextlib
import errno
import lzma
import random
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.audit import (
    AuditCorruptError,
    AuditLog,
    LogFollower,
    TreeLog,
    TreeLookup,
    chain_after,
    inspect_log,
    last_entries,
    read_entries,
    verify_log,
    verify_tree,
)
from strongroom.audit._archive import Archiver
from strongroom.audit._archive_disk import ArchiveDisk
from strongroom.audit._archive_file import BLOCK_BYTES, ArchivedSegment, open_archived, pack
from strongroom.audit._files import list_hot_segments
from unit.audit.archive_disks import FailingArchiveDisk, PowerArchiveDisk
from unit.audit.audit_fakes import SettableClock
from unit.audit.signed_logs import COSIGNER_KEY, KEY, ORIGIN, make_signed_log, sign, write_entries

KEYS = (KEY, COSIGNER_KEY)
LATER = 1_900_000_000_000_000
"""After every entry of these logs, in microseconds."""
ROUNDS = ((2, 3), (4, 2), (1, 40), (2, 1))


def archive(directory, **options):
    return Archiver(directory, **options).run(before_us=LATER, needed=None)


def segments_of(directory):
    return {path.relative_to(directory): path.read_bytes() for path in directory.glob("wal/*/*.wal")}


def entries_of(directory):
    return [(entry.writer, entry.seq, entry.at) for entry in read_entries(directory)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A log that no test changes: each takes a copy."""
    directory = tmp_path_factory.mktemp("made") / "audit"
    make_signed_log(directory, ROUNDS)
    return directory


@pytest.fixture
def log(made, directory):
    return shutil.copytree(made, directory)


def test_an_archived_segment_is_the_same_bytes_by_stock_tools(log):
    before = segments_of(log)
    archived = archive(log)
    assert not archived.failed
    assert {(path.parent.name, int(path.stem)) for path in before} - set(archived.moved) == {
        ("main", 4),
        ("api-0", 4),
    }
    for writer, number in archived.moved:
        path = log / "archive" / writer / f"{number:08d}.wal.xz"
        data = lzma.decompress(path.read_bytes())
        assert data == before[(log / "wal" / writer / f"{number:08d}.wal").relative_to(log)]
        if shutil.which("xz"):
            assert subprocess.run(["xz", "-dc", path], capture_output=True, check=True).stdout == data
        assert not (log / "wal" / writer / f"{number:08d}.wal").exists()


def test_everything_reads_archived_segments(log):
    entries, tail = entries_of(log), last_entries(log, 50)
    report, tree = verify_log(log), verify_tree(log, KEYS)
    chain = chain_after(log, "main", 5)
    proof = TreeLookup(log).prove("api-0", 2).encode()
    archive(log)
    assert entries_of(log) == entries
    assert last_entries(log, 50) == tail
    assert verify_log(log) == report
    assert verify_tree(log, KEYS) == tree
    assert chain_after(log, "main", 5) == chain
    assert TreeLookup(log).prove("api-0", 2).encode() == proof
    followed = LogFollower(log, {}).read(most=1000, most_bytes=1 << 20)
    assert len(followed.entries) == len(entries)
    assert not followed.gaps


def test_a_writer_goes_on_behind_an_archived_beginning(log):
    archive(log)
    opened = AuditLog.open(log, "main", clock=SettableClock())
    opened.append("event", "again")
    opened.close()
    assert verify_log(log).writers[1].segments == 5


def test_a_writer_whose_newest_segments_are_gone_does_not_begin_anew(log):
    archive(log)
    (log / "wal" / "main" / "00000004.wal").unlink()
    with pytest.raises(AuditCorruptError, match="what follows them is not there"):
        AuditLog.open(log, "main", clock=SettableClock())


def test_a_segment_without_entries_goes_with_what_follows_it(directory):
    for at in (0, 1, 0, 2, 0, 0, 0):
        write_entries(directory, "main", at, at=1_700_000_000_000_000)
    log = TreeLog(directory, ORIGIN)
    log.gather(is_last=True)
    sign(log)
    log.close()
    assert [number for _, number in archive(directory).moved] == [1, 2, 3, 4]
    verify_log(directory)


def test_a_writer_misses_a_segment_that_is_neither_hot_nor_archived(log):
    archive(log)
    (log / "archive" / "main" / "00000003.wal.xz").unlink()
    with pytest.raises(AuditCorruptError, match="missing"):
        AuditLog.open(log, "main", clock=SettableClock())
    assert any("missing" in str(problem) for problem in inspect_log(log).problems)


@pytest.mark.parametrize("is_mount_point_there", [False, True])
def test_an_archive_on_a_volume_that_is_away_stops_no_writer(log, tmp_path, is_mount_point_there):
    archive(log)
    if is_mount_point_there:
        (tmp_path / "elsewhere").mkdir()
    (log / "archive").rename(tmp_path / "away")
    (log / "archive").symlink_to(tmp_path / "elsewhere")
    AuditLog.open(log, "main", clock=SettableClock()).close()
    assert inspect_log(log).problems
    (log / "archive").unlink()
    (log / "archive").symlink_to(tmp_path / "away")
    verify_log(log)


def test_only_what_may_go_is_archived(log):
    archiver = Archiver(log)
    assert not archiver.run(before_us=1_700_000_000_000_001, needed=None).moved  # too young
    assert not archiver.run(before_us=LATER, needed={}).moved  # sinks have read nothing
    assert archiver.run(before_us=LATER, needed={"main": 3}).moved == (("main", 1), ("main", 2))
    for path in (log / "checkpoints").glob("*.checkpoints"):
        path.unlink()
    assert not archiver.run(before_us=LATER, needed=None).moved  # no checkpoint covers them


def test_what_does_not_fit_its_chain_is_not_archived(log):
    path = log / "wal" / "main" / "00000001.wal"
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    archived = archive(log)
    assert set(archived.failed) == {"main"}
    assert {writer for writer, _ in archived.moved} == {"api-0"}
    assert path.read_bytes() == bytes(data)


def test_torn_copies_go_along(log):
    torn = log / "wal" / "main" / "00000001.torn"
    torn.write_bytes(b"what was cut off")
    before = inspect_log(log).warnings
    archive(log)
    assert not torn.exists()
    assert (log / "archive" / "main" / "00000001.torn").read_bytes() == b"what was cut off"
    assert inspect_log(log).warnings == before


@pytest.mark.parametrize("is_done_first", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_failure_at_any_step_loses_nothing_and_is_made_up_for(tmp_path, is_done_first):
    make_signed_log(tmp_path / "all", ((2, 1), (1, 1)))
    (tmp_path / "all" / "wal" / "main" / "00000001.torn").write_bytes(b"cut")
    entries, number = entries_of(tmp_path / "all"), 0
    while True:
        number += 1
        directory = tmp_path / f"at-{number}"
        shutil.copytree(tmp_path / "all", directory)
        disk = FailingArchiveDisk()
        disk.fails_at, disk.is_done_first = number, is_done_first
        try:
            archive(directory, disk=disk)
        except OSError:
            assert entries_of(directory) == entries
            verify_log(directory)
        assert not archive(directory).failed
        assert entries_of(directory) == entries
        assert list_hot_segments(directory / "wal" / "main") == [2]
        assert not list(directory.rglob("*.tmp"))
        if disk.n_calls < number:
            break
    assert number > 10


def test_a_disk_that_is_full_keeps_no_draft(log):
    class FullDisk(ArchiveDisk):
        def write(self, path, offset, data):
            super().write(path, offset, data[: len(data) // 2])
            if data:
                raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        archive(log, disk=FullDisk())
    assert not list(log.rglob("*.tmp"))
    verify_log(log)


@pytest.mark.parametrize("seed", range(5))
def test_a_power_loss_at_any_step_loses_nothing(log, tmp_path, seed):
    entries, chance = entries_of(log), random.Random(seed)
    disk = PowerArchiveDisk(chance, log, tmp_path / "aside")
    failing = chance.randrange(1, 90)

    def pull(self=disk):
        nonlocal failing
        failing -= 1
        if not failing:
            raise OSError("power")

    for name in ("write", "rename", "sync", "remove"):
        act = getattr(disk, name)
        setattr(disk, name, lambda *args, act=act: (pull(), act(*args))[1])
    with contextlib.suppress(OSError):
        archive(log, disk=disk)
    disk.cut_power(log)
    assert entries_of(log) == entries
    assert not archive(log).failed
    assert entries_of(log) == entries
    verify_tree(log, KEYS)


def test_a_damaged_archive_is_named(log):
    archive(log)
    path = log / "archive" / "main" / "00000003.wal.xz"
    good = path.read_bytes()
    for data in (good[:-1], good[: len(good) // 2], b"", good + good, bytes([good[0] ^ 1]) + good[1:]):
        path.write_bytes(data)
        assert any(problem.writer == "main" and problem.segment == 3 for problem in inspect_log(log).problems)
    for place in range(0, len(good), 37):
        path.write_bytes(good[:place] + bytes([good[place] ^ 4]) + good[place + 1 :])
        assert inspect_log(log).problems


def test_a_bomb_is_refused_without_being_unpacked(tmp_path):
    bombs = {
        "one block of 4 MiB": lzma.compress(bytes(4 << 20), preset=0),
        "a thousand blocks": lzma.compress(bytes(BLOCK_BYTES), preset=0) * 1000,
        "two small blocks": lzma.compress(b"a") * 2,
    }
    for name, data in bombs.items():
        path = tmp_path / "bomb"
        path.write_bytes(data)
        with pytest.raises(AuditCorruptError, match=r"larger|other sizes"):
            ArchivedSegment(path, writer="main", segment=1)
        assert name


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_are_taken_for_an_archive(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("bytes") / "some"
    path.write_bytes(data)
    with pytest.raises(AuditCorruptError):
        ArchivedSegment(path, writer="main", segment=1).pread(10, 0)


def test_any_place_of_an_archive_reads_as_in_the_segment(tmp_path):
    chance = random.Random(5)
    data = chance.randbytes(BLOCK_BYTES) + bytes(BLOCK_BYTES) + chance.randbytes(1000)
    path = tmp_path / "some.wal.xz"
    path.write_bytes(b"".join(pack(data[at : at + BLOCK_BYTES] for at in range(0, len(data), BLOCK_BYTES))))
    file, pread, length = open_archived(path, writer="main", segment=1)
    with file:
        assert length == len(data)
        edges = (0, BLOCK_BYTES, 2 * BLOCK_BYTES, length)
        for offset in (abs(edge + step) for edge in edges for step in (-3, 0, 9)):
            n = chance.randrange(1, 5000)
            assert pread(n, offset) == data[offset : offset + n]
            file.seek(offset)
            assert file.read(n) == data[offset : offset + n]


def test_nothing_goes_to_an_empty_place_where_the_archive_should_be(log, tmp_path):
    assert Archiver(log).run(before_us=LATER, needed=None, most=1).moved
    shutil.move(log / "archive", tmp_path / "volume")
    (log / "archive").mkdir()  # as an empty mount point is
    before = segments_of(log)
    archived = archive(log)
    assert "is the volume" in archived.failed["api-0"]
    assert {path for path in before if "api-0" in str(path)} <= segments_of(log).keys()
    shutil.copytree(tmp_path / "volume", log / "archive", dirs_exist_ok=True)
    assert not archive(log).failed
    verify_log(log)


def test_a_hot_copy_that_is_damaged_does_not_replace_the_archived_one(log):
    hot = log / "wal" / "api-0" / "00000001.wal"
    data = hot.read_bytes()
    archive(log)
    kept = log / "archive" / "api-0" / "00000001.wal.xz"
    packed = kept.read_bytes()
    hot.write_bytes(data[:-40] + bytes([data[-40] ^ 1]) + data[-39:])  # a crash left both copies
    assert "api-0" in archive(log).failed
    assert kept.read_bytes() == packed
    assert hot.exists()
    hot.write_bytes(data)
    assert ("api-0", 1) in archive(log).moved
    verify_log(log)
