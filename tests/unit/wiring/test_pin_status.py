"""What is said of a PIN: where it lies, when it is due, and how far a change is."""

import msgspec
import pytest

from strongroom.config import Home, MemberConfig, PinsConfig, PinSource, SecretSource
from strongroom.core import Secret
from strongroom.testing import FakeClock
from strongroom.wiring.init_members import NewMember
from strongroom.wiring.init_script_form import ScriptMember
from strongroom.wiring.pin_changes import PinChange, record_name, write_change
from strongroom.wiring.pin_sealing import PinBinding, make_sealing_key, write_sealed_pin
from strongroom.wiring.pin_status import pin_warnings, read_pin_status

DAY = 86_400
MADE_AT = 1_790_000_000
MEMBER = MemberConfig(
    name="alpha", profile="softhsm2", pin=PinSource(sealed="pins/alpha.sealed"), token_serial="0123"
)
PINS = PinsConfig(sealing_key=SecretSource(file="pins/key"))


@pytest.fixture
def home(tmp_path):
    key = make_sealing_key(tmp_path / "pins" / "key")
    line = key.seal(Secret(b"a pin"), PinBinding.of(MEMBER), at=MADE_AT)
    write_sealed_pin(tmp_path / "pins" / "alpha.sealed", line)
    return Home(tmp_path)


def looked_at(home, *, days, pins=PINS, **more):
    return read_pin_status(home, [MEMBER], pins, now=MADE_AT + days * DAY, **more)


def begun(home, role="user", **fields):
    change = PinChange(change_id="0" * 16, member="alpha", role=role, started_at=MADE_AT, **fields)
    write_change(home.pin_changes / record_name("alpha", role), change)


def test_a_pin_is_due_after_the_days_of_the_configuration(home):
    (young,), (old,) = looked_at(home, days=89), looked_at(home, days=90)
    assert (young.is_due, old.is_due) == (False, True)
    assert (young.changed_at, young.due_at) == (MADE_AT, MADE_AT + 90 * DAY)
    assert pin_warnings([young]) == []
    assert "strongroom pin rotate --member alpha" in pin_warnings([old])[0]


def test_with_zero_days_it_is_never_due(home):
    (status,) = looked_at(home, days=3_000, pins=msgspec.structs.replace(PINS, rotate_every_days=0))
    assert (status.is_due, status.due_at) == (False, None)


def test_a_pin_that_is_older_than_an_officer_s_departure_is_due_at_once(home):
    assert looked_at(home, days=2, departed_at=MADE_AT + DAY)[0].is_due
    assert not looked_at(home, days=2, departed_at=MADE_AT - DAY)[0].is_due


@pytest.mark.parametrize("phase", ["pending", "setting", "set", "proved"])
def test_a_change_that_is_under_way_is_told(home, phase):
    begun(home, phase=phase)
    assert looked_at(home, days=1)[0].state == "changing"


def test_a_change_that_does_not_go_on_is_in_trouble_and_says_why(home):
    begun(home, phase="setting", trouble="no PIN was tried")
    (status,) = looked_at(home, days=1)
    assert status.state == "in trouble"
    assert "no PIN was tried" in pin_warnings([status])[0]


def test_what_is_damaged_is_in_trouble(home):
    home.pin_changes.mkdir()
    (home.pin_changes / "alpha").write_text("{}")
    assert looked_at(home, days=1)[0].state == "in trouble"


def test_a_security_officer_s_pin_is_told_with_its_delivery(home):
    begun(home, "so", phase="done", ended_at=MADE_AT + DAY, delivery="custody/deliveries/x.age")
    officer = looked_at(home, days=100)[1]
    assert (officer.role, officer.source, officer.delivery) == ("so", "delivered", "custody/deliveries/x.age")
    assert officer.is_due
    assert "--role so" in pin_warnings([officer])[0]


def test_a_change_that_failed_makes_no_pin_younger_and_none_of_unknown_age(home):
    begun(home, "so", phase="failed", present_since=MADE_AT, ended_at=MADE_AT + 50 * DAY, trouble="refused")
    assert looked_at(home, days=100)[1].due_at == MADE_AT + 90 * DAY


def test_the_pin_of_a_security_officer_that_init_made_becomes_due_too(home):
    key = make_sealing_key(home.root / "pins" / "another")
    made = NewMember(
        home,
        ScriptMember(name="alpha", profile="softhsm2"),
        key,
        clock=FakeClock(MADE_AT),
        progress=lambda step: None,
    )
    made.make_pins()
    _, officer = looked_at(home, days=1)
    assert (officer.is_due, officer.changed_at) == (False, MADE_AT)
    assert looked_at(home, days=2, departed_at=MADE_AT + DAY)[1].is_due
    made.make_pins(Secret(b"that of a token which is erased"))
    assert len(looked_at(home, days=1)) == 1, "nobody knows how old that is"
