"""New files: whole or absent, never in another's place unasked, whatever happens on the way."""

import errno
import os
import signal
import stat
import subprocess
import sys
import threading

import pytest

from strongroom.client import OutputExistsError, new_file
from strongroom.client import _output_file as module


def write(path, data, *, overwrite=False, meanwhile=lambda: None):
    """Make a file; ``meanwhile`` happens when it is written and has no name yet."""
    with new_file(path, mode=0o600, overwrite=overwrite) as file:
        file.write(data)
        meanwhile()


def fail():
    raise RuntimeError


@pytest.fixture(params=["nameless", "hidden name", "no links"])
def file_system(request, monkeypatch):
    """Every way to make a file: as this file system does, and as poorer ones do."""
    if request.param != "nameless":
        monkeypatch.setattr(module, "_OWN_DESCRIPTORS", module.Path("/nowhere"))
    if request.param == "no links":

        def refuse(*_, **__):
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(module.os, "link", refuse)
    return request.param


def test_a_file_appears_when_it_is_whole(tmp_path, file_system):
    path = tmp_path / "new"
    with new_file(path, mode=0o600, overwrite=False) as file:
        file.write(b"all of it")
        assert not path.exists()
    assert path.read_bytes() == b"all of it"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["new"]


def test_a_failure_leaves_nothing(tmp_path, file_system):
    with pytest.raises(RuntimeError):
        write(tmp_path / "new", b"half of it", meanwhile=fail)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("make", [
    lambda path: path.write_bytes(b"old"), lambda path: path.mkdir(), lambda path: path.symlink_to("nowhere"),
    os.mkfifo,
], ids=["file", "folder", "dangling link", "pipe"])  # fmt: skip
def test_what_is_there_stays(tmp_path, file_system, make):
    path = tmp_path / "new"
    make(path)
    before = path.lstat()
    with pytest.raises(OutputExistsError), new_file(path, mode=0o600, overwrite=False):
        pytest.fail("it must be refused before work begins")
    assert (path.lstat().st_ino, path.lstat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert os.listdir(tmp_path) == ["new"]


def test_what_comes_there_meanwhile_stays(tmp_path, file_system):
    path = tmp_path / "new"
    with pytest.raises(OutputExistsError):
        write(path, b"ours", meanwhile=lambda: path.write_bytes(b"theirs"))
    assert path.read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["new"]


def test_overwriting_replaces_in_one_step_and_only_at_the_end(tmp_path, file_system):
    path = tmp_path / "old"
    path.write_bytes(b"old")
    path.chmod(0o644)
    with new_file(path, mode=0o600, overwrite=True) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", 0o600)
    with pytest.raises(RuntimeError):
        write(path, b"half of it", overwrite=True, meanwhile=fail)
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["old"]


def test_overwriting_replaces_ordinary_files_only(tmp_path, file_system):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(OutputExistsError), new_file(tmp_path / name, mode=0o600, overwrite=True):
            pytest.fail("it must be refused before work begins")


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path, file_system):
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "link").symlink_to("precious")
    with new_file(tmp_path / "link", mode=0o600, overwrite=True) as file:
        file.write(b"new")
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert not (tmp_path / "link").is_symlink()


def test_of_many_who_make_one_file_one_wins(tmp_path):
    gate, outcomes = threading.Barrier(8), []

    def make(number):
        gate.wait()
        try:
            with new_file(tmp_path / "one", mode=0o600, overwrite=False) as file:
                file.write(bytes([number]) * 10)
            outcomes.append(number)
        except OutputExistsError:
            pass

    threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(tmp_path / "one").read_bytes()] == [bytes(outcomes) * 10]
    assert os.listdir(tmp_path) == ["one"]


@pytest.mark.parametrize("written", [0, 100, 2_000_000, 5_000_000])
def test_reserved_room_that_is_not_needed_is_given_back(tmp_path, file_system, written):
    with new_file(tmp_path / "new", mode=0o600, overwrite=False, reserve=3_000_000) as file:
        file.write(bytes(written))
    status = (tmp_path / "new").stat()
    assert status.st_size == written
    assert status.st_blocks * 512 < written + 100_000


def test_a_disk_that_is_too_small_shows_before_work_begins(tmp_path, file_system):
    with (
        pytest.raises(OSError, match=r"No space|File too large"),
        new_file(tmp_path / "new", mode=0o600, overwrite=False, reserve=2**55),
    ):
        pytest.fail("there cannot be so much room")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_where_nothing_can_be_reserved_it_works_all_the_same(tmp_path, monkeypatch, number):
    class Poor:
        def fallocate(self, *_):
            module.ctypes.set_errno(number)
            return -1

    monkeypatch.setattr(module.ctypes, "CDLL", lambda *_, **__: Poor())
    with new_file(tmp_path / "new", mode=0o600, overwrite=False, reserve=3_000_000) as file:
        file.write(b"x")
    assert (tmp_path / "new").read_bytes() == b"x"


def test_a_folder_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError), new_file(tmp_path / "none" / "new", mode=0o600, overwrite=False):
        pytest.fail("there is no such folder")


def test_kill_9_in_the_middle_leaves_nothing_at_all(tmp_path):
    program = (
        "import pathlib, sys, time\nfrom strongroom.client import new_file\n"
        "with new_file(pathlib.Path(sys.argv[1]), mode=0o600, overwrite=False) as file:\n"
        "    file.write(b'half')\n    print('written', flush=True)\n    time.sleep(60)\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", program, str(tmp_path / "new")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"written\n"
        finally:
            process.send_signal(signal.SIGKILL)
    assert os.listdir(tmp_path) == []
