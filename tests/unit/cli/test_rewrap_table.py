"""``strongroom rewrap table`` on SQLite: every row once, nothing of other writers lost, and on from where it stopped."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from base64 import b64encode
from contextlib import closing

import pytest

from cli_support import run
from rewrapping_server import KEY, environment_of, rewrap, rewrapping_server
from scripted_server import answer
from strongroom.core import StorageError
from strongroom.storage import CiphertextTable, has_password

ROWS = 90


def database(path, *, key="id INTEGER PRIMARY KEY", kind="BLOB", keys=range(ROWS)):
    with closing(sqlite3.connect(path)) as made, made:
        made.execute(f"CREATE TABLE people ({key}, c {kind}, k TEXT, name TEXT)")
        for number, at in enumerate(keys):
            data = b"v1:%d" % number
            made.execute(
                "INSERT INTO people VALUES (?, ?, NULL, ?)",
                (at, data if kind == "BLOB" else b64encode(data).decode(), f"name {number}"),
            )
    return path


def ciphertexts(path):
    with closing(sqlite3.connect(path)) as opened:
        return [row[0] for row in opened.execute("SELECT c FROM people ORDER BY id")]


def rewrap_table(server, path, *arguments):
    return run(
        "rewrap", "table", "--database", f"sqlite:///{path}", "--table", "people", "--key-column", "id",
        "--ciphertext-column", "c", "--key", KEY, "--batch-items", "20", *arguments, **environment_of(server),
    )  # fmt: skip


@pytest.fixture
def server():
    with rewrapping_server() as running:
        yield running


@pytest.mark.parametrize("kind", ["BLOB", "TEXT"])
def test_every_row_is_rewrapped_in_the_form_that_it_has(server, tmp_path, kind):
    path = database(tmp_path / "db", kind=kind)
    done = rewrap_table(server, path, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"table": "people", "rewrapped": ROWS, "failed": 0, "contended": 0}
    expected = [b"v2:%d" % number for number in range(ROWS)]
    assert ciphertexts(path) == (
        expected if kind == "BLOB" else [b64encode(one).decode() for one in expected]
    )


def test_keys_may_be_texts(server, tmp_path):
    path = database(tmp_path / "db", key="id TEXT PRIMARY KEY", keys=[f"{n:03}" for n in range(ROWS)])
    assert rewrap_table(server, path).exit_code == 0
    assert ciphertexts(path) == [b"v2:%d" % number for number in range(ROWS)]


def test_rows_that_fail_stay_and_are_told(server, tmp_path):
    path = database(tmp_path / "db")
    with closing(sqlite3.connect(path)) as opened, opened:
        opened.execute("UPDATE people SET c = x'00' WHERE id = 3")
        opened.execute("UPDATE people SET c = NULL WHERE id = 4")
        opened.execute("UPDATE people SET k = '[]' WHERE id = 5")
        opened.execute("""UPDATE people SET k = '{"tenant": "8"}' WHERE id = 6""")
        opened.execute("""UPDATE people SET k = '{"tenant": "7"}' WHERE id = 7""")
    done = rewrap_table(server, path, "--context-column", "k", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["failed"] == 3
    assert [f"row {number}:" in done.stderr for number in range(3, 8)] == [True, False, True, True, False]
    assert ciphertexts(path)[3:8] == [b"\0", None, b"v1:5", b"v1:6", b"v2:7"]


def test_what_another_writes_meanwhile_stays_and_is_rewrapped_itself(tmp_path):
    path = database(tmp_path / "db")

    def meddle(_path, body):
        """Answer as ever, but have somebody else change three of the rows that were read, and delete one."""
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("UPDATE people SET c = CAST('v1:new' AS BLOB) WHERE id IN (1, 2, 3)")
            other.execute("DELETE FROM people WHERE id = 5")
        return rewrap(_path, body)

    with rewrapping_server((meddle,)) as server:
        done = rewrap_table(server, path, "--json")
        assert done.exit_code == 0, done.output
    numbers = [number for number in range(ROWS) if number != 5]
    assert ciphertexts(path) == [b"v2:new" if n in {1, 2, 3} else b"v2:%d" % n for n in numbers]


def test_rows_that_others_change_each_time_hold_what_they_wrote(tmp_path):
    path, times = database(tmp_path / "db"), iter(range(100))

    def meddle(_path, body):
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("UPDATE people SET c = ? WHERE id = 1", (b"v1:%d" % next(times),))
        return rewrap(_path, body)

    with rewrapping_server(*[(meddle,)] * 3) as server:
        done = rewrap_table(server, path, "--json")
    assert (done.exit_code, json.loads(done.stdout)["contended"]) == (1, 1)
    assert ciphertexts(path)[:3] == [b"v2:0", b"v1:2", b"v2:2"]


def test_compare_and_swap_changes_only_what_was_read(tmp_path):
    path = database(tmp_path / "db")
    with CiphertextTable(f"sqlite:///{path}", "people", key="id", ciphertext="c") as table:
        rows = table.rows_after(None, 3)
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("UPDATE people SET c = x'77' WHERE id = 1")
        lost = table.replace([(row, b"new") for row in rows])
        assert [row.key for row in lost] == [1]
        assert [row.ciphertext for row in table.rows_after(None, 3)] == [b"new", b"w", b"new"]
        assert [row.key for row in table.rows_after(1, 2)] == [2, 3]
        assert "v1" not in repr(lost[0])


def test_it_goes_on_from_its_state_after_a_failure(tmp_path):
    path, state = database(tmp_path / "db"), tmp_path / "state"
    denied = answer(400, b'{"__type": "AccessDeniedException", "message": "no"}')
    with rewrapping_server((rewrap,), denied) as server:
        assert rewrap_table(server, path, "--state", state).exit_code == 1
        assert json.loads(state.read_bytes())["last_key"] == 19
        done = rewrap_table(server, path, "--state", state, "--json")
        assert (done.exit_code, json.loads(done.stdout)["rewrapped"]) == (0, ROWS)
        assert len(server.requests) == 2 + 4
    assert not state.exists()
    assert ciphertexts(path) == [b"v2:%d" % number for number in range(ROWS)]


def test_kill_9_loses_nothing(tmp_path):
    path, state, running = database(tmp_path / "db"), tmp_path / "state", []

    def kill_it(connection, stop):
        os.kill(running[-1].pid, signal.SIGKILL)
        running[-1].wait()

    with rewrapping_server((rewrap,), (rewrap,), kill_it, (rewrap,)) as server:
        for status in (-signal.SIGKILL, 0):
            running.append(
                subprocess.Popen(
                    [
                        "setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "strongroom", "rewrap", "table",
                        "--database", f"sqlite:///{path}", "--table", "people", "--key-column", "id",
                        "--ciphertext-column", "c", "--key", KEY, "--batch-items", "20", "--state", str(state),
                    ],
                    env={"PATH": os.environ["PATH"], **environment_of(server)}, stderr=subprocess.PIPE,
                )
            )  # fmt: skip
            _, errors = running[-1].communicate(timeout=100)
            assert running[-1].returncode == status, errors
    assert ciphertexts(path) == [b"v2:%d" % number for number in range(ROWS)]


def test_a_column_of_numbers_is_no_column_of_ciphertexts(server, tmp_path):
    path = database(tmp_path / "db")
    with closing(sqlite3.connect(path)) as opened, opened:
        opened.execute("UPDATE people SET c = 1000000000000 WHERE id = 3")
        opened.execute("UPDATE people SET c = 1.5 WHERE id = 4")
    done = rewrap_table(server, path, "--json")
    assert done.exit_code == 1
    assert done.stderr.count("neither bytes nor text") == 2
    assert (json.loads(done.stdout)["rewrapped"], ciphertexts(path)[3:5]) == (ROWS - 2, [10**12, 1.5])


def test_a_key_that_is_unique_among_some_rows_only_is_refused(tmp_path):
    """``WHERE key > last`` would leave out rows that share the last key of a page."""
    path = database(tmp_path / "db", key="id INTEGER")
    with closing(sqlite3.connect(path)) as opened, opened:
        opened.execute("CREATE UNIQUE INDEX some ON people (id) WHERE id > 10")
    with pytest.raises(StorageError, match="is no key"):
        CiphertextTable(f"sqlite:///{path}", "people", key="id", ciphertext="c")


def test_rows_without_a_key_are_told_before_anything_is_changed(server, tmp_path):
    """Uniqueness says nothing about NULL, and no order finds such rows again."""
    path = database(tmp_path / "db", key="id TEXT PRIMARY KEY", keys=[None, "a", "b"])
    done = rewrap_table(server, path)
    assert (done.exit_code, "NULL" in done.stderr) == (1, True)
    assert b"v1:0" in ciphertexts(path)
    with closing(sqlite3.connect(path)) as opened, opened:
        opened.execute("UPDATE people SET c = NULL WHERE id IS NULL")  # nothing to rewrap there
    assert rewrap_table(server, path).exit_code == 0


@pytest.mark.parametrize("content", ["", "{}", "[" * 1000, '{"table": "people"}'])
def test_a_state_that_is_none_is_refused(server, tmp_path, content):
    path, state = database(tmp_path / "db"), tmp_path / "state"
    state.write_text(content)
    assert rewrap_table(server, path, "--state", state).exit_code == 1
    assert state.read_text() == content


def test_the_state_of_another_table_is_refused(server, tmp_path):
    path, state = database(tmp_path / "db"), tmp_path / "state"
    state.write_text(
        json.dumps(
            {"table": "others", "key_column": "id", "ciphertext_column": "c", "key": KEY,
             "last_key": 5, "key_kind": "int", "rewrapped": 0, "failed": 0}
        )
    )  # fmt: skip
    done = rewrap_table(server, path, "--state", state)
    assert (done.exit_code, "another table" in done.stderr) == (1, True)


def test_the_state_of_a_run_under_another_key_is_refused(tmp_path):
    """It would skip rows that this key has not rewrapped yet, and say that all is done."""
    path, state = database(tmp_path / "db"), tmp_path / "state"
    denied = answer(400, b'{"__type": "AccessDeniedException", "message": "no"}')
    with rewrapping_server((rewrap,), denied) as server:
        assert rewrap_table(server, path, "--state", state).exit_code == 1
        done = rewrap_table(server, path, "--state", state, "--key", KEY.replace("0d9d", "1d9d"))
    assert (done.exit_code, "another key" in done.stderr) == (1, True)
    assert state.exists()


@pytest.mark.parametrize(
    ("url", "table", "key", "word"),
    [
        ("sqlite:///{path}", "nobody", "id", "no table"),
        ("sqlite:///{path}", "people", "nothing", "no column"),
        ("sqlite:///{path}", "people", "name", "no key"),
        ("sqlite:////nowhere/at/all", "people", "id", "refused"),
        ("nonsense", "people", "id", "no URL"),
        ("nosuchdatabase://x", "people", "id", "no such database|kind of database"),
    ],
)
def test_a_table_that_cannot_be_used_is_told(tmp_path, url, table, key, word):
    path = database(tmp_path / "db")
    with pytest.raises(StorageError, match=word):
        CiphertextTable(url.format(path=path), table, key=key, ciphertext="c")


def test_passwords_do_not_belong_in_arguments(server, tmp_path):
    assert has_password("postgresql://me:hunter2@db/shop")
    assert has_password("postgresql://me@db/shop?password=hunter2")
    assert not has_password("postgresql://me@db/shop")
    done = run(
        "rewrap", "table", "--database", "postgresql://me:hunter2@db/shop", "--table", "t", "--key-column", "id",
        "--ciphertext-column", "c", "--key", KEY, **environment_of(server),
    )  # fmt: skip
    assert (done.exit_code, "hunter2" in done.output) == (2, False)
    path = database(tmp_path / "db")
    (tmp_path / "url").write_text(f"sqlite:///{path}\n")
    done = run(
        "rewrap", "table", "--database-file", tmp_path / "url", "--table", "people", "--key-column", "id",
        "--ciphertext-column", "c", "--key", KEY, **environment_of(server),
    )  # fmt: skip
    assert done.exit_code == 0, done.output
