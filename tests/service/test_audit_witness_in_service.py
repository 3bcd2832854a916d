"""A real service and real witness processes, one killed and one frozen: calls go on, both confirm the log in the end, and it verifies by them."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from cli_support import run
from running_service import RunningService, copy_home, free_port
from strongroom.audit import CheckpointFiles, WitnessedFiles
from strongroom.wiring.witness_folder import make_witness


class WitnessProcess:
    """``audit witness serve`` in a process of its own."""

    def __init__(self, folder, name):
        self.folder, self.port = folder, free_port()
        signer = make_witness(folder, name=name, listen=f"127.0.0.1:{self.port}")
        self.keys = [key.text() for key in signer.keys]
        self._process = None

    def speak_tls(self, tls):
        """Use the development certificate of a home."""
        with (self.folder / "witness.toml").open("a") as file:
            file.write(f'tls_certificate = "{tls / "server.pem"}"\ntls_key = "{tls / "server.key"}"\n')

    def watch(self, origin, key):
        with (self.folder / "witness.toml").open("a") as file:
            file.write(f'[[logs]]\norigin = "{origin}"\nkeys = ["{key}"]\n')

    def start(self):
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "strongroom",
                      "audit", "witness", "serve", "--folder", str(self.folder)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env={name: value for name, value in os.environ.items() if not name.startswith("STRONGROOM")},
            )  # fmt: skip

    def send(self, number):
        self._process.send_signal(number)

    def end(self, number=signal.SIGTERM):
        process, self._process = self._process, None
        process.send_signal(signal.SIGCONT)
        process.send_signal(number)
        return process.wait(60)

    def close(self):
        if self._process is not None:
            self.end(signal.SIGKILL)

    def log(self):
        return (self.folder / "log").read_text()


@pytest.fixture
def witnesses(tmp_path):
    made = [WitnessProcess(tmp_path / name, f"witness.example/{name}") for name in ("w1", "w2")]
    yield made
    for one in made:
        one.close()


@pytest.fixture
def home(initialised_home, tmp_path, witnesses):
    made = copy_home(initialised_home, tmp_path / "home")
    first, second = witnesses
    first.speak_tls(made.tls)
    urls = {first: f"https://localhost:{first.port}", second: f"http://127.0.0.1:{second.port}"}
    tables = "".join(
        f'[[audit.witnesses]]\nname = "{one.folder.name}"\nurl = "{urls[one]}"\nca_file = "tls/ca.pem"\n'
        f"keys = {json.dumps(one.keys)}\ntimeout_s = 1.0\nretry_max_s = 0.2\nalarm_s = 1.0\n"
        for one in witnesses
    )
    made.config_file.write_text(f"{made.config_file.read_text()}\n{tables}")
    return made


def until(is_so, limit_s=60):
    end = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def confirmed(home, witness):
    last = WitnessedFiles(home.audit, witness.folder.name).last()
    return 0 if last is None else last.checkpoint.size


def covered(home):
    last = CheckpointFiles(home.audit).last()
    return 0 if last is None else last.checkpoint.size


def use(service, times=5):
    kms = service.client()
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    for _ in range(times):
        kms.encrypt(KeyId=key, Plaintext=b"x")
    kms.close()


def test_a_log_is_confirmed_by_witnesses_that_are_killed_and_frozen_in_between(
    home, witnesses, tmp_path, monkeypatch
):
    killed, frozen = witnesses
    frozen.start()
    killed.start()
    with RunningService(home) as service:
        service.start()
        until(lambda: "witness.started" in frozen.log() and "witness.started" in killed.log())
        frozen.send(signal.SIGSTOP)
        use(service)
        until(lambda: covered(home))
        files = CheckpointFiles(home.audit)
        for one in witnesses:  # who ran without the log's key so far
            one.watch(files.origin(), files.keys()[0].text())
        killed.end(signal.SIGKILL)
        use(service)
        killed.start()
        until(lambda: confirmed(home, killed) >= 1)
        use(service)
        until(lambda: 'audit_witness_failing{witness="w2"} 1' in service.get("/metrics"))
        until(lambda: any(event["witness"] == "w2" for event in service.events("audit.witness_behind")))
        assert confirmed(home, frozen) == 0
        assert frozen.end() == 0
        frozen.start()
        until(lambda: confirmed(home, frozen) >= 1)
        assert service.stop() == 0
    assert [one.end() for one in witnesses] == [0, 0]
    assert not service.events("audit.witness_disagrees")
    (tmp_path / "keys").write_text("".join(f"{line}\n" for one in witnesses for line in one.keys))
    found = run("audit", "verify", str(home.root), "--witness", str(tmp_path / "keys"), "--json")
    assert found.exit_code == 0, found.output
    tree = json.loads(found.stdout)["tree"]
    assert [one["witness"] for one in tree["confirmed"]] == ["witness.example/w1", "witness.example/w2"]
    monkeypatch.setenv("STRONGROOM_HOME", str(home.root))
    states = json.loads(run("audit", "witness", "status", "--json").stdout)["witnesses"]
    assert "DISAGREES" not in {one["state"] for one in states}
    assert all(one["confirmed"] for one in states)
