"""Members that serve are looked at again whatever goes wrong, and members that come and go do not have others looked at without end."""

import asyncio

import pytest

from fakes_runtime import until
from strongroom.core import MemberFailedError, SystemClock
from strongroom.hsm.cluster import Replica
from strongroom.runtime import _helping
from strongroom.runtime._helping import Helping
from strongroom.testing import RecordingEvents


class Looks:
    """What is looked at, and what goes wrong then."""

    def __init__(self):
        self.seen, self.errors, self.needing = [], [], {"alpha", "beta"}
        self.events = RecordingEvents()
        self.helping = Helping(
            self.needed,
            lambda: [Replica(name, None, None) for name in ("alpha", "beta", "gamma")],
            self.look,
            events=self.events,
            clock=SystemClock(),
        )

    def needed(self):
        if isinstance(self.needing, Exception):
            raise self.needing
        return self.needing

    async def look(self, replica):
        self.seen.append(replica.name)
        if self.errors:
            raise self.errors.pop(0)


@pytest.fixture
async def looks(monkeypatch):
    monkeypatch.setattr(_helping, "_LEAST_PAUSE_S", 0.02)
    made = Looks()
    made.helping.start()
    yield made
    made.helping.close()


async def test_whatever_goes_wrong_in_a_look_is_told_and_the_looks_go_on(looks):
    looks.errors += [ValueError("the PIN is 1234"), MemberFailedError("CKR_DEVICE_ERROR")]
    looks.helping.soon()
    await until(lambda: looks.seen == ["alpha", "beta"])
    await until(lambda: len(looks.events.named("reconcile.failed")) == 2)
    first, second = looks.events.named("reconcile.failed")
    assert first == {"member": "alpha", "cause": "unexpected ValueError"}
    assert second == {"member": "beta", "cause": "CKR_DEVICE_ERROR"}
    looks.needing = OSError("disk")
    looks.helping.soon()
    await until(lambda: len(looks.events.named("reconcile.failed")) == 3)
    looks.needing = {"gamma"}
    looks.helping.soon()
    await until(lambda: looks.seen[-1] == "gamma")


async def test_a_member_that_comes_and_goes_has_others_looked_at_no_more_than_once_in_the_least_pause(
    looks, monkeypatch
):
    monkeypatch.setattr(_helping, "_LEAST_PAUSE_S", 300.0)
    for _ in range(200):
        looks.helping.soon()
        await asyncio.sleep(0.001)
    assert looks.seen == ["alpha", "beta"]
