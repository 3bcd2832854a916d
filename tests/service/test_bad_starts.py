"""What is wrong at the start is said in words, with what to do; and what goes wrong later heals."""

import resource
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import botocore.exceptions
import msgspec
import pytest

from running_service import RunningService, copy_home
from strongroom.audit import read_entries, verify_log
from strongroom.config import Home, load_config, render_config
from strongroom.wiring.development_tls import write_private

EX_CONFIG = 78


@pytest.fixture
def home(initialised_home: Path, tmp_path: Path) -> Home:
    return copy_home(initialised_home, tmp_path / "home")


@pytest.fixture(scope="module")
def served(initialised_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """For what leaves a service as it was."""
    with RunningService(copy_home(initialised_home, tmp_path_factory.mktemp("served") / "home")) as service:
        service.start()
        yield service


def refuse_to_start(home: Home) -> tuple[int, str]:
    with RunningService(home) as service:
        service.start(wait=False)
        return service.wait_exit(), service.log()


def change_members(home: Home, **settings: object) -> None:
    config = load_config(home.root)
    members = [msgspec.structs.replace(member, **settings) for member in config.cluster.members]
    changed = msgspec.structs.replace(
        config, cluster=msgspec.structs.replace(config.cluster, members=members)
    )
    home.config_file.write_text(render_config(changed))


def test_a_wrong_pin_is_tried_once_and_said(home: Home) -> None:
    for name in ("alpha", "beta"):
        write_private(home.pins / name, b"wrong-pin-canary")
    status, log = refuse_to_start(home)
    assert status == EX_CONFIG
    assert log.count('"member.stopped"') == 2, "each member once, never again"
    assert "what to do:" in log
    assert "PIN" in log
    assert "wrong-pin-canary" not in log


def test_one_member_with_a_wrong_pin_does_not_stop_the_service(home: Home) -> None:
    write_private(home.pins / "alpha", b"wrong-pin-canary")
    with RunningService(home) as service:
        service.start()
        kms = service.client()
        key_id = kms.create_key()["KeyMetadata"]["KeyId"]
        kms.encrypt(KeyId=key_id, Plaintext=b"x")
        time.sleep(2)
        assert len(service.events("member.stopped")) == 1
        assert len(service.events("member.failed")) == 0
        assert service.stop() == 0


def test_a_missing_module_is_said_with_its_path(home: Home) -> None:
    change_members(home, module="/nowhere/libhsm.so")
    status, log = refuse_to_start(home)
    assert status == EX_CONFIG
    assert "/nowhere/libhsm.so" in log
    assert "what to do:" in log


def test_an_absent_token_is_said_with_what_was_found(home: Home) -> None:
    change_members(home, token_serial="0123456789abcdef")
    status, log = refuse_to_start(home)
    assert status == EX_CONFIG
    assert "0123456789abcdef" in log
    assert "what to do:" in log


def test_a_half_initialised_home_is_refused_and_init_starts_afresh(home: Home) -> None:
    home.unfinished_mark.touch()
    status, log = refuse_to_start(home)
    assert status == 1
    assert "half initialised" in log
    assert "strongroom init" in log


def test_no_home_is_said(tmp_path: Path) -> None:
    status, log = refuse_to_start(Home(tmp_path / "nothing"))
    assert status == 1
    assert "strongroom init" in log


def test_a_missing_database_is_never_made_anew(home: Home) -> None:
    home.database.unlink()
    status, log = refuse_to_start(home)
    assert status == 1
    assert str(home.database) in log
    assert not home.database.exists()


def test_a_second_service_on_the_same_home_is_refused(home: Home) -> None:
    with RunningService(home) as first:
        first.start()
        second = RunningService(home)
        with second:
            second.start(wait=False)
            assert second.wait_exit() == 1
        assert "another process serves" in second.log()
        assert first.is_ready()


def test_a_taken_port_is_said(home: Home) -> None:
    with RunningService(home) as service, socket.create_server(("127.0.0.1", service.port)):
        service.start(wait=False)
        assert service.wait_exit() == 1
        assert f"port {service.port}" in service.log()


def test_a_member_with_another_key_under_the_same_name_never_serves(home: Home) -> None:
    """Somebody put another estate's database beside these tokens: no canary opens, so nobody serves."""
    with sqlite3.connect(home.database) as database:
        (canary,) = database.execute("select canary from roots").fetchone()
        forged = canary[:-1] + bytes([canary[-1] ^ 1])
        database.execute("update roots set canary = ?", (forged,))
    with RunningService(home) as service:
        service.start(wait=False)
        service.wait_for("member.stopped")
        deadline = time.monotonic() + 20
        while len(service.events("member.stopped")) < 2:
            assert time.monotonic() < deadline, service.log()
            time.sleep(0.05)
        assert service.events("member.active") == []
        assert not service.is_ready()


def test_an_audit_log_that_cannot_grow_stops_the_service_from_answering_until_it_can(
    served: RunningService,
) -> None:
    kms = served.client()
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
    api = served.children()["api"]
    # A limit on file sizes is the full disk that needs no disk: writes beyond it fail with EFBIG.
    _, hard = resource.prlimit(api, resource.RLIMIT_FSIZE)
    resource.prlimit(api, resource.RLIMIT_FSIZE, (64, hard))
    for call in (lambda: kms.decrypt(CiphertextBlob=blob), kms.create_key, kms.list_keys):
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"] == "KMSInternalException", (
            caught.value.response,
            served.log(),
        )
        assert "audit" in caught.value.response["Error"]["Message"].lower()
    assert not served.is_ready()
    resource.prlimit(api, resource.RLIMIT_FSIZE, (hard, hard))
    deadline = time.monotonic() + 20
    while not served.is_ready():
        assert time.monotonic() < deadline, "the log did not heal"
        time.sleep(0.1)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    verify_log(served.home.audit)


def test_a_killed_api_process_comes_back_and_members_do_not_notice(served: RunningService) -> None:
    kms = served.client(attempts=5)
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    before = served.children()
    served.signal("api", signal.SIGKILL)
    kms.encrypt(KeyId=key_id, Plaintext=b"x")
    after = served.children()
    assert after["api"] != before["api"]
    assert after["alpha"] == before["alpha"]


def test_children_do_not_outlive_a_killed_main(home: Home) -> None:
    with RunningService(home) as service:
        service.start()
        service.signal("alpha", signal.SIGSTOP)  # a stopped worker must go too
        service.kill_everything()


def test_what_the_service_did_stands_in_mains_log(home: Home) -> None:
    with RunningService(home) as service:
        service.start()
        service.signal("alpha", signal.SIGKILL)
        service.wait_for("member.failed")
        assert service.stop() == 0
    events = [(entry.event, entry.member) for entry in read_entries(home.audit) if entry.writer == "main"]
    assert ("member.failed", "alpha") in events
    assert ("service.stopped", "") in events
