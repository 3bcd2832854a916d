"""Sixteen callers over three members while one crashes, hangs or slows down, or all go: who notices, and for how long.

Beside them callers have Direct keys made through the service all the time: with one member lost none of those fails, each
that was acknowledged is whole at the end, and nothing half made is left.

The short form claims what holds on any machine; the long one, in the slow lane, measures for longer and claims times too.
"""

import asyncio
import signal
import time
from contextlib import AsyncExitStack, ExitStack
from typing import NamedTuple

import pytest

from faults.fault_shim import FaultShim
from key_creators import (
    LONGEST_S,
    Creators,
    clean_after_reconcile,
    direct_key_of,
    half_made,
    require_whole,
)
from running_service import RunningService
from strongroom.audit import read_entries
from strongroom.hsm.cluster import MemberState
from three_members import (
    MEMBERS,
    Load,
    all_active,
    reaches,
    softhsm_library,
    three_member_home,
    three_member_template,
)

__all__ = ["three_member_template"]

_REFUSED_WITHOUT_MEMBERS = {"DependencyTimeoutException", "CloudHsmClusterInvalidConfigurationException"}
_USE_FUNCTIONS = ("C_Encrypt", "C_Decrypt", "C_Sign")


class Form(NamedTuple):
    """How long to look before anything breaks, and how long a caller rests between two calls."""

    healthy_s: float
    pause_s: float
    n_creators: int
    creator_pause_s: float


SHORT = Form(1.0, 0.03, 1, 0.1)
LONG = Form(8.0, 0.02, 2, 0.3)
pytestmark = pytest.mark.timeout(300)
slow_lane = pytest.mark.parametrize(
    "trio", [pytest.param(LONG, id="long", marks=pytest.mark.slow)], indirect=True
)


class Trio:
    """The service, its shims and the load on it."""

    def __init__(self, service, shims, load, creators, form) -> None:
        self.service, self.shims, self.load, self.creators, self.form = service, shims, load, creators, form
        self.healthy = (0.0, 0.0)

    async def measure_healthy(self) -> None:
        await asyncio.sleep(1.0)  # connections, first baselines
        since = time.monotonic()
        await asyncio.sleep(self.form.healthy_s)
        self.healthy = (since, time.monotonic())

    def p(self, part, since=None, until=None):
        window = self.healthy if since is None else (since, until)
        return self.load.quantile_s(part, *window)

    def states(self):
        return {entry.member: entry.state for entry in self.load.cluster.entries()}

    async def next_creations(self) -> None:
        """Wait until a key was made that was asked for from now on."""
        since = time.monotonic()
        await reaches(
            self.service,
            lambda: any(one.began > since and one.key_id for one in list(self.creators.done)),
            LONGEST_S,
        )

    async def require_creations_whole(self) -> None:
        """Every key that somebody got is there and works; nothing else is on any token, and nothing half made is left."""
        await asyncio.to_thread(self.creators.stop)
        for shim in self.shims.values():
            shim.heal()
        await reaches(self.service, lambda: set(self.states().values()) == {MemberState.ACTIVE})
        await reaches(self.service, lambda: half_made(self.service) == [], 90)  # unclaimed: after 30 s
        await asyncio.to_thread(require_whole, self.service, self.creators.done)
        await clean_after_reconcile(self.service)

    async def require_no_creation_failed(self) -> None:
        """With one member lost a creation may take longer, but it does not fail."""
        await self.require_creations_whole()
        assert self.creators.failures() == []

    def report(self, what, **figures) -> None:
        n_calls = len(self.load.calls)
        shown = ", ".join(f"{name} {value * 1000:.1f} ms" for name, value in figures.items())
        counted = self.load.cluster.statistics
        print(
            f"\n{what}: {n_calls} calls, {len(self.load.failures)} failed; {shown}; "
            f"failovers {dict(counted.failovers)}, hedges {dict(counted.hedges)} won {counted.hedges_won} "
            f"refused {counted.hedges_refused}, probes {dict(counted.probes)}"
        )
        print(f"{what}, {self.creators.in_words(self.healthy)}")


@pytest.fixture
async def trio(three_member_template, tmp_path, request):
    form = request.param
    async with AsyncExitStack() as stack:
        shims = {}
        with ExitStack() as closing:
            for name in MEMBERS:
                shims[name] = closing.enter_context(
                    FaultShim(tmp_path / f"shim-{name}", softhsm_library(), copy_module=False)
                )
            modules = {name: shim.library for name, shim in shims.items()}
            home = three_member_home(three_member_template, tmp_path / "home", modules)
            service = stack.enter_context(RunningService(home))
            await asyncio.to_thread(service.start)
            await all_active(service)
            creators = await asyncio.to_thread(
                Creators, service, n_callers=form.n_creators, pause_s=form.creator_pause_s
            )
            closing.callback(creators.stop)
            signing = await asyncio.to_thread(creators.make, "ECC_NIST_P256", "SIGN_VERIFY")
            load = Load(home, direct_key_of(service, signing), pause_s=form.pause_s)
            made = Trio(service, shims, load, creators, form)
            async with load.running():
                creators.start()
                await made.measure_healthy()
                yield made
            for shim in shims.values():
                shim.heal()


def times_active(trio, member):
    return [event for event in trio.service.events("member.active") if event["member"] == member]


@pytest.mark.parametrize("trio", [pytest.param(SHORT, id="short")], indirect=True)
async def test_one_member_crashes_while_another_hangs_and_no_call_fails(trio) -> None:
    one_is_lost_at = time.monotonic()
    hung = [trio.shims["beta"].hang(function) for function in _USE_FUNCTIONS]
    await asyncio.sleep(1.0)
    trio.service.signal("alpha", signal.SIGKILL)
    await reaches(trio.service, lambda: len(times_active(trio, "alpha")) > 1)
    for fault in hung:
        fault.lift()
    await reaches(trio.service, lambda: set(trio.states().values()) == {MemberState.ACTIVE})
    all_are_back_at = time.monotonic()
    await trio.next_creations()
    await trio.require_creations_whole()
    trio.report("crash and hang", healthy_p99=trio.p(0.99))
    during = trio.creators.failures(one_is_lost_at, all_are_back_at)
    assert trio.creators.failures() == during  # a key has to be on two members, and for a time one serves
    assert {one.failure for one in during} <= _REFUSED_WITHOUT_MEMBERS
    assert trio.load.failures == []
    assert trio.load.late() == []
    back = times_active(trio, "alpha")[1]
    assert 0 < back["outage_s"] < 60
    assert "-9" in back["cause"]
    audited = [entry for entry in read_entries(trio.service.home.audit) if entry.kind == "event"]
    (told,) = [entry for entry in audited if entry.detail.get("outage_s") == str(back["outage_s"])]
    assert (told.member, told.detail["cause"]) == ("alpha", back["cause"])


@slow_lane
async def test_a_member_that_crashes_fails_no_call(trio) -> None:
    killed_at = time.monotonic()
    trio.service.signal("alpha", signal.SIGKILL)
    await asyncio.sleep(3.0)
    p99 = trio.p(0.99, killed_at, time.monotonic())
    await reaches(trio.service, lambda: trio.states()["alpha"] is MemberState.ACTIVE)
    await trio.require_no_creation_failed()
    trio.report("crash", healthy_p50=trio.p(0.5), healthy_p99=trio.p(0.99), p99_in_the_next_3s=p99)
    assert trio.load.failures == []
    back = times_active(trio, "alpha")[-1]
    assert 0 < back["outage_s"] < 60
    assert "-9" in back["cause"]
    assert p99 <= trio.p(0.99) + 0.05


@slow_lane
@pytest.mark.parametrize("member", ["alpha", "beta"])  # keys are generated on alpha, as long as it serves
async def test_a_member_that_hangs_fails_no_call_and_makes_none_late(trio, member) -> None:
    hung_at = time.monotonic()
    for function in _USE_FUNCTIONS:
        trio.shims[member].hang(function)
    await asyncio.sleep(5.0)
    first = trio.p(0.99, hung_at, hung_at + 2)
    after = trio.p(0.99, hung_at + 2, hung_at + 5)
    await reaches(
        trio.service, lambda: trio.states()[member] not in {MemberState.ACTIVE, MemberState.DEGRADED}
    )
    trio.shims[member].heal()
    await reaches(trio.service, lambda: trio.states()[member] is MemberState.ACTIVE)
    await trio.require_no_creation_failed()
    trio.report(
        f"hang of {member}",
        healthy_p50=trio.p(0.5),
        healthy_p99=trio.p(0.99),
        p99_first_2s=first,
        p99_after_2s=after,
    )
    assert trio.load.failures == []
    assert trio.load.late() == []
    assert after <= max(trio.p(0.99) * 1.5, trio.p(0.99) + 0.02)


@slow_lane
async def test_a_member_that_is_frozen_fails_no_call(trio) -> None:
    frozen_at = time.monotonic()
    trio.service.signal("gamma", signal.SIGSTOP)
    await asyncio.sleep(4.0)
    after = trio.p(0.99, frozen_at + 2, frozen_at + 4)
    await reaches(trio.service, lambda: len(trio.service.events("member.failed")) > 0)
    await reaches(trio.service, lambda: trio.states()["gamma"] is MemberState.ACTIVE)
    await trio.require_no_creation_failed()
    trio.report("freeze", healthy_p50=trio.p(0.5), healthy_p99=trio.p(0.99), p99_after_2s=after)
    assert trio.load.failures == []
    assert trio.load.late() == []
    assert after <= max(trio.p(0.99) * 1.5, trio.p(0.99) + 0.02)


@slow_lane
async def test_a_member_that_becomes_fifty_times_slower_is_found_out_and_let_back_when_it_is_fast(
    trio,
) -> None:
    slow_at = time.monotonic()
    delay_s = 50 * trio.p(0.5)
    faults = [trio.shims["beta"].delay(function, delay_s) for function in _USE_FUNCTIONS]
    await reaches(trio.service, lambda: trio.states()["beta"] is MemberState.DEGRADED, 30)
    degraded_after_s = time.monotonic() - slow_at
    await asyncio.sleep(max(slow_at + 5.0 - time.monotonic(), 0.0))
    since = time.monotonic()
    await asyncio.sleep(5.0)
    after = trio.p(0.99, since, time.monotonic())
    for fault in faults:
        fault.lift()
    await reaches(trio.service, lambda: trio.states()["beta"] is MemberState.ACTIVE)
    await trio.require_no_creation_failed()
    trio.report(
        "slow",
        delay=delay_s,
        healthy_p50=trio.p(0.5),
        healthy_p99=trio.p(0.99),
        degraded_after=degraded_after_s,
        p99_first_5s=trio.p(0.99, slow_at, slow_at + 5),
        p99_after_5s=after,
    )
    assert trio.load.failures == []
    assert [event["member"] for event in trio.service.events("member.degraded")] == ["beta"]
    assert "with others" in trio.service.events("member.degraded")[0]["cause"]
    assert trio.service.events("member.restored")[-1]["member"] == "beta"
    assert after <= trio.p(0.99) * 2


@slow_lane
async def test_when_all_members_were_gone_calls_go_on_soon_after_the_first_is_back(trio) -> None:
    for shim in trio.shims.values():
        shim.cut_link(stays_down=True)
    for name in MEMBERS:
        trio.service.signal(name, signal.SIGKILL)
    await asyncio.sleep(12.0)
    assert not trio.load.cluster.has_active_member()
    returned_at = time.monotonic()
    trio.shims["gamma"].restore_link()
    await reaches(
        trio.service,
        lambda: any(
            call.failure is None and call.began + call.took_s > returned_at for call in trio.load.calls[-200:]
        ),
    )
    healed_s = time.monotonic() - returned_at
    trio.shims["alpha"].restore_link()
    trio.shims["beta"].restore_link()
    await reaches(trio.service, lambda: set(trio.states().values()) == {MemberState.ACTIVE})
    all_are_back_at = time.monotonic()
    await trio.next_creations()
    await trio.require_creations_whole()
    trio.report("all gone", healed_after=healed_s)
    assert {one.failure for one in trio.creators.failures()} <= _REFUSED_WITHOUT_MEMBERS
    assert [one for one in trio.creators.failures() if one.began > all_are_back_at] == []
    assert all("NoMemberError" in failure for failure in trio.load.failures)
    assert trio.load.late() == []
    assert healed_s < 5.0
    since = time.monotonic()
    await asyncio.sleep(1.0)
    assert not [call.failure for call in trio.load.between(since, time.monotonic()) if call.failure]
