"""A member that fails under a running service: what its worker heals itself, and PINs that are refused or whose worker dies."""

import contextlib
import time
from pathlib import Path

import msgspec
import pytest

from faults.fault_shim import FaultShim
from fixtures_softhsm import softhsm_library
from running_service import RunningService, configure, copy_home
from strongroom.config import Home, load_config, render_config

pytestmark = pytest.mark.softhsm


@pytest.fixture
def shim(tmp_path):
    with FaultShim(tmp_path / "shim", softhsm_library(), copy_module=False) as made:
        yield made


@pytest.fixture
def home(initialised_home: Path, tmp_path: Path, shim: FaultShim) -> Home:
    """Two members, of which alpha's module is the shim; every call asks an HSM."""
    made = copy_home(initialised_home, tmp_path / "home")
    configure(made, section="cache", ttl_s=0.0)
    config = load_config(made.root)
    members = [
        msgspec.structs.replace(member, module=str(shim.library)) if member.name == "alpha" else member
        for member in config.cluster.members
    ]
    cluster = msgspec.structs.replace(config.cluster, members=members)
    made.config_file.write_text(render_config(msgspec.structs.replace(config, cluster=cluster)))
    return made


def until(service: RunningService, claim, limit_s: float = 40.0) -> None:
    deadline = time.monotonic() + limit_s
    while not claim():
        assert time.monotonic() < deadline, service.log()
        time.sleep(0.05)


def active(service: RunningService) -> list[str]:
    return sorted(event["member"] for event in service.events("member.active"))


def test_lost_logins_and_cut_links_cost_no_call_and_no_worker(home: Home, shim: FaultShim) -> None:
    with RunningService(home) as service:
        service.start()
        until(service, lambda: active(service) == ["alpha", "beta"])
        kms = service.client()
        key_id = kms.create_key()["KeyMetadata"]["KeyId"]
        for lose in (shim.log_out, shim.cut_link, shim.lose_token):
            lose()
            enough = shim.calls("C_DecryptInit") + 3  # the load is spread: beta may do the first calls
            while shim.calls("C_DecryptInit") < enough:
                kms.encrypt(KeyId=key_id, Plaintext=b"x")
        assert service.events("member.failed") == service.events("member.stopped") == []
        assert active(service) == ["alpha", "beta"]
        assert shim.repeated_pins == 0
        assert service.stop() == 0


def test_a_pin_that_is_refused_in_service_is_sent_once_and_by_no_later_worker(
    home: Home, shim: FaultShim
) -> None:
    with RunningService(home) as service:
        service.start()
        until(service, lambda: active(service) == ["alpha", "beta"])
        kms = service.client()
        key_id = kms.create_key()["KeyMetadata"]["KeyId"]
        logins = shim.calls("C_Login")
        shim.fail("C_Login", "CKR_PIN_INCORRECT")
        shim.log_out()

        def stopped() -> bool:
            kms.encrypt(KeyId=key_id, Plaintext=b"x")  # no call fails, since beta serves
            return bool(service.events("member.stopped"))

        until(service, stopped)
        assert "refused this PIN before" in service.events("member.stopped")[0]["cause"]
        (gave_up,) = service.events("worker.gave_up")
        assert (gave_up["member"], "CKR_PIN_INCORRECT" in gave_up["cause"]) == ("alpha", True)
        assert shim.calls("C_Login") == logins + 1
        assert service.stop() == 0

        began = len(service.events("member.active"))
        service.start()
        until(service, lambda: len(service.events("member.active")) > began)
        until(service, lambda: len(service.events("member.stopped")) == 2)
        with contextlib.closing(service.client()) as again:
            again.encrypt(KeyId=key_id, Plaintext=b"x")
        assert shim.calls("C_Login") == logins + 1
        assert service.stop() == 0


def change_pin(home: Home, pin: str) -> str:
    """Change what stands in alpha's PIN file; returns what stood there."""
    path = home.pins / "alpha"
    before = path.read_text()
    path.chmod(0o600)
    path.write_text(pin)
    path.chmod(0o400)
    return before


def test_a_wrong_pin_whose_worker_died_before_it_could_note_the_refusal_is_sent_once(
    home: Home, shim: FaultShim
) -> None:
    right = change_pin(home, "not-the-pin\n")
    shim.exit("C_Login", after=True)
    with RunningService(home) as service:
        service.start()
        until(service, lambda: service.events("member.stopped"))
        assert "wrong PIN came since the last login" in service.events("member.stopped")[0]["cause"]
        assert (shim.calls("C_Login"), shim.count("refused_logins")) == (1, 1)
        assert active(service) == ["beta"]
        assert service.stop() == 0

        change_pin(home, right)
        service.start()
        until(service, lambda: active(service) == ["alpha", "beta", "beta"])
        assert (shim.count("refused_logins"), shim.repeated_pins) == (1, 0)
        assert list(home.pin_refused.iterdir()) == []
        assert service.stop() == 0


def test_a_right_pin_whose_worker_died_in_the_middle_of_a_login_is_sent_again_and_serves(
    home: Home, shim: FaultShim
) -> None:
    shim.exit("C_Login", nth=1, after=True)
    shim.exit("C_Login", nth=3)
    with RunningService(home) as service:
        service.start()
        until(service, lambda: active(service) == ["alpha", "beta"])
        assert shim.calls("C_Login") == 2
        assert service.stop() == 0
        service.start()  # its first login is the one that ends the process before the token is asked
        until(service, lambda: active(service) == ["alpha", "alpha", "beta", "beta"])
        assert shim.calls("C_Login") == 4
        assert service.events("member.stopped") == []
        assert service.stop() == 0
