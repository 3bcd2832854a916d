"""The load of the demo counts every failure, and the kill hits workers only."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli_support import ACCESS_KEY, SECRET_KEY, free_port
from strongroom.cli._answers import MemberEntry
from strongroom.cli._demo_load import Load, kill_worker
from strongroom.cli._errors import NotDoneError
from strongroom.client import AccessKey, Endpoint, Service
from strongroom.core import Secret, SystemClock


def _service(home, port):
    endpoint = Endpoint("https", "localhost", port, home.tls / "ca.pem")
    return Service(endpoint, AccessKey(ACCESS_KEY, Secret.from_text(SECRET_KEY)), "us-east-1")


def _run_load(service, key_id, seconds=0.3):
    with Load(service, key_id, clock=SystemClock()) as load:
        load.run_for(seconds)
    return load.result()


@pytest.fixture
async def key_id(api):
    return (await api.service.create_key(None, description="")).key_id


def test_calls_that_succeed_are_counted(api, home, key_id):
    result = _run_load(_service(home, api.port), key_id)
    assert result.calls > 4
    assert (result.failed, result.first_failure) == (0, None)
    assert 0 < result.slowest_s < 30


def test_calls_that_the_service_refuses_are_failures(api, home):
    result = _run_load(_service(home, api.port), "11111111-2222-4333-8444-555555555555")
    assert result.failed == result.calls > 0
    assert result.first_failure.startswith("Encrypt: there is no such key")


def test_calls_that_nobody_answers_are_failures(home):
    result = _run_load(_service(home, free_port()), "x", seconds=0.1)
    assert result.failed == result.calls > 0
    assert "not running" in result.first_failure


def test_a_wrong_plaintext_is_a_failure(api, home, key_id, monkeypatch):
    decrypt = api.service.decrypt

    async def lie(caller, ciphertext, *, key, context):
        return (await decrypt(caller, ciphertext, key=key, context=context))._replace(
            plaintext=Secret(b"lie")
        )

    monkeypatch.setattr(api.service, "decrypt", lie)
    result = _run_load(_service(home, api.port), key_id)
    assert result.failed > 0
    assert result.first_failure == "Decrypt answered something else than was encrypted"


def test_a_client_that_breaks_in_an_unforeseen_way_is_a_failure(api, home, key_id, monkeypatch):
    monkeypatch.setattr("strongroom.api.sign_request", lambda **_: 1 / 0)
    result = _run_load(_service(home, api.port), key_id, seconds=0.05)
    assert result.failed == result.calls > 0
    assert result.first_failure == "Encrypt: ZeroDivisionError"


@pytest.mark.parametrize("pid", [None, 0, 1, -1, 2**40])
def test_a_process_id_that_is_none_kills_nobody(pid):
    with pytest.raises(NotDoneError, match="is not a worker of this machine"):
        kill_worker(MemberEntry("alpha", "active", pid=pid))


def test_only_a_process_that_is_a_worker_is_killed(tmp_path):
    program = [sys.executable, "-c", "import time; time.sleep(60)"]
    bystander, worker = subprocess.Popen(program), subprocess.Popen([*program, "strongroom.runtime.member"])
    try:
        with pytest.raises(NotDoneError):
            kill_worker(MemberEntry("alpha", "active", pid=bystander.pid))
        for _ in range(500):  # right after exec(2) the command line of a process can still be empty
            if Path(f"/proc/{worker.pid}/cmdline").read_bytes():
                break
            time.sleep(0.01)
        assert kill_worker(MemberEntry("alpha", "active", pid=worker.pid)) == worker.pid
        assert worker.wait(60) == -signal.SIGKILL
        assert bystander.poll() is None
    finally:
        for process in (bystander, worker):
            process.kill()
            process.wait(60)
