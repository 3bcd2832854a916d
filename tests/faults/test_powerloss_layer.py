"""The power-loss layer forgets exactly what was not synced: shown with plain files, SQLite and the audit log."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from faults import powerloss
from faults.powerloss import PowerlossLayer
from strongroom.audit import read_entries, verify_log

_PRELUDE = """
import os, sys, threading, time
from pathlib import Path

def sync(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)

def write(path, text, synced=True):
    with open(path, "w") as file:
        file.write(text)
        file.flush()
        if synced:
            os.fsync(file.fileno())
"""
_CRASH_WRITER = Path(__file__).parents[1] / "unit" / "audit" / "crash_writer.py"


@pytest.fixture(scope="session")
def build_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("powerloss-build")


@pytest.fixture
def root(tmp_path):
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def layer(request, root, tmp_path, build_dir):
    is_strict = getattr(request, "param", "default") == "strict"
    return PowerlossLayer(root, tmp_path / "shadow", build_dir, is_strict=is_strict)


both = pytest.mark.parametrize("layer", ["default", "strict"], indirect=True)
strict = pytest.mark.parametrize("layer", ["strict"], indirect=True)


def _command(program):
    return [sys.executable, "-c", _PRELUDE + textwrap.dedent(program)]


def _run(layer, program):
    """Run a program in the root until it ends, then cut the power."""
    subprocess.run(
        _command(program), env={**os.environ, **layer.environment()}, cwd=layer.root, check=True, timeout=30
    )
    layer.cut_power()


def _kill_after(layer, command, seconds):
    """Start a program, kill it a while after its first line, cut the power; return the whole lines it printed."""
    environment = {**os.environ, **layer.environment()}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=layer.root, env=environment, start_new_session=True
    ) as process:
        try:
            first = process.stdout.readline()
            time.sleep(seconds)
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # it, and the children that it made
        printed = (first + process.stdout.read()).decode()
    layer.cut_power()
    lines = [line.strip() for line in printed.splitlines(keepends=True) if line.endswith("\n")]
    assert lines
    return lines


def _files(root):
    return {
        str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()
    }


def test_what_was_not_synced_is_lost_and_what_was_is_kept(layer, root):
    _run(layer, "write('lost', 'x', synced=False); write('kept', 'y')")
    assert _files(root) == {"kept": "y"}


@both
def test_content_goes_back_to_the_last_sync(layer, root):
    (root / "file").write_text("first")
    layer.make_durable()
    _run(layer, "write('file', 'second'); write('file', 'third', synced=False)")
    assert _files(root) == {"file": "second"}


def test_fdatasync_counts_as_fsync(layer, root):
    _run(layer, "fd = os.open('file', os.O_RDWR | os.O_CREAT, 0o640); os.write(fd, b'x'); os.fdatasync(fd)")
    assert _files(root) == {"file": "x"}
    assert (root / "file").stat().st_mode & 0o777 == 0o640


@strict
def test_strictly_a_new_file_needs_a_sync_of_its_directory(layer, root):
    _run(layer, "write('lost', 'x')")
    assert _files(root) == {}
    _run(layer, "write('kept', 'x'); sync('.')")
    assert _files(root) == {"kept": "x"}


@both
def test_a_durable_name_without_durable_content_is_an_empty_file(layer, root):
    _run(layer, "write('file', 'x', synced=False); sync('.')")
    assert _files(root) == {"file": ""}


@both
def test_a_rename_is_lost_until_the_directory_is_synced(layer, root):
    (root / "file").write_text("old")
    layer.make_durable()
    program = "write('draft', 'new'); {before}; os.rename('draft', 'file'); {after}"
    _run(layer, program.format(before="sync('.')", after="pass"))
    assert _files(root) == {"draft": "new", "file": "old"}
    _run(layer, program.format(before="pass", after="sync('.')"))
    assert _files(root) == {"file": "new"}


def test_by_default_a_sync_of_the_renamed_file_is_enough(layer, root):
    _run(layer, "write('draft', 'new'); os.rename('draft', 'file'); sync('file')")
    assert _files(root) == {"file": "new"}


@strict
def test_strictly_a_sync_of_the_renamed_file_is_not_enough(layer, root):
    _run(layer, "write('draft', 'new'); sync('.'); os.rename('draft', 'file'); sync('file')")
    assert _files(root) == {"draft": "new"}


@both
def test_a_removed_file_comes_back_until_the_directory_is_synced(layer, root):
    (root / "file").write_text("x")
    layer.make_durable()
    _run(layer, "os.unlink('file')")
    assert _files(root) == {"file": "x"}
    _run(layer, "os.unlink('file'); sync('.')")
    assert _files(root) == {}


def test_by_default_new_directories_come_with_the_synced_file_in_them(layer, root):
    _run(layer, "os.makedirs('a/b'); os.mkdir('c'); write('a/b/file', 'x')")
    assert _files(root) == {"a/b/file": "x"}
    assert not (root / "c").exists()


@strict
def test_strictly_every_new_directory_needs_its_own_sync(layer, root):
    program = "os.makedirs('a/b'); write('a/b/file', 'x'); sync('a/b'); sync('a'); {last}"
    _run(layer, program.format(last="pass"))
    assert list(root.iterdir()) == []
    _run(layer, program.format(last="sync('.')"))
    assert _files(root) == {"a/b/file": "x"}


@both
def test_a_renamed_directory_keeps_what_was_synced_in_it(layer, root):
    _run(layer, "os.mkdir('a'); write('a/file', 'x'); sync('a'); os.rename('a', 'b'); sync('.')")
    assert _files(root) == {"b/file": "x"}


def test_an_inode_number_that_is_used_again_is_another_file(layer, root):
    _run(layer, "write('a', 'old'); os.unlink('a'); write('b', 'new', synced=False); sync('.')")
    assert _files(root) == {"b": ""}


def test_hard_and_symbolic_links_are_kept(layer, root):
    _run(layer, "write('a', 'x'); os.link('a', 'b'); sync('b'); os.symlink('a', 'c'); sync('.')")
    assert _files(root) == {"a": "x", "b": "x", "c": "x"}
    assert os.readlink(root / "c") == "a"


def test_what_lies_outside_the_root_is_left_alone(layer, tmp_path):
    outside = tmp_path / "home-of-others"
    outside.mkdir()
    _run(layer, f"write('{outside}/file', 'x', synced=False); sync('{outside}')")
    assert _files(outside) == {"file": "x"}


def test_the_root_may_be_made_by_the_program(tmp_path, build_dir):
    layer = PowerlossLayer(tmp_path / "later", tmp_path / "shadow", build_dir)
    program = _command(
        "root = sys.argv[1]; os.mkdir(root); write(root + '/kept', 'x'); write(root + '/lost', 'x', synced=False)"
    )
    subprocess.run(
        [*program, str(layer.root)], env={**os.environ, **layer.environment()}, check=True, timeout=30
    )
    layer.cut_power()
    assert _files(tmp_path / "later") == {"kept": "x"}


def test_children_inherit_the_layer(layer, root):
    _run(
        layer,
        "import subprocess; subprocess.run(['sh', '-c', 'echo x >kept; sync kept; echo y >lost'], check=True)",
    )
    assert _files(root) == {"kept": "x\n"}


def test_a_failing_sync_fails_as_it_does_without_the_layer(layer):
    _run(
        layer,
        "import errno\ntry: os.fsync(999)\nexcept OSError as error: assert error.errno == errno.EBADF\nelse: assert 0",
    )


def test_a_sync_keeps_the_posix_locks_of_the_process(layer):
    program = """
    import fcntl
    file = open('file', 'w+')
    fcntl.lockf(file, fcntl.LOCK_EX)
    os.fsync(file.fileno())
    child = os.fork()
    if child == 0:
        try:
            fcntl.lockf(open('file', 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os._exit(0)
        os._exit(1)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    _run(layer, program)


@both
def test_threads_and_processes_that_sync_one_file_lose_no_line_they_reported(layer, root):
    program = """
    log = os.open('log', os.O_RDWR | os.O_CREAT | os.O_APPEND)
    sync('.')
    child = os.fork()
    def work(name):
        number = 0
        while True:
            line = f'{name}.{number}\\n'.encode()
            os.write(log, line)
            os.fdatasync(log)
            os.write(1, line)
            number += 1
    for name in 'abc':
        threading.Thread(target=work, args=(f'{child == 0}-{name}',)).start()
    """
    reported = _kill_after(layer, _command(program), 0.2)
    kept = set((root / "log").read_text().splitlines())
    assert set(reported) <= kept


_SQLITE = """
import sqlite3
db = sqlite3.connect('db', isolation_level=None)
db.execute('PRAGMA journal_mode = WAL')
db.execute('PRAGMA synchronous = {synchronous}')
db.execute('PRAGMA wal_autocheckpoint = 20')
db.execute('CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY)')
n = db.execute('SELECT coalesce(max(n), 0) FROM t').fetchone()[0]
while True:
    n += 1
    db.execute('INSERT INTO t VALUES (?)', (n,))
    os.write(1, f'{{n}}\\n'.encode())
"""


def _sqlite_round(layer, synchronous):
    reported = _kill_after(layer, _command(_SQLITE.format(synchronous=synchronous)), 0.15)
    db = sqlite3.connect(layer.root / "db")
    try:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        kept = {str(row[0]) for row in db.execute("SELECT n FROM t")}
    finally:
        db.close()
    layer.make_durable()
    return set(reported), kept


@both
def test_sqlite_with_full_synchronous_keeps_every_committed_row(layer):
    for _ in range(3):
        reported, kept = _sqlite_round(layer, "FULL")
        assert reported <= kept


def test_sqlite_without_syncs_loses_rows(layer, root):
    db = sqlite3.connect(root / "db")
    db.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)")
    db.close()
    layer.make_durable()
    reported, kept = _sqlite_round(layer, "OFF")
    assert reported - kept


@both
def test_the_audit_log_keeps_every_committed_entry(layer, root):
    committed = []
    for number in range(3):
        command = [sys.executable, str(_CRASH_WRITER), str(root / "audit"), f"run-{number}"]
        committed += _kill_after(layer, command, 0.15)
        verify_log(root / "audit")
    assert set(committed) <= {entry.request_id for entry in read_entries(root / "audit")}


def test_an_audit_log_that_did_not_sync_would_be_found_out(layer, root):
    program = """
    import runpy
    sync_really = os.fdatasync
    os.fdatasync = lambda fd: sync_really(fd) if os.fstat(fd).st_size == 128 else None  # headers only
    runpy.run_path(sys.argv.pop(1))
    """
    command = [*_command(program), str(_CRASH_WRITER), str(root / "audit"), "run"]
    assert _kill_after(layer, command, 0.05)  # these were reported, and this is what is left of them:
    assert (root / "audit/wal/main/00000001.wal").stat().st_size == 128


def test_a_missing_compiler_is_a_skip_that_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(pytest.skip.Exception, match="needs a C compiler"):
        powerloss.build_library(tmp_path)


def test_a_shadow_inside_the_root_is_refused(root, build_dir):
    with pytest.raises(ValueError, match="beside the root"):
        PowerlossLayer(root, root / "shadow", build_dir)
