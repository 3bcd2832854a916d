"""The command line on a real development home: made, interrupted, examined, served, toured."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from running_service import configure, copy_home, free_port, processes_of, require_softhsm
from strongroom.config import Home

pytestmark = pytest.mark.softhsm

LIMIT_S = 90


def _environment(home, port=8443):
    kept = ("PATH", "STRONGROOM_SOFTHSM_MODULE", "LANG")
    inherited = {name: os.environ[name] for name in kept if name in os.environ}
    return {**inherited, "STRONGROOM_HOME": str(home.root), "STRONGROOM_PORT": str(port)}


def _strongroom(home, *arguments, port=8443):
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "strongroom", *arguments],
        capture_output=True, text=True, env=_environment(home, port), timeout=LIMIT_S, check=False,
    )  # fmt: skip


def _secrets(home):
    key = json.loads(home.development_access_key.read_bytes())["secret_access_key"]
    pins = [path.read_text() for path in home.pins.iterdir() if path.suffix != ".json"]
    assert len(pins) == 4
    return [key, *pins]


def _contents(home):
    return {
        path: path.read_bytes() for path in home.root.rglob("*") if path.is_file() and path.suffix != ".lock"
    }


def _interrupted_init(home):
    """Press Ctrl-C while the root is being made; returns the status and what was said after that."""
    process = subprocess.Popen(
        [sys.executable, "-m", "strongroom", "init", "--development"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environment(home),
    )  # fmt: skip
    try:
        seen = ""
        while "generating the root KEK" not in seen:
            line = process.stderr.readline()
            assert line, seen
            seen += line
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait(60)
    return process.returncode, rest


def test_init_survives_an_interruption_and_a_repetition(tmp_path):
    require_softhsm()
    for attempt in range(5):  # where we ourselves stand still, it is done before the signal comes
        home = Home(tmp_path / f"home-{attempt}")
        status, rest = _interrupted_init(home)
        if status != 0:
            break
    assert (status, rest.splitlines()[-1]) == (130, "strongroom: interrupted")
    assert "Traceback" not in rest
    assert processes_of(home.root) == []
    half_made = _strongroom(home, "serve")
    assert half_made.returncode == 1
    assert "half initialised" in half_made.stderr

    made = _strongroom(home, "init", "--development")
    assert made.returncode == 0, made.stderr
    assert "removing what an interrupted init left" in made.stderr
    assert "proving the copy" in made.stderr
    assert "What to do next:" in made.stdout
    before = _contents(home)
    again = _strongroom(home, "init", "--development", "--json")
    assert again.returncode == 0
    assert json.loads(again.stdout)["made"] is False
    assert _contents(home) == before

    examined = _strongroom(home, "doctor", port=free_port())
    assert examined.returncode == 0, examined.stdout
    assert "ok    member alpha: " in examined.stdout
    assert "fail" not in examined.stdout
    outputs = "".join(done.stdout + done.stderr for done in (made, again, examined, half_made))
    assert not any(secret in outputs for secret in _secrets(home))


def test_the_doctor_misses_a_token_that_is_gone(initialised_home, tmp_path):
    home = copy_home(initialised_home, tmp_path / "home")
    (home.tokens / "beta").rename(home.tokens / "elsewhere")
    (home.tokens / "beta").mkdir()
    done = _strongroom(home, "doctor", "--json", port=free_port())
    assert done.returncode == 1
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["member alpha"]["level"] == "ok"
    assert checks["member beta"]["level"] == "fail"
    assert "it shows: none" in checks["member beta"]["message"]


class Served:
    """A home that ``strongroom serve`` serves."""

    def __init__(self, home, port):
        self.home = home
        self.port = port

    def run(self, *arguments):
        return _strongroom(self.home, *arguments, port=self.port)

    def json(self, *arguments):
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def served(initialised_home, tmp_path_factory):
    """Every call needs an HSM: the cache is off."""
    folder = tmp_path_factory.mktemp("served")
    home = copy_home(initialised_home, folder / "home")
    configure(home, section="cache", ttl_s=0.0)
    running = Served(home, free_port())
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "strongroom", "serve"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment(home, running.port),
        )  # fmt: skip
    try:
        deadline = time.monotonic() + LIMIT_S
        while running.run("status").returncode != 0:
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.2)
        yield running
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait(60)


def test_status_shows_two_active_members_with_processes_that_live(served):
    document = served.json("status")
    assert (document["ready"], document["not_ready"]) == (True, [])
    assert {member["name"]: member["state"] for member in document["members"]} == {
        "alpha": "active",
        "beta": "active",
    }
    for member in document["members"]:
        os.kill(member["pid"], 0)


def test_keys_are_made_listed_and_shown_by_the_real_service(served):
    made = served.json("keys", "create", "--alias", "cli-test", "--description", "made by a test")
    assert served.json("keys", "show", "alias/cli-test") == made
    assert made["key_id"] in [key["key_id"] for key in served.json("keys", "list")["keys"]]


def test_the_lines_of_env_serve_a_shell_and_an_sdk(served):
    program = (
        "import boto3; kms = boto3.client('kms'); key = kms.create_key()['KeyMetadata']['KeyId'];"
        "made = kms.encrypt(KeyId=key, Plaintext=b'x')['CiphertextBlob'];"
        "print(kms.decrypt(CiphertextBlob=made)['Plaintext'])"
    )
    script = f'eval "$("{sys.executable}" -m strongroom env)" && exec "{sys.executable}" -c "{program}"'
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, timeout=LIMIT_S, check=False,
        env={**_environment(served.home, served.port), "AWS_SESSION_TOKEN": "of-another-cloud"},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "b'x'\n"), done.stderr


def test_the_demo_kills_a_member_and_no_call_fails(served):
    before = {member["name"]: member["pid"] for member in served.json("status")["members"]}
    document = served.json("demo", "--seconds", "3")
    assert (document["failed_calls"], document["first_failure"]) == (0, None)
    assert document["calls"] > 20
    assert document["killed_pid"] == before[document["member"]]
    assert document["new_pid"] not in {None, document["killed_pid"]}
    events = [entry["event"] for entry in document["audit_tail"]]
    assert "member.failed" in events
    assert "member.active" in events


@pytest.mark.slow
def test_the_demo_tells_in_words_what_was_seen(served):
    done = served.run("demo", "--seconds", "2")
    assert done.returncode == 0, done.stderr
    for words in ("kill -9 ", " 0 failed;", "is active again after", "4. The record."):
        assert words in done.stdout
    assert not any(secret in done.stdout + done.stderr for secret in _secrets(served.home))


def test_doctor_and_audit_verify_work_beside_the_running_service(served):
    checks = {check["name"]: check["level"] for check in served.json("doctor")["checks"]}
    assert checks["port"] == "ok"
    assert "fail" not in checks.values()
    report = served.json("audit", "verify")
    assert report["sound"]
    assert {writer["writer"] for writer in report["writers"]} >= {"api-0", "main"}  # one api-N for each core


def test_a_second_serve_is_refused(served):
    done = served.run("serve")
    assert done.returncode == 1
    assert "another process serves or changes" in done.stderr
