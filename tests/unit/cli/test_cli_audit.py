"""``audit tail`` and ``audit verify`` on logs that a real writer wrote, sound and changed."""

import json
import os
import signal
import subprocess
import sys

import pytest

from cli_support import run
from strongroom.audit import AuditLog
from strongroom.core import SystemClock

N_ENTRIES = 30


@pytest.fixture
async def log(home):
    """The audit directory of ``home`` with two writers."""
    for writer, count in (("api-0", N_ENTRIES), ("main", 2)):
        audit = AuditLog.open(home.audit, writer, clock=SystemClock())
        for number in range(count):
            await audit.record(
                "outcome", "kms.Encrypt", principal="user/x", outcome="ok", request_id=f"r{number}"
            )
        audit.close()
    return home.audit


def _json_lines(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_tail_shows_the_last_entries_oldest_first(log):
    lines = run("audit", "tail").stdout.splitlines()
    assert len(lines) == 20
    assert "api-0/30 outcome kms.Encrypt ok by=user/x" in "\n".join(lines)
    shown = _json_lines(run("audit", "tail", "-n", "1000", "--json"))
    assert [entry["at"] for entry in shown] == sorted(entry["at"] for entry in shown)
    numbers = [entry["seq"] for entry in shown if entry["writer"] == "api-0"]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= N_ENTRIES
    again = _json_lines(run("audit", "tail", "-n", "7", "--json"))
    assert again[:5] == shown[-5:]
    assert [(entry["writer"], entry["event"]) for entry in again[3:]] == [("reader", "audit.read")] * 4


async def test_tail_escapes_what_could_drive_the_terminal(home):
    audit = AuditLog.open(home.audit, "api-0", clock=SystemClock())
    await audit.record("refusal", "kms.-", principal="\x1b[2J\nfaked line", outcome="x")
    audit.close()
    output = run("audit", "tail").stdout
    assert "\x1b" not in output
    assert "by=\\x1b[2J\\nfaked line" in output


@pytest.mark.parametrize("command", ["tail", "verify"])
def test_without_a_log_the_command_says_who_makes_it(home, command):
    result = run("audit", command)
    assert result.exit_code == 1
    assert "there is no audit log in" in result.stderr
    assert "strongroom serve" in result.stderr


def test_verify_refuses_a_path_without_a_log(tmp_path):
    result = run("audit", "verify", tmp_path)
    assert result.exit_code == 1
    assert f"there is no audit log in {tmp_path}" in result.stderr


def test_a_sound_log_is_said_to_be_sound_writer_by_writer(log, home):
    for path in ([], [log], [home.root]):
        result = run("audit", "verify", *path)
        assert result.exit_code == 0
        assert "The audit log is sound." in result.stdout
        rows = [line.split() for line in result.stdout.splitlines()]
        assert [row[0] for row in rows if row and row[0] in {"api-0", "main"}] == ["api-0", "main"]
    document = json.loads(run("audit", "verify", "--json").stdout)
    assert (document["sound"], document["problems"], document["warnings"]) == (True, [], [])
    assert [writer["writer"] for writer in document["writers"]] == ["api-0", "main"]
    assert all(len(bytes.fromhex(writer["chain"])) == 32 for writer in document["writers"])


def test_a_changed_entry_is_named_and_ends_with_1(log):
    [segment] = (log / "wal" / "api-0").glob("*.wal")
    content = bytearray(segment.read_bytes())
    at = content.index(b"r17")
    content[at : at + 3] = b"r99"
    segment.write_bytes(content)
    result = run("audit", "verify")
    assert result.exit_code == 1
    assert "PROBLEM: writer api-0, segment 00000001, offset" in result.stdout
    assert "the audit log is bad, first at writer api-0" in result.stderr
    assert "keep a copy of the audit directory" in result.stderr
    result = run("audit", "verify", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    [problem] = document["problems"]
    assert (document["sound"], problem["writer"]) == (False, "api-0")
    assert problem["seq"] >= 17
    assert f"entry {problem['seq']}" in run("audit", "verify").stderr


def test_tail_of_a_changed_log_names_the_place_and_says_to_verify(log):
    [segment] = (log / "wal" / "main").glob("*.wal")
    segment.write_bytes(b"X" + segment.read_bytes()[1:])
    result = run("audit", "tail")
    assert result.exit_code == 1
    assert "strongroom audit verify" in result.stderr


def test_a_long_verification_shows_progress_on_a_terminal_only(log, monkeypatch):
    assert run("audit", "verify").stderr == ""
    monkeypatch.setattr("strongroom.audit._verify.PROGRESS_EVERY", 10)
    assert "entries read" in _on_a_terminal("audit", "verify", every=10)


def _on_a_terminal(*arguments, every=None):
    """Run the command with a terminal as standard output and error; return what it wrote there."""
    patch = f"import strongroom.audit._verify as v; v.PROGRESS_EVERY = {every}\n" if every else ""
    program = f"{patch}from strongroom.cli import main\nmain()"
    mine, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program, *arguments],
        stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm", "COLUMNS": "200"},
    )  # fmt: skip
    os.close(theirs)
    written = b""
    try:
        while chunk := _read(mine):
            written += chunk
    finally:
        os.close(mine)
        process.kill()
        process.wait(60)
    return written.decode()


def _read(fd):
    try:
        return os.read(fd, 65536)
    except OSError:  # EIO: the other side is closed
        return b""


def test_tables_are_drawn_on_a_terminal_with_ids_whole(log):
    plain = run("audit", "verify").stdout
    drawn = _on_a_terminal("audit", "verify")
    assert "─" in drawn
    assert "─" not in plain
    chain = json.loads(run("audit", "verify", "--json").stdout)["writers"][0]["chain"]
    assert chain in plain
    assert chain in drawn


def _spawn(*arguments):
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "strongroom", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_reader_that_goes_away_leaves_no_traceback(log):
    process = _spawn("audit", "tail", "--follow", "--json")
    try:
        process.stdout.readline()
        process.stdout.close()
        for _ in range(100):  # the pipe notices only at the next line that is written
            if process.poll() is not None:
                break
            run("audit", "verify")
            _write_one(log)
        assert process.wait(60) == 1
        assert process.stderr.read() == b""
    finally:
        process.kill()
        process.wait(60)
        process.stderr.close()


def _write_one(log):
    import asyncio

    async def write():
        audit = AuditLog.open(log, "other", clock=SystemClock())
        await audit.record("event", "test")
        audit.close()

    asyncio.run(write())


def test_ctrl_c_ends_following_with_130_and_one_line(log):
    process = _spawn("audit", "tail", "--follow", "-n", "1")
    try:
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=60)
        assert (process.returncode, complaint) == (130, b"strongroom: interrupted\n")
    finally:
        process.kill()
        process.wait(60)


def test_following_shows_entries_as_they_come(log):
    process = _spawn("audit", "tail", "--follow", "-n", "1", "--json")
    try:
        assert json.loads(process.stdout.readline())
        _write_one(log)
        seen = set()
        while "test" not in seen:
            seen.add(json.loads(process.stdout.readline())["event"])
    finally:
        process.kill()
        process.communicate(timeout=60)
