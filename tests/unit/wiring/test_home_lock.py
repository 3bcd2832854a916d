"""One process at a time serves or changes a home, only a whole one is served, and its sockets are private."""

import os
import signal
import socket
import subprocess
import sys
import tempfile

import pytest

from strongroom.config import Home
from strongroom.core import HomeError, SystemClock
from strongroom.wiring.home import (
    locked_home,
    remove_runtime_folder,
    require_complete,
    restore_runtime_folder,
    runtime_folder,
    sync_tree,
)
from strongroom.wiring.initialise import initialise_development

HOLD_LOCK = """
import sys
import tempfile
from pathlib import Path
from strongroom.config import Home
from strongroom.wiring.home import locked_home
with locked_home(Home(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def home(tmp_path):
    """A home that looks complete."""
    made = Home(tmp_path / "home")
    made.root.mkdir(mode=0o700)
    made.config_file.write_text("version = 1\n")
    made.database.write_bytes(b"")
    return made


@pytest.fixture
def holder(home):
    """Another process that holds the lock until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(home.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def refused(call, *args):
    with pytest.raises(HomeError) as error:
        call(*args)
    assert error.value.next_step or "cannot" in error.value.message
    return str(error.value)


def take(home):
    with locked_home(home):
        pass


@pytest.mark.parametrize("how", ["asked", "killed"])
def test_a_second_process_is_kept_out_until_the_first_is_gone(home, holder, how):
    for _ in range(2):
        assert "another process serves or changes" in refused(take, home)
    if how == "asked":
        holder.stdin.close()
    else:
        holder.send_signal(signal.SIGKILL)
    holder.wait(60)
    take(home)


def test_the_lock_is_given_back_also_after_an_error(home):
    with pytest.raises(KeyError), locked_home(home):
        raise KeyError
    take(home)


def test_the_lock_excludes_a_second_time_in_the_same_process_too(home):
    with locked_home(home):
        assert "another process" in refused(take, home)
    assert home.lock_file.stat().st_mode & 0o077 == 0


def test_the_lock_does_not_pass_to_a_child_process(home):
    with locked_home(home):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        take(home)
    finally:
        child.kill()
        child.wait()


def test_a_home_that_is_not_there_cannot_be_locked(tmp_path):
    assert "cannot open" in refused(take, Home(tmp_path / "absent"))


def test_a_complete_home_is_accepted(home):
    require_complete(home)


def test_each_broken_state_is_told_apart(home, tmp_path):
    assert "is not a Strongroom home" in refused(require_complete, Home(tmp_path / "absent"))
    (tmp_path / "empty").mkdir()
    assert "is not a Strongroom home" in refused(require_complete, Home(tmp_path / "empty"))
    (tmp_path / "file").write_text("")
    assert "is not a Strongroom home" in refused(require_complete, Home(tmp_path / "file"))
    home.unfinished_mark.touch()
    assert "half initialised" in refused(require_complete, home)
    home.config_file.unlink()
    assert "half initialised" in refused(require_complete, home)


@pytest.mark.parametrize("bit", [0o040, 0o004, 0o010, 0o001, 0o020, 0o002])
def test_a_home_that_others_may_enter_is_refused(home, bit):
    home.root.chmod(0o700 | bit)
    assert f"chmod 0700 {home.root}" in refused(require_complete, home)


@pytest.mark.parametrize("as_folder", [False, True])
def test_a_home_without_its_database_is_refused(home, as_folder):
    home.database.unlink()
    if as_folder:
        home.database.mkdir()
    assert f"{home.database} is missing" in refused(require_complete, home)


async def test_init_on_a_home_that_lost_its_database_does_not_call_it_complete(home):
    home.database.unlink()
    with pytest.raises(HomeError, match=r"strongroom\.db is missing"):
        await initialise_development(home.root, port=8443, clock=SystemClock(), progress=print)
    assert not home.database.exists()
    assert not home.unfinished_mark.exists()


async def test_init_on_a_complete_home_changes_nothing(home):
    before = {path: path.stat().st_mtime_ns for path in home.root.iterdir()}
    assert not await initialise_development(home.root, port=8443, clock=SystemClock(), progress=print)
    after = {path: path.stat().st_mtime_ns for path in home.root.iterdir() if path != home.lock_file}
    assert after == before


@pytest.fixture
def sockets(home, short_folder, monkeypatch):
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_folder))
    return runtime_folder(home)


def test_the_socket_folder_is_private_and_always_the_same_for_a_home(home, sockets, short_folder):
    assert sockets.parent == short_folder
    assert sockets.stat().st_mode & 0o7777 == 0o700
    assert runtime_folder(home) == sockets
    assert runtime_folder(Home(home.root.parent / "other")) != sockets


def test_what_a_killed_service_left_is_removed(home, sockets):
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(sockets / "hsm-a-serve-1.use"))
    (sockets / "control").symlink_to("/etc/passwd")
    runtime_folder(home)
    assert list(sockets.iterdir()) == []
    assert os.path.exists("/etc/passwd")


def test_a_socket_folder_that_was_cleaned_away_is_made_again_and_one_in_use_is_left_alone(home, sockets):
    (sockets / "control").write_text("")
    assert restore_runtime_folder(home) == sockets
    assert (sockets / "control").exists()
    (sockets / "control").unlink()
    sockets.rmdir()
    assert restore_runtime_folder(home) == sockets
    assert sockets.stat().st_mode & 0o7777 == 0o700
    sockets.chmod(0o755)
    assert "not a private folder" in refused(restore_runtime_folder, home)


def test_the_socket_folder_is_removed_at_the_end_and_may_be_gone_by_then(home, sockets):
    (sockets / "control").write_text("")
    remove_runtime_folder(home)
    assert not sockets.exists()
    remove_runtime_folder(home)
    runtime_folder(home)
    (sockets / "folder").mkdir()
    remove_runtime_folder(home)
    assert sockets.exists()


def test_a_folder_inside_is_not_ours_and_is_refused(home, sockets):
    (sockets / "folder").mkdir()
    assert str(sockets) in refused(runtime_folder, home)


def test_a_link_in_place_of_the_socket_folder_is_refused(home, sockets, short_folder):
    sockets.rmdir()
    (short_folder / "spy").mkdir(mode=0o700)
    sockets.symlink_to(short_folder / "spy")
    assert "not a private folder" in refused(runtime_folder, home)
    sockets.unlink()
    sockets.symlink_to(short_folder / "dangling")
    assert str(sockets) in refused(runtime_folder, home)


def test_a_file_in_place_of_the_socket_folder_is_refused(home, sockets):
    sockets.rmdir()
    sockets.write_text("")
    assert "cannot make" in refused(runtime_folder, home)


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o777, 0o710])
def test_a_socket_folder_that_others_may_enter_is_refused(home, sockets, mode):
    sockets.chmod(mode)
    (sockets / "kept").write_text("")
    assert "not a private folder" in refused(runtime_folder, home)
    assert (sockets / "kept").exists()


def test_a_socket_folder_of_somebody_else_is_refused(home, sockets, short_folder, monkeypatch):
    real = os.geteuid()
    # XDG_RUNTIME_DIR is somebody else's too then, and passed over.
    monkeypatch.setattr(tempfile, "tempdir", str(short_folder))
    monkeypatch.setattr(os, "geteuid", lambda: real + 1)
    assert "not a private folder" in refused(runtime_folder, home)


def test_a_path_that_is_too_long_for_sockets_is_refused(home, short_folder, monkeypatch):
    long = short_folder / ("x" * 40)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    assert "XDG_RUNTIME_DIR to a shorter one" in refused(runtime_folder, home)


def test_syncing_a_tree_takes_whatever_lies_in_it(home, short_folder):
    (short_folder / "folder").mkdir()
    (short_folder / "folder" / "file").write_text("x")
    (short_folder / "dangling").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(short_folder / "socket"))
        os.mkfifo(short_folder / "fifo")
        sync_tree(short_folder)
