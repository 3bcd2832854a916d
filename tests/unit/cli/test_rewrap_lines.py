"""``strongroom rewrap lines``: one line out for each line in, whatever fails, and whenever it is killed."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from base64 import b64decode, b64encode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli_support import run
from rewrapping_server import KEY, environment_of, rewrap, rewrapping_server
from scripted_server import answer, close


def line_of(number, version="v1"):
    return {"id": number, "c": b64encode(b"%s:%d" % (version.encode(), number)).decode(), "note": "ü 1.0"}


def write_lines(path, count):
    path.write_text("".join(json.dumps(line_of(number)) + "\n" for number in range(count)))


def read_lines(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture(scope="module")
def server():
    with rewrapping_server() as running:
        yield running


def rewrap_lines(server, *arguments, **settings):
    return run("rewrap", "lines", *arguments, "--key", KEY, "--field", "c", **environment_of(server))


def test_every_line_comes_out_rewrapped_and_in_its_place(server, tmp_path):
    source, target = tmp_path / "in", tmp_path / "out"
    write_lines(source, 250)
    before = source.read_bytes()
    done = rewrap_lines(server, source, "-o", target, "--batch-items", "30", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rewrapped"] == 250
    assert read_lines(target) == [line_of(number, "v2") for number in range(250)]
    assert source.read_bytes() == before
    assert (target.stat().st_mode & 0o777, sorted(os.listdir(tmp_path))) == (0o600, ["in", "out"])


def test_lines_that_fail_come_out_as_they_were_and_are_told(server, tmp_path):
    source, target = tmp_path / "in", tmp_path / "out"
    good = json.dumps(line_of(1))
    source.write_text(f'{good}\nno json\n{{"c": "anVuaw=="}}\n\n{{"c": null}}\n{good}')
    done = rewrap_lines(server, source, "-o", target, "--json")
    assert done.exit_code == 1
    lines = target.read_text().split("\n")
    assert lines[1:5] == source.read_text().split("\n")[1:5]
    assert [json.loads(lines[at]) for at in (0, 5)] == [line_of(1, "v2")] * 2
    document = json.loads(done.stdout)
    assert {name: document[name] for name in ("lines", "rewrapped", "without", "failed")} == {
        "lines": 6, "rewrapped": 2, "without": 2, "failed": 2,
    }  # fmt: skip
    assert "line 2: it is no JSON object" in done.stderr
    assert "line 3: the ciphertext or its" in done.stderr


def test_contexts_come_from_the_line_or_for_all(server, tmp_path):
    source = tmp_path / "in"
    source.write_text('{"c": "djE6MQ==", "k": {"tenant": "7"}}\n{"c": "djE6MQ==", "k": {"tenant": "8"}}\n')
    done = rewrap_lines(server, source, "--context-field", "k")
    assert done.exit_code == 1
    assert [b64decode(json.loads(line)["c"]) for line in done.stdout.splitlines()] == [b"v2:1", b"v1:1"]
    assert rewrap_lines(server, source, "-c", "tenant=8").stdout == source.read_text()


def test_a_pipe_goes_in_and_out(server, tmp_path):
    from click.testing import CliRunner

    from strongroom.cli import root_command

    text = "".join(json.dumps(line_of(number)) + "\n" for number in range(40))
    arguments = ["rewrap", "lines", "-", "-k", KEY, "--field", "c", "--batch-items", "7"]
    done = CliRunner().invoke(root_command, arguments, input=text, env=environment_of(server))
    assert done.exit_code == 0, done.output
    assert [json.loads(line) for line in done.stdout.splitlines()] == [line_of(n, "v2") for n in range(40)]


def test_the_input_is_never_overwritten(server, tmp_path):
    source = tmp_path / "in"
    write_lines(source, 3)
    before = source.read_bytes()
    assert rewrap_lines(server, source, "-o", source).exit_code == 1
    assert rewrap_lines(server, source, "-o", source, "--force").exit_code == 1
    (tmp_path / "link").hardlink_to(source)
    assert rewrap_lines(server, source, "-o", tmp_path / "link", "--force").exit_code == 1
    (tmp_path / "out.part").hardlink_to(source)
    assert rewrap_lines(server, source, "-o", tmp_path / "out", "--resume").exit_code == 1
    assert source.read_bytes() == before


def test_what_stands_at_the_output_stays_unless_forced(server, tmp_path):
    source, target = tmp_path / "in", tmp_path / "out"
    write_lines(source, 3)
    target.write_text("precious")
    assert rewrap_lines(server, source, "-o", target).exit_code == 1
    assert target.read_text() == "precious"
    assert rewrap_lines(server, source, "-o", target, "--force").exit_code == 0
    assert read_lines(target) == [line_of(number, "v2") for number in range(3)]


def test_a_service_that_refuses_leaves_what_is_done_and_a_word_about_it(tmp_path):
    source, target = tmp_path / "in", tmp_path / "out"
    write_lines(source, 30)
    denied = answer(400, b'{"__type": "AccessDeniedException", "message": "no"}')
    with rewrapping_server((rewrap,), denied) as server:
        done = rewrap_lines(server, source, "-o", target, "--batch-items", "10")
        assert done.exit_code == 1
        assert "go on with --resume" in done.stderr
        assert not target.exists()
        assert len(read_lines(tmp_path / "out.part")) == 10
        again = rewrap_lines(server, source, "-o", target, "--batch-items", "10")
        assert (again.exit_code, "--resume" in again.stderr) == (1, True)
        done = rewrap_lines(server, source, "-o", target, "--resume", "--json")
        assert (done.exit_code, json.loads(done.stdout)["resumed"]) == (0, 10)
    assert read_lines(target) == [line_of(number, "v2") for number in range(30)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(kept=st.integers(0, 3_000), batch_items=st.integers(1, 30))
def test_an_output_that_ends_anywhere_is_completed_without_gap_or_double(server, tmp_path, kept, batch_items):
    source, whole = tmp_path / "in", tmp_path / "whole"
    write_lines(source, 40)
    target = tmp_path / "out"
    assert rewrap_lines(server, source, "-o", whole, *(["--force"] if whole.exists() else [])).exit_code == 0
    (tmp_path / "out.part").write_bytes(whole.read_bytes()[:kept])
    done = rewrap_lines(server, source, "-o", target, "--resume", "--batch-items", batch_items)
    assert done.exit_code == 0, done.output
    assert target.read_bytes() == whole.read_bytes()
    target.unlink()


def test_an_unfinished_output_of_another_input_is_not_gone_on_with(server, tmp_path):
    source, target, part = tmp_path / "in", tmp_path / "out", tmp_path / "out.part"
    write_lines(source, 3)
    for other in (
        json.dumps(line_of(9)) + "\n",
        "".join(json.dumps(line_of(n)) + "\n" for n in range(4)),
        "x\n",
    ):
        part.write_text(other)
        done = rewrap_lines(server, source, "-o", target, "--resume")
        assert (done.exit_code, "not that line of this input" in done.stderr) == (1, True)
        assert (part.read_text(), target.exists()) == (other, False)


def test_two_do_not_write_one_output(server, tmp_path):
    source, part = tmp_path / "in", tmp_path / "out.part"
    write_lines(source, 3)
    with part.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = rewrap_lines(server, source, "-o", tmp_path / "out", "--resume")
    assert (done.exit_code, "another process" in done.stderr) == (1, True)


def test_kill_9_at_any_request_loses_nothing_and_repeats_nothing(tmp_path):
    source, target = tmp_path / "in", tmp_path / "out"
    write_lines(source, 90)
    running = []

    def kill_it(connection, stop):
        os.kill(running[-1].pid, signal.SIGKILL)
        running[-1].wait()

    steps = [(rewrap,), kill_it, (rewrap,), (rewrap,), kill_it, close, kill_it, (rewrap,)]
    with rewrapping_server(*steps) as server:
        arguments = ["rewrap", "lines", source, "-o", target, "--key", KEY, "--field", "c", "--batch-items", "10", "--resume"]  # fmt: skip
        for kills in range(4):
            running.append(
                subprocess.Popen(
                    ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "strongroom", *map(str, arguments)],
                    env={"PATH": os.environ["PATH"], **environment_of(server)}, stderr=subprocess.PIPE,
                )
            )  # fmt: skip
            _, errors = running[-1].communicate(timeout=100)
            assert running[-1].returncode == (-signal.SIGKILL if kills < 3 else 0), errors
    assert read_lines(target) == [line_of(number, "v2") for number in range(90)]


@pytest.mark.parametrize(
    "arguments",
    [["-c", "a=b", "--context-field", "k"], ["--resume"], ["--force"], ["--json"], ["--batch-items", "0"]],
)
def test_what_makes_no_sense_is_wrong_usage(server, tmp_path, arguments):
    (tmp_path / "in").touch()
    assert rewrap_lines(server, tmp_path / "in", *arguments).exit_code == 2
