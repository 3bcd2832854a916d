"""The power-loss layer forgets exactly what was not synced: shown with plain files and SQLite."""

import os
import random
import shutil
import sqlite3
import subprocess

import pytest

from faults import powerloss
from faults.powerloss import PowerlossLayer
from faults.powerloss_programs import kill_and_cut, python_command, run_and_cut

both = pytest.mark.parametrize("layer", ["default", "strict"], indirect=True)
strict = pytest.mark.parametrize("layer", ["strict"], indirect=True)


def _files(root):
    return {
        str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()
    }


def test_what_was_not_synced_is_lost_and_what_was_is_kept(layer, root):
    run_and_cut(layer, "write('lost', 'x', synced=False); write('kept', 'y')")
    assert _files(root) == {"kept": "y"}


@both
def test_content_goes_back_to_the_last_sync(layer, root):
    (root / "file").write_text("first")
    layer.make_durable()
    run_and_cut(layer, "write('file', 'second'); write('file', 'third', synced=False)")
    assert _files(root) == {"file": "second"}


def test_pages_appended_and_not_synced_survive_as_chance_decides(layer, root):
    program = python_command(
        "file = open('file', 'wb', buffering=0); file.write(b'durable'); os.fsync(file.fileno()); file.write(b'x' * 200_000)"
    )
    subprocess.run(program, env={**os.environ, **layer.environment()}, cwd=root, check=True, timeout=60)
    layer.cut_power(pages=random.Random(7))
    content = (root / "file").read_bytes()
    assert content.startswith(b"durable")
    pages = [set(content[max(7, start) : start + 4096]) for start in range(0, len(content), 4096)]
    assert {frozenset(page) for page in pages} == {frozenset(b"x"), frozenset(b"\0")}
    assert 10 < pages.count(set(b"x")) < 40
    layer.cut_power()
    assert (root / "file").read_bytes() == content


def test_fdatasync_counts_as_fsync(layer, root):
    run_and_cut(
        layer, "fd = os.open('file', os.O_RDWR | os.O_CREAT, 0o640); os.write(fd, b'x'); os.fdatasync(fd)"
    )
    assert _files(root) == {"file": "x"}
    assert (root / "file").stat().st_mode & 0o777 == 0o640


@strict
def test_strictly_a_new_file_needs_a_sync_of_its_directory(layer, root):
    run_and_cut(layer, "write('lost', 'x')")
    assert _files(root) == {}
    run_and_cut(layer, "write('kept', 'x'); sync('.')")
    assert _files(root) == {"kept": "x"}


@both
def test_a_durable_name_without_durable_content_is_an_empty_file(layer, root):
    run_and_cut(layer, "write('file', 'x', synced=False); sync('.')")
    assert _files(root) == {"file": ""}


@both
def test_a_rename_is_lost_until_the_directory_is_synced(layer, root):
    (root / "file").write_text("old")
    layer.make_durable()
    program = "write('draft', 'new'); {before}; os.rename('draft', 'file'); {after}"
    run_and_cut(layer, program.format(before="sync('.')", after="pass"))
    assert _files(root) == {"draft": "new", "file": "old"}
    run_and_cut(layer, program.format(before="pass", after="sync('.')"))
    assert _files(root) == {"file": "new"}


def test_by_default_a_sync_of_the_renamed_file_is_enough(layer, root):
    run_and_cut(layer, "write('draft', 'new'); os.rename('draft', 'file'); sync('file')")
    assert _files(root) == {"file": "new"}


@strict
def test_strictly_a_sync_of_the_renamed_file_is_not_enough(layer, root):
    run_and_cut(layer, "write('draft', 'new'); sync('.'); os.rename('draft', 'file'); sync('file')")
    assert _files(root) == {"draft": "new"}


@both
def test_a_removed_file_comes_back_until_the_directory_is_synced(layer, root):
    (root / "file").write_text("x")
    layer.make_durable()
    run_and_cut(layer, "os.unlink('file')")
    assert _files(root) == {"file": "x"}
    run_and_cut(layer, "os.unlink('file'); sync('.')")
    assert _files(root) == {}


def test_by_default_new_directories_come_with_the_synced_file_in_them(layer, root):
    run_and_cut(layer, "os.makedirs('a/b'); os.mkdir('c'); write('a/b/file', 'x')")
    assert _files(root) == {"a/b/file": "x"}
    assert not (root / "c").exists()


@strict
def test_strictly_every_new_directory_needs_its_own_sync(layer, root):
    program = "os.makedirs('a/b'); write('a/b/file', 'x'); sync('a/b'); sync('a'); {last}"
    run_and_cut(layer, program.format(last="pass"))
    assert list(root.iterdir()) == []
    run_and_cut(layer, program.format(last="sync('.')"))
    assert _files(root) == {"a/b/file": "x"}


@both
def test_a_renamed_directory_keeps_what_was_synced_in_it(layer, root):
    run_and_cut(layer, "os.mkdir('a'); write('a/file', 'x'); sync('a'); os.rename('a', 'b'); sync('.')")
    assert _files(root) == {"b/file": "x"}


def test_an_inode_number_that_is_used_again_is_another_file(layer, root):
    run_and_cut(layer, "write('a', 'old'); os.unlink('a'); write('b', 'new', synced=False); sync('.')")
    assert _files(root) == {"b": ""}


def test_hard_and_symbolic_links_are_kept(layer, root):
    run_and_cut(layer, "write('a', 'x'); os.link('a', 'b'); sync('b'); os.symlink('a', 'c'); sync('.')")
    assert _files(root) == {"a": "x", "b": "x", "c": "x"}
    assert os.readlink(root / "c") == "a"


def test_what_lies_outside_the_root_is_left_alone(layer, tmp_path):
    outside = tmp_path / "home-of-others"
    outside.mkdir()
    run_and_cut(layer, f"write('{outside}/file', 'x', synced=False); sync('{outside}')")
    assert _files(outside) == {"file": "x"}


def test_the_root_may_be_made_by_the_program(tmp_path, build_dir):
    layer = PowerlossLayer(tmp_path / "later", tmp_path / "shadow", build_dir)
    program = python_command(
        "root = sys.argv[1]; os.mkdir(root); write(root + '/kept', 'x'); write(root + '/lost', 'x', synced=False)"
    )
    subprocess.run(
        [*program, str(layer.root)], env={**os.environ, **layer.environment()}, check=True, timeout=60
    )
    layer.cut_power()
    assert _files(tmp_path / "later") == {"kept": "x"}


def test_children_inherit_the_layer(layer, root):
    run_and_cut(
        layer,
        "import subprocess; subprocess.run(['sh', '-c', 'echo x >kept; sync kept; echo y >lost'], check=True)",
    )
    assert _files(root) == {"kept": "x\n"}


def test_a_failing_sync_fails_as_it_does_without_the_layer(layer):
    run_and_cut(
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
    run_and_cut(layer, program)


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
    reported = kill_and_cut(layer, python_command(program), 0.2)
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
    reported = kill_and_cut(layer, python_command(_SQLITE.format(synchronous=synchronous)), 0.15)
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


def test_a_missing_compiler_is_a_skip_that_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(pytest.skip.Exception, match="needs a C compiler"):
        powerloss.build_library(tmp_path)


def test_a_shadow_inside_the_root_is_refused(root, build_dir):
    with pytest.raises(ValueError, match="beside the root"):
        PowerlossLayer(root, root / "shadow", build_dir)
