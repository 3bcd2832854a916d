"""Where a member's pin lies: in the token, with a copy beside; the copy alone where the token keeps none."""

import pytest

from strongroom.core import HsmIntegrityError, HsmRequestError
from strongroom.custody import Pin, write_pin
from strongroom.hsm.wire import PIN_APPLICATION, PIN_LABEL
from strongroom.wiring.custody_pins import MemberPins

G, H = "ab" * 32, "cd" * 32
FIRST, LATER = Pin(G, 0, G), Pin(G, 3, H)


class Data:
    """The data objects of a token."""

    def __init__(self, *values):
        self.kept = list(values)

    def values(self, application, label):
        assert (application, label) == (PIN_APPLICATION, PIN_LABEL)
        return list(self.kept)

    def put(self, application, label, value):
        assert (application, label) == (PIN_APPLICATION, PIN_LABEL)
        self.kept = [value]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "custody" / "pins" / "alpha"


def test_a_pin_is_kept_in_the_token_and_a_copy_beside_it(path):
    data = Data()
    pins = MemberPins("alpha", path, data)
    assert pins.read() is None
    for pin in (FIRST, LATER, LATER):
        pins.write(pin)
        assert pins.read() == pin
        assert data.kept == [write_pin(pin)]
    assert path.stat().st_mode & 0o777 == 0o600
    assert MemberPins("alpha", path, None).read() == LATER


def test_an_earlier_record_does_not_replace_a_later_one(path):
    data = Data()
    pins = MemberPins("alpha", path, data)
    pins.write(LATER)
    MemberPins("alpha", path, data).write(FIRST)
    assert pins.read() == LATER


def test_where_the_token_keeps_none_the_copy_is_the_pin(path):
    pins = MemberPins("alpha", path, None)
    pins.write(FIRST)
    assert pins.read() == FIRST
    path.write_bytes(b"something else")
    with pytest.raises(HsmIntegrityError, match="damaged"):
        pins.read()
    with pytest.raises(HsmRequestError):
        MemberPins("alpha", None, None).write(FIRST)
    assert MemberPins("alpha", None, None).read() is None


def test_a_token_that_lost_its_pin_is_no_token_without_officers(path):
    MemberPins("alpha", path, Data()).write(FIRST)
    with pytest.raises(HsmIntegrityError, match="does not hold the genesis that it pinned"):
        MemberPins("alpha", path, Data()).read()
    with pytest.raises(HsmIntegrityError, match="contradict"):
        MemberPins("alpha", path, Data(write_pin(FIRST), write_pin(Pin(H, 0, H)))).read()


def test_while_a_member_is_initialised_a_new_token_and_a_pin_cut_in_the_middle_are_no_damage(path):
    MemberPins("alpha", path, Data()).write(LATER)
    for data in (Data(), Data(b""), Data(write_pin(FIRST)[:40])):
        pins = MemberPins("alpha", path, data, is_new=True)
        assert pins.read() is None
        pins.write(FIRST)
        assert pins.read() == FIRST
        path.write_bytes(write_pin(LATER))
    with pytest.raises(HsmIntegrityError, match="damaged"):
        MemberPins("alpha", path, Data(b"")).read()
