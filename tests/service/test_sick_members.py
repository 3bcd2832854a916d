"""Members that answer but cannot serve, hang at their start, talk too much or refuse a PIN; and a home that moved."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from running_service import RunningService, configure, copy_home
from strongroom.config import Home, load_config, render_config, softhsm_module
from strongroom.hsm.token import load_profile
from strongroom.wiring.development_tls import write_private
from strongroom.wiring.home import restore_runtime_folder

EX_CONFIG = 78
ODD_MODULE = Path(__file__).parents[1] / "faults" / "odd_module.c"


@pytest.fixture
def home(initialised_home: Path, tmp_path: Path) -> Home:
    return copy_home(initialised_home, tmp_path / "home")


def change_member(home: Home, name: str, **settings: object) -> None:
    config = load_config(home.root)
    members = [
        msgspec.structs.replace(member, **settings) if member.name == name else member
        for member in config.cluster.members
    ]
    cluster = msgspec.structs.replace(config.cluster, members=members)
    home.config_file.write_text(render_config(msgspec.structs.replace(config, cluster=cluster)))


def odd_module(tmp_path: Path, *options: str) -> str:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("odd modules need a C compiler: apt-get install gcc libc6-dev")
    real = softhsm_module() or load_profile("softhsm2").find_module()
    made = str(tmp_path / "odd.so")
    command = [compiler, "-shared", "-fPIC", f'-DREAL_MODULE="{real}"', *options, "-o", made, str(ODD_MODULE)]
    subprocess.run([*command, "-ldl"], check=True)
    return made


def until(service: RunningService, claim, limit_s: float = 40.0) -> None:
    deadline = time.monotonic() + limit_s
    while not claim():
        assert time.monotonic() < deadline, service.log()
        time.sleep(0.05)


class HiddenRoot:
    """The files of a token's objects, taken away under the running worker; ``give_back`` puts them back."""

    def __init__(self, home: Home, member: str) -> None:
        self._away = home.root.with_name(f"{home.root.name}-{member}-away")
        self._away.mkdir()
        found = [path for path in (home.tokens / member).rglob("*.object") if path.name != "token.object"]
        assert found
        self._token = found[0].parent
        for path in found:
            path.rename(self._away / path.name)

    def give_back(self) -> None:
        for path in self._away.iterdir():
            path.rename(self._token / path.name)


def test_a_member_that_lost_the_root_under_way_is_ejected_and_comes_back_when_it_has_it_again(
    home: Home,
) -> None:
    configure(home, section="cache", ttl_s=0.0)
    configure(home, section="deadlines", attempt_s=0.5, request_s=3.0)
    with RunningService(home) as service:
        service.start()
        kms = service.client()
        key_id = kms.create_key()["KeyMetadata"]["KeyId"]
        until(service, lambda: len(service.events("member.active")) == 2)

        def ejected(member: str) -> bool:
            kms.encrypt(KeyId=key_id, Plaintext=b"x")  # no call fails while the other member works
            return any(event["member"] == member for event in service.events("member.failed"))

        hidden = HiddenRoot(home, "alpha")
        until(service, lambda: ejected("alpha"))
        (cause,) = {event["cause"] for event in service.events("member.failed")}
        assert "holds no secret_key" in cause
        kms.encrypt(KeyId=key_id, Plaintext=b"x")
        assert service.is_ready()
        hidden_too = HiddenRoot(home, "beta")
        with pytest.raises(Exception, match="DependencyTimeoutException"):
            kms.encrypt(KeyId=key_id, Plaintext=b"x")
        until(service, lambda: not service.is_ready())
        hidden.give_back()
        until(service, service.is_ready)
        kms.encrypt(KeyId=key_id, Plaintext=b"x")
        hidden_too.give_back()
        since = len(service.events("member.active"))
        until(service, lambda: len(service.events("member.active")) > since)
        assert service.stop() == 0


def test_a_member_that_hangs_at_its_start_does_not_delay_the_service(home: Home, tmp_path: Path) -> None:
    change_member(home, "alpha", module=odd_module(tmp_path, "-DHANGS"))
    with RunningService(home) as service:
        began = time.monotonic()
        service.start()
        assert time.monotonic() - began < 25
        service.client().create_key()
        assert {event["member"] for event in service.events("member.active")} == {"beta"}
        assert service.events("member.failed") == [], "it was meant to hang"
        assert service.stop() == 0


def test_a_library_that_prints_to_standard_output_disturbs_nobody(home: Home, tmp_path: Path) -> None:
    module = odd_module(tmp_path)
    for name in ("alpha", "beta"):
        change_member(home, name, module=module)
    with RunningService(home) as service:
        service.start()
        service.client().create_key()
        assert "evaluation copy" in service.log()
        assert service.stop() == 0
        doctor = subprocess.run(
            [sys.executable, "-m", "strongroom", "doctor", "--json"],
            env={**os.environ, "STRONGROOM_HOME": str(home.root)},
            capture_output=True,
            check=False,
        )
        members = [found for found in json.loads(doctor.stdout)["checks"] if "member" in found["name"]]
        assert {found["name"] for found in members} == {"member alpha", "member beta"}
        assert {found["level"] for found in members} == {"ok", "note"}  # SoftHSM keeps no log of its own


def test_a_refused_pin_is_not_tried_again_by_a_service_that_is_restarted(home: Home) -> None:
    right = {name: (home.pins / name).read_bytes() for name in ("alpha", "beta")}
    for name in right:
        write_private(home.pins / name, b"wrong-pin-canary")
    with RunningService(home) as service:
        for _ in range(3):
            service.start(wait=False)
            assert service.wait_exit() == EX_CONFIG
        stopped = service.events("member.stopped")
        assert len(stopped) == 6
        assert sum("refused this PIN before" in event["cause"] for event in stopped) == 4
        assert f"remove {home.pin_refused / 'alpha'}" in service.log()
        shown = service.log() + "".join(path.read_text() for path in home.pin_refused.iterdir())
        assert "wrong-pin-canary" not in shown
        for name, pin in right.items():
            write_private(home.pins / name, pin)
        service.start()
        until(service, lambda: {event["member"] for event in service.events("member.active")} == set(right))
        assert list(home.pin_refused.iterdir()) == []
        assert service.stop() == 0


def test_a_copied_home_serves_from_its_own_tokens(initialised_home: Path, tmp_path: Path) -> None:
    original = copy_home(initialised_home, tmp_path / "original")
    moved = Home(tmp_path / "moved")
    shutil.copytree(original.root, moved.root)
    shutil.rmtree(original.root)
    with RunningService(moved) as service:
        service.start()
        service.client().create_key()
        assert len(service.events("softhsm.config_written")) >= 1
        assert service.stop() == 0
    assert not original.root.exists()


def test_init_leaves_no_socket_folder(initialised_home: Path) -> None:
    folder = restore_runtime_folder(Home(initialised_home))
    assert list(folder.iterdir()) == []
    folder.rmdir()


def test_sockets_that_somebody_cleaned_away_are_made_again(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(home, section="cache", ttl_s=0.0)
    with RunningService(home) as service:
        service.start()
        kms = service.client(attempts=5)
        key_id = kms.create_key()["KeyMetadata"]["KeyId"]
        until(service, lambda: len(service.events("member.active")) == 2)
        shutil.rmtree(restore_runtime_folder(home))
        kms.encrypt(KeyId=key_id, Plaintext=b"x")
        service.signal("api", signal.SIGKILL)
        until(service, lambda: len(service.events("api.started")) == 2)
        until(service, service.is_ready)
        kms.encrypt(KeyId=key_id, Plaintext=b"x")
        assert service.stop() == 0
    assert "Traceback" not in service.log()


def test_an_api_process_that_cannot_start_is_said_and_not_called_a_service(home: Home) -> None:
    key = (home.tls / "server.key").read_bytes()
    foreign = subprocess.run(
        ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        check=True,
        capture_output=True,
    ).stdout
    write_private(home.tls / "server.key", foreign)
    with RunningService(home) as service:
        service.start(wait=False)
        service.wait_for("strongroom: the TLS certificate or its key cannot be used")
        assert "what to do:" in service.log()
        assert service.events("service.started") == []
        write_private(home.tls / "server.key", key)
        service.wait_ready()
        assert len(service.events("service.started")) == 1
        assert service.stop() == 0
