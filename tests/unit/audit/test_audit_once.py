"""One entry of a command: durable on return, in turns with others, in a log that does not grow by files."""

import errno
import os
import subprocess
import sys
import threading

import pytest

from strongroom.audit import AuditCorruptError, AuditWriterInUseError, append_once, read_entries, verify_log
from strongroom.audit._files import WalFolder
from strongroom.audit._gather import Gatherer
from strongroom.audit._tree_files import TreeWriter
from strongroom.core import AuditUnavailableError
from unit.audit.audit_fakes import SettableClock


@pytest.fixture
def leave(directory, disk):
    clock = SettableClock()

    def leave_one(event="audit.read", **options):
        options = {"open_folder": disk.open_folder, "clock": clock, **options}
        append_once(directory, "reader", "event", event, **options)

    return leave_one


def _segments(directory):
    return sorted(path.name for path in (directory / "wal" / "reader").glob("*.wal"))


def test_many_commands_go_on_in_one_segment(directory, leave):
    for number in range(12):
        leave(request_id=f"r{number}")
    assert _segments(directory) == ["00000001.wal"]
    assert [entry.request_id for entry in read_entries(directory)] == [f"r{n}" for n in range(12)]
    [writer] = verify_log(directory).writers
    assert (writer.last_seq, writer.boot) == (12, 1)


def test_a_full_segment_is_followed_by_another(directory, leave):
    for _ in range(9):
        leave(segment_bytes=400)
    assert len(_segments(directory)) > 1
    report = verify_log(directory)
    assert (report.entries, report.warnings) == (9, ())
    assert report.writers[0].boot == len(_segments(directory))


def test_a_segment_is_not_gone_on_with_after_a_day(directory, leave):
    clock = SettableClock()
    for _ in range(4):
        leave(clock=clock)
        leave(clock=clock)
        clock.at += 86_401
    assert len(_segments(directory)) == 4
    assert [entry.boot for entry in read_entries(directory)] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert verify_log(directory).warnings == ()


@pytest.mark.parametrize("call", ["write", "sync", "create.write", "create.sync", "create.sync_names"])
@pytest.mark.parametrize("fault", ["lost", "persisted", "half"])
def test_what_the_disk_refused_is_not_in_the_log(directory, leave, disk, call, fault):
    if not call.startswith("create"):
        leave(request_id="before")
    disk.decide = lambda this: fault if this == call else None
    with pytest.raises(AuditUnavailableError, match="the audit log of reader cannot be written"):
        leave(request_id="refused")
    disk.decide = lambda _call: None
    leave(request_id="after")
    assert "refused" not in [entry.request_id for entry in read_entries(directory)]
    verify_log(directory)


@pytest.mark.parametrize("boot_of_cut", [1, 2])
def test_what_a_killed_command_left_is_cut_off_and_told_once(directory, leave, boot_of_cut):
    leave()
    if boot_of_cut == 2:
        leave(segment_bytes=1)
    segment = directory / "wal" / "reader" / _segments(directory)[-1]
    with segment.open("ab") as file:
        file.write(b"\x00\x00\x00\x50torn")
    leave(request_id="after")
    leave(request_id="last")
    events = [entry.event for entry in read_entries(directory)]
    assert events == ["audit.read"] * boot_of_cut + ["log.recovered", "audit.read", "audit.read"]
    assert [str(warning) for warning in verify_log(directory).warnings if "cut off" not in str(warning)] == []


def test_a_damaged_log_takes_no_entry(directory, leave):
    for _ in range(4):
        leave()
    segment = directory / "wal" / "reader" / "00000001.wal"
    content = bytearray(segment.read_bytes())
    content[200] ^= 1
    segment.write_bytes(content)
    with pytest.raises(AuditCorruptError):
        leave()
    assert segment.read_bytes() == content


def test_others_are_waited_for_and_not_for_ever(directory, leave):
    leave()
    held = WalFolder(directory / "wal" / "reader")
    try:
        with pytest.raises(AuditWriterInUseError):
            leave(turn_s=0.0)
        threading.Timer(0.2, held.close).start()
        leave(turn_s=60.0)
    except BaseException:
        held.close()
        raise
    assert verify_log(directory).entries == 2


def test_a_folder_that_cannot_be_made_is_a_refusal(tmp_path):
    (tmp_path / "audit").write_text("a file")
    with pytest.raises(AuditUnavailableError) as caught:
        append_once(tmp_path / "audit", "reader", "event", "e", clock=SettableClock())
    assert os.strerror(errno.ENOTDIR) in caught.value.message


PROGRAM = """
import sys
from pathlib import Path
from strongroom.audit import append_once
from strongroom.core import SystemClock
for number in range(15):
    append_once(Path(sys.argv[1]), "reader", "event", "e", clock=SystemClock(), turn_s=60.0)
"""


def test_processes_take_turns_and_lose_nothing(directory):
    processes = [subprocess.Popen([sys.executable, "-c", PROGRAM, str(directory)]) for _ in range(2)]
    try:
        assert [process.wait(120) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
            process.wait(60)
    [writer] = verify_log(directory).writers
    assert (writer.entries, writer.last_seq, writer.boot) == (30, 30, 1)


def test_a_writer_that_comes_and_goes_is_taken_into_the_tree(directory, leave):
    tree = TreeWriter(directory)
    gatherer = Gatherer(directory, tree)
    try:
        gathered = 0
        for number in range(6):
            leave(segment_bytes=600)
            looks = [gatherer.gather() for _ in range(1 + number % 3)]
            assert all(not look.stuck for look in looks)
            gathered += sum(look.n_entries for look in looks)
        gathered += gatherer.gather(is_last=True).n_entries
        assert gathered == 6
    finally:
        gatherer.close()
        tree.close()
