"""What callers say of a member that serves lapses by itself, and slowness lasts longer each time."""

import pytest

from strongroom.hsm.cluster import MemberState
from strongroom.runtime._standing import Standing
from strongroom.testing import FakeClock

ACTIVE, DEGRADED, READ_ONLY = MemberState.ACTIVE, MemberState.DEGRADED, MemberState.READ_ONLY


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def standing(clock):
    return Standing(clock)


def test_nothing_was_said(standing):
    assert standing.now() == (ACTIVE, "")


def test_a_slow_member_is_degraded_until_it_recovers_but_not_at_once(standing, clock):
    standing.slow("sign takes 200 ms")
    assert standing.now() == (DEGRADED, "sign takes 200 ms")
    standing.recovered()
    assert standing.now().state is DEGRADED
    clock.advance(2)
    standing.recovered()
    assert standing.now() == (ACTIVE, "")


def test_who_is_slow_again_and_again_is_degraded_for_longer_up_to_a_minute(standing, clock):
    lasted = []
    for _ in range(8):
        standing.slow("slow")
        began = clock.monotonic()
        while standing.now().state is DEGRADED:
            clock.advance(1)
            standing.recovered()
        lasted.append(clock.monotonic() - began)
        clock.advance(10)
    assert lasted == [2, 4, 8, 16, 32, 60, 60, 60]
    clock.advance(301)
    standing.slow("slow")
    clock.advance(2)
    standing.recovered()
    assert standing.now().state is ACTIVE


def test_what_nobody_repeats_lapses(standing, clock):
    standing.slow("slow")
    standing.refuses_writes("migration")
    clock.advance(59)
    standing.slow("still slow")
    clock.advance(59)
    assert standing.now() == (DEGRADED, "still slow")
    clock.advance(1)
    assert standing.now() == (ACTIVE, "")


def test_a_member_that_refuses_writes_is_read_only_unless_it_is_slow_too(standing, clock):
    standing.refuses_writes("migration")
    assert standing.now() == (READ_ONLY, "migration")
    standing.slow("slow")
    assert standing.now().state is DEGRADED
    clock.advance(3)
    standing.recovered()
    assert standing.now() == (READ_ONLY, "migration")


def test_a_new_worker_is_judged_anew_but_its_hsm_still_refuses_writes(standing):
    standing.slow("slow")
    standing.refuses_writes("migration")
    standing.renewed()
    assert standing.now() == (READ_ONLY, "migration")
