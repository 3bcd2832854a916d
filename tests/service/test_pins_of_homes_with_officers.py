"""A real worker on SoftHSM that is to set a PIN asks the officers' signatures by what its token pinned, whatever main tells it."""

import asyncio

import pytest

from custody_worker import Asking, CustodyHome, chain
from fakes_custody import approve
from fixtures_sealed_pins import login_says, members_of, pins_of
from strongroom.config import load_config
from strongroom.core import SystemClock
from strongroom.custody import write_document
from strongroom.runtime._pin_changing import PinChanging
from strongroom.testing import RecordingEvents
from strongroom.wiring.bootstrap import ApprovedChange
from strongroom.wiring.home import locked_home, remove_runtime_folder
from strongroom.wiring.pin_upkeep import seal_pins


@pytest.fixture
def custody(initialised_home, tmp_path):
    custody = CustodyHome(initialised_home, tmp_path)
    try:
        asyncio.run(custody.pinned())
        with locked_home(custody.home):
            seal_pins(custody.home, member=None, pin=None, clock=SystemClock())
        yield custody
    finally:
        remove_runtime_folder(custody.home)
        custody.close()


def approved(*names, **parameters):
    request = Asking(chain().state)("RotatePin", {"member": "alpha", "role": "user", **parameters})
    return ApprovedChange([], write_document(request), approve(request, *names), 0, b"")


def rotated(custody, shown):
    """Change the PIN as main does, and tell how that ended."""
    home = custody.home
    member = members_of(home)["alpha"]

    async def rotate():
        changing = PinChanging(
            home,
            load_config(home.root).pins,
            events=RecordingEvents(),
            clock=SystemClock(),
            approved=lambda _change: shown,
        )
        await changing.begin(member, asked_by="local/0")
        await changing.ready_pin(member)
        return changing.change_of(member)

    return asyncio.run(rotate())


def test_a_worker_sets_the_pin_that_officers_approved_once_and_no_other(custody):
    old = pins_of(custody.home)["alpha"]
    both = ("anna", "ben")
    for shown in (None, approved("anna"), approved(*both, member="beta"), approved(*both, role="so")):
        assert rotated(custody, shown).phase == "failed"
    assert pins_of(custody.home)["alpha"] == old
    assert login_says(custody.home, "alpha", old).endswith("taken")

    shown = approved(*both)
    assert rotated(custody, shown).phase == "done"
    new = pins_of(custody.home)["alpha"]
    assert new != old
    assert login_says(custody.home, "alpha", old).endswith("refused")
    again = rotated(custody, shown)
    assert (again.phase, "already" in again.trouble) == ("failed", True)
    assert pins_of(custody.home)["alpha"] == new
    assert login_says(custody.home, "alpha", new).endswith("taken")
