"""A change of a PIN on a real token that was cut anywhere is finished by the next start, which tries each PIN once at most."""

import asyncio
import shutil

import msgspec
import pytest

from fixtures_sealed_pins import login_says, pins_of, sealed_home
from strongroom.config import load_config
from strongroom.core import Secret, SystemClock
from strongroom.runtime._pin_changing import PinChanging
from strongroom.testing import RecordingEvents
from strongroom.wiring.home import remove_runtime_folder, runtime_folder
from strongroom.wiring.pin_changes import PinTries, read_change, write_change
from strongroom.wiring.pin_sealing import PinBinding, sealing_key

pytestmark = pytest.mark.softhsm
ONCE = PinTries(unknown=1)


@pytest.fixture
def home(initialised_home, tmp_path):
    home = sealed_home(initialised_home, tmp_path / "home")
    runtime_folder(home)
    yield home
    remove_runtime_folder(home)


class Cut:
    """A member whose PIN is being changed, put into the state in which a cut left it."""

    def __init__(self, home):
        self.home = home
        config = load_config(home.root)
        self.member = config.cluster.members[0]
        self.pins = config.pins
        self.changing = PinChanging(home, config.pins, events=RecordingEvents(), clock=SystemClock())
        self.old = pins_of(home)["alpha"]
        asyncio.run(self.changing.begin(self.member, asked_by="local/0"))
        key = sealing_key(self.pins, home)
        self.new = key.open(self.record.sealed.encode(), PinBinding.of(self.member)).reveal()

    @property
    def path(self):
        return self.home.pin_changes / "alpha"

    @property
    def record(self):
        return read_change(self.path)

    def found(self, **fields):
        write_change(self.path, msgspec.structs.replace(self.record, **fields))

    def set_on_the_token(self):
        """What C_SetPIN did whose answer nobody heard: a whole change, and the record of before it."""
        before, stored = self.record, (self.home.pins / "alpha.sealed").read_bytes()
        assert asyncio.run(self.changing.ready_pin(self.member)).matches(Secret(self.new))
        (self.home.pins / "alpha.sealed").chmod(0o600)
        (self.home.pins / "alpha.sealed").write_bytes(stored)
        write_change(self.path, before)

    def ends(self):
        pin = asyncio.run(self.changing.ready_pin(self.member)).reveal()
        assert self.record.phase == "done"
        assert pin == pins_of(self.home)["alpha"] != self.old
        assert login_says(self.home, "alpha", pin) == "after a right one: taken"
        assert login_says(self.home, "alpha", self.old).endswith("refused")


CUTS = {
    "before anything was sent": (False, {"phase": "pending"}),
    "in the first login": (False, {"phase": "pending", "old": ONCE}),
    "before C_SetPIN took effect": (False, {"phase": "setting"}),
    "after C_SetPIN took effect": (True, {"phase": "setting"}),
    "while the old PIN was tried again": (True, {"phase": "setting", "old": ONCE}),
    "after the answer of C_SetPIN": (True, {"phase": "set"}),
    "while the new PIN was proved": (True, {"phase": "set", "new": ONCE}),
    "before the new PIN was stored": (True, {"phase": "proved"}),
}
SHORT = {"after C_SetPIN took effect"}


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "cut", [pytest.param(name, marks=[] if name in SHORT else pytest.mark.slow) for name in CUTS]
)
def test_a_change_that_was_cut_comes_to_its_end(home, cut):
    is_set, found = CUTS[cut]
    it = Cut(home)
    if is_set:
        it.set_on_the_token()
    it.found(**found)
    it.ends()
    shutil.rmtree(home.root)
