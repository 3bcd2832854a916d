"""``encrypt`` and ``decrypt`` against the API over TLS: names, pipes, refusals, ranges, and no half output."""

import io
import json
import os
import stat
import subprocess
import sys

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from cli_support import run
from strongroom.cli import root_command
from strongroom.cli._file_progress import FileProgress, progress_line, readable_size
from strongroom.testing import FakeClock

DATA = bytes(range(256)) * 300


@pytest.fixture
def key(api):
    return json.loads(run("keys", "create", "--alias", "files", "--json").stdout)["arn"]


@pytest.fixture
def folder(key, tmp_path, monkeypatch):
    """A working folder with a file to encrypt, a key called alias/files, and nothing else."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "plain").write_bytes(DATA)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def sealed(folder):
    assert run("encrypt", "plain", "-k", "alias/files", "-c", "tenant=7").exit_code == 0
    return folder / "plain.strongroom"


def piped(*arguments, data):
    return CliRunner().invoke(root_command, list(arguments), input=data)


def test_a_file_is_encrypted_beside_itself_and_decrypted_again(folder, key):
    result = run("encrypt", "plain", "--key", "alias/files", "--context", "tenant=7", "--context", "a==b")
    assert result.exit_code == 0
    assert f"Encrypted 75.0 KiB under {key}: plain.strongroom" in result.stdout
    (folder / "plain").unlink()
    result = run("decrypt", "plain.strongroom", "--context", "tenant=7", "--key", "alias/files")
    assert result.exit_code == 0
    assert "Decrypted 75.0 KiB; all of it is authentic: plain" in result.stdout
    assert (folder / "plain").read_bytes() == DATA
    assert stat.S_IMODE((folder / "plain").stat().st_mode) == 0o600
    assert sorted(os.listdir()) == ["plain", "plain.strongroom"]


def test_as_json(folder, key):
    document = json.loads(run("encrypt", "plain", "-k", key, "-o", "out", "-c", "a=b", "--json").stdout)
    assert document.pop("seconds") >= 0
    assert document == {
        "input": "plain", "output": "out", "plaintext_bytes": len(DATA), "encrypted_bytes": (folder / "out").stat().st_size,
        "key_id": key, "encryption_context": {"a": "b"},
    }  # fmt: skip
    document = json.loads(run("decrypt", "out", "-o", "back", "--json").stdout)
    assert (document["key_id"], document["plaintext_bytes"]) == (key, len(DATA))


def test_pipes_carry_the_data_and_nothing_else(folder):
    encrypted = piped("encrypt", "-", "-k", "alias/files", data=DATA)
    assert encrypted.exit_code == 0
    decrypted = piped("decrypt", "-", data=encrypted.stdout_bytes)
    assert (decrypted.exit_code, decrypted.stdout_bytes) == (0, DATA)
    assert run("decrypt", "-", "-o", "x", "--json", input=None).exit_code != 0
    to_file = piped("encrypt", "-", "-k", "alias/files", "-o", "named", data=b"abc")
    assert (to_file.exit_code, "Encrypted 3 B" in to_file.stdout) == (0, True)
    assert run("decrypt", "named", "-o", "-").stdout_bytes == b"abc"


@pytest.mark.parametrize("command", [["encrypt", "plain", "-k", "alias/files"], ["decrypt", "in.strongroom"]])
def test_nothing_is_overwritten_unasked(sealed, folder, command):
    sealed.rename("in.strongroom")
    target = folder / {"encrypt": "plain.strongroom", "decrypt": "in"}[command[0]]
    target.write_bytes(b"precious")
    result = run(*command)
    assert result.exit_code == 1
    assert "exists already; nothing was written" in result.stderr
    assert target.read_bytes() == b"precious"
    assert run(*command, "--force").exit_code == 0
    assert target.read_bytes() != b"precious"


SPOILT = {
    "flipped": lambda data: data[:-20_000] + bytes([data[-20_000] ^ 1]) + data[-19_999:],
    "cut off": lambda data: data[:-1],
    "cut at a chunk": lambda data: data[: -(len(DATA) % 16384) - 16],
    "longer": lambda data: data + b"x",
    "header": lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:],
    "half a header": lambda data: data[:50],
    "empty": lambda data: b"",
    "something else": lambda data: b"\x89PNG\r\n\x1a\n" + data,
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_failed_decrypt_leaves_no_output(sealed, folder, spoil):
    (folder / "bad.strongroom").write_bytes(spoil(sealed.read_bytes()))
    before = sorted(os.listdir())
    result = run("decrypt", "bad.strongroom")
    assert result.exit_code == 1
    assert "strongroom: " in result.stderr
    assert "bug" not in result.stderr
    assert sorted(os.listdir()) == before
    (folder / "bad").write_bytes(b"old")
    assert run("decrypt", "bad.strongroom", "--force").exit_code == 1
    assert (folder / "bad").read_bytes() == b"old"


def test_a_pipe_that_is_cut_off_is_told_with_what_went_out(sealed):
    result = piped("decrypt", "-", data=sealed.read_bytes()[:-1])
    assert result.exit_code == 1
    assert DATA.startswith(result.stdout_bytes)
    assert (
        f"{len(result.stdout_bytes)} bytes went to standard output: authentic, but not all" in result.stderr
    )
    assert "do not use what came out" in result.stderr
    result = piped("decrypt", "-", data=sealed.read_bytes()[:300])
    assert (result.exit_code, result.stdout_bytes, "went to standard output" in result.stderr) == (
        1,
        b"",
        False,
    )


def test_another_context_or_key_than_expected_is_refused(sealed, folder):
    for wrong in (["-c", "tenant=8"], ["-c", "who=7"], ["-k", "alias/other"]):
        run("keys", "create", "--alias", "other")
        result = run("decrypt", "plain.strongroom", "-o", "out", *wrong)
        assert result.exit_code == 1
        assert not (folder / "out").exists()
    assert "another encryption context" in run("decrypt", sealed, "-o", "out", "-c", "tenant=8").stderr


@pytest.mark.parametrize(("part", "expected"), [
    ("0:0", b""), ("0:5", DATA[:5]), ("16380:10", DATA[16380:16390]), ("70000:", DATA[70000:]),
    ("76790:99999", DATA[76790:]), (f"{len(DATA)}:1", b""),
])  # fmt: skip
def test_a_range(sealed, part, expected):
    result = run("decrypt", sealed, "--range", part)
    assert (result.exit_code, result.stdout_bytes) == (0, expected)


def test_a_range_into_a_file(sealed, folder):
    document = json.loads(run("decrypt", sealed, "--range", "100:50", "-o", "part", "--json").stdout)
    assert (document["start"], document["plaintext_bytes"], document["total_bytes"]) == (100, 50, len(DATA))
    assert (folder / "part").read_bytes() == DATA[100:150]


def test_a_range_of_a_file_that_was_cut_off_or_beyond_its_end_is_refused(sealed, folder):
    beyond = run("decrypt", sealed, "--range", f"{len(DATA) + 1}:1")
    assert (beyond.exit_code, f"the data has {len(DATA)} bytes" in beyond.stderr) == (1, True)
    (folder / "bad").write_bytes(sealed.read_bytes()[:-1])
    assert run("decrypt", "bad", "--range", "0:5").exit_code == 1


def test_a_range_of_a_pipe_is_wrong_usage(sealed):
    command = [sys.executable, "-W", "ignore", "-m", "strongroom", "decrypt", "-", "--range", "0:5"]
    done = subprocess.run(command, input=sealed.read_bytes(), capture_output=True, timeout=60, check=False)
    assert (done.returncode, b"needs a file" in done.stderr, done.stdout) == (2, True, b"")


@pytest.mark.parametrize("arguments", [
    ["encrypt", "plain"],
    ["encrypt", "plain", "-k", "alias/files", "-c", "novalue"],
    ["encrypt", "plain", "-k", "alias/files", "-c", "a=1", "-c", "a=2"],
    ["encrypt", "plain", "-k", "alias/files", "-o", "-", "--json"],
    ["decrypt", "plain"],
    ["decrypt", ".strongroom"],
    ["decrypt", "plain.strongroom", "--range", "5"],
    ["decrypt", "plain.strongroom", "--range", "-1:5"],
    ["decrypt", "plain.strongroom", "--range", "1:x"],
    ["decrypt", "plain.strongroom", "--range", "٣:1"],
    ["decrypt", "plain.strongroom", "--range", "0:5", "--json"],
])  # fmt: skip
def test_wrong_usage_ends_with_2_and_makes_nothing(folder, arguments):
    assert run(*arguments).exit_code == 2
    assert os.listdir() == ["plain"]


@pytest.mark.parametrize(("arguments", "status", "words"), [
    (["encrypt", "absent", "-k", "alias/files"], 1, "No such file"),
    (["encrypt", ".", "-k", "alias/files", "-o", "x"], 1, "Is a directory"),
    (["encrypt", "plain", "-k", "alias/files", "-o", "no/such/folder"], 1, "No such file"),
    (["encrypt", "plain", "-k", "alias/absent"], 1, "there is no such key or alias"),
    (["encrypt", "plain", "-k", "alias/files", "-c", "a=" + "x" * 9000], 1, "over 8192 bytes"),
])  # fmt: skip
def test_what_cannot_be_is_told_and_makes_nothing(folder, arguments, status, words):
    result = run(*arguments)
    assert (result.exit_code, words in result.stderr) == (status, True), result.stderr
    assert os.listdir() == ["plain"]


def test_a_service_that_does_not_run_is_told_with_3(folder, monkeypatch):
    monkeypatch.setenv("STRONGROOM_PORT", "9")
    assert run("encrypt", "plain", "-k", "alias/files").exit_code == 3
    assert os.listdir() == ["plain"]


def test_encrypted_data_is_not_written_to_a_terminal(folder, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(
        "strongroom.cli._files.sys", type("Sys", (), {"stdout": Terminal(), "stderr": sys.stderr})
    )
    result = run("encrypt", "plain", "-k", "alias/files", "-o", "-")
    assert (result.exit_code, "a terminal cannot show encrypted data" in result.stderr) == (2, True)


@given(st.integers(0, 2**62), st.none() | st.integers(0, 2**62), st.floats(0, 1e9))
def test_a_progress_line_is_short_whatever_the_numbers(done, total, speed):
    line = progress_line(done, total, speed)
    assert len(line) < 120
    assert line.isprintable()


@pytest.mark.parametrize(("n_bytes", "text"), [
    (0, "0 B"), (999, "999 B"), (1024, "1.0 KiB"), (10 * 2**30, "10.0 GiB"), (2**30 - 1, "1.0 GiB"), (150 * 2**20, "150 MiB"),
])  # fmt: skip
def test_sizes_are_readable(n_bytes, text):
    assert readable_size(n_bytes) == text


def test_progress_is_drawn_ten_times_a_second_at_most_and_wiped(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    clock = FakeClock()
    progress = FileProgress(1000, clock=clock, is_shown=True)
    for done in range(0, 1000, 10):
        clock.advance(0.01)
        progress(done)
    progress.wipe()
    drawn = capsys.readouterr().err
    assert 9 <= drawn.count("\r") - 1 <= 10
    assert drawn.endswith("\r\x1b[K")
    quiet = FileProgress(1000, clock=clock, is_shown=False)
    clock.advance(1)
    quiet(10)
    quiet.wipe()
    assert capsys.readouterr().err == ""
