"""PINs rotate under load, with a member killed in the middle: no call fails, every member ends on its new PIN, the old ones
are refused and were never sent again, and no PIN is written anywhere in clear."""

import asyncio
import contextlib
import signal
import threading
import time

import pyrage
import pytest

from fixtures_sealed_pins import login_says, pins_of, sealed_home, written_with
from running_service import RunningService, configure
from service_load import Load
from strongroom.wiring.members_door import MembersNotReachableError
from strongroom.wiring.pin_changes import read_change
from strongroom.wiring.pin_delivery import open_delivery
from strongroom.wiring.pin_door import PinRequest, ask_pins

pytestmark = pytest.mark.softhsm


@pytest.fixture
def service(initialised_home, tmp_path):
    home = sealed_home(initialised_home, tmp_path / "home")
    configure(home, section="cache", ttl_s=0.0)  # every call needs the HSM
    with RunningService(home) as running:
        running.start()
        yield running


class Rotation(threading.Thread):
    """``strongroom pin rotate``, without the command around it."""

    def __init__(self, home):
        super().__init__(daemon=True)
        self._home = home
        self.answer = None

    def run(self):
        with contextlib.suppress(MembersNotReachableError):  # it was killed meanwhile
            self.answer = asyncio.run(ask_pins(self._home, PinRequest("user"), timeout_s=180))


def phase_of(service, name):
    change = read_change(service.home.pin_changes / name)
    return None if change is None else change.phase


def wait_until(condition, service, limit_s=90.0):
    until = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until, service.log()
        time.sleep(0.02)


@pytest.mark.timeout(300)
def test_pins_rotate_under_load_with_a_member_killed_in_the_middle_and_no_call_fails(service):
    home, before = service.home, pins_of(service.home)
    with Load(service, clients=3) as load:
        load.run_on(0.5)
        rotation = Rotation(home)
        rotation.start()
        wait_until(lambda: phase_of(service, "alpha") is not None, service)
        service.signal("alpha", signal.SIGKILL)  # the one that serves, while its PIN is being changed
        rotation.join(200)
        assert rotation.answer is not None, service.log()
        load.run_on(0.5)
    assert load.failures == []
    assert [(one.member, one.state) for one in rotation.answer.outcomes] == [
        ("alpha", "changed"),
        ("beta", "changed"),
    ]
    after = pins_of(home)
    service.stop()
    for name, old in before.items():
        assert after[name] != old
        # No wrong PIN came since the last login: the old one was not sent after it was replaced.
        assert login_says(home, name, old) == "after a right one: refused"
        assert login_says(home, name, after[name]) == "after a wrong one: taken"
    assert not list(home.pin_refused.glob("*"))
    officers = {path for path in home.pins.iterdir() if path.name.endswith("-so")}
    assert set(written_with({*before.values(), *after.values()}, home.root, service.log_path)) <= officers


def officer_pin(service, name):
    return (service.home.pins / f"{name}-so").read_bytes()


def test_a_security_officer_s_pin_is_delivered_before_it_is_set_and_stays_nowhere_in_clear(service):
    home, old = service.home, officer_pin(service, "alpha")
    identity = pyrage.x25519.Identity.generate()
    wanted = PinRequest("so", "alpha", so_pin=old, recipients=[str(identity.to_public())])
    answer = asyncio.run(ask_pins(home, wanted, timeout_s=120))
    (outcome,) = answer.outcomes
    assert (outcome.state, answer.failure) == ("changed", None)
    letter = open_delivery(home.root / outcome.delivery, str(identity).encode())
    new = letter.pin.encode()
    assert (letter.member, letter.role) == ("alpha", "so")
    service.stop()
    assert login_says(home, "alpha", old, role="so") == "after a right one: refused"
    assert login_says(home, "alpha", new, role="so") == "after a wrong one: taken"
    assert written_with({old, new}, home.root, service.log_path) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_whenever_the_whole_service_is_killed_every_member_serves_again_and_ends_on_its_new_pin(service):
    home, used = service.home, set(pins_of(service.home).values())
    for moment in (0.3, 0.6, 1.0, 1.4, 1.8, 2.4, 3.2):
        rotation = Rotation(home)
        rotation.start()
        time.sleep(moment)
        service.kill_everything()
        rotation.join(60)
        service.start()
        wait_until(lambda: {phase_of(service, name) for name in ("alpha", "beta")} <= {None, "done"}, service)
        used |= set(pins_of(home).values())
    service.stop()
    for name, pin in pins_of(home).items():
        assert login_says(home, name, pin).endswith("taken")
    assert not list(home.pin_refused.glob("*"))
    assert written_with(used, home.root, service.log_path) == []
