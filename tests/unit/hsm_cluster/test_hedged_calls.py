"""Calls that are late, on three members over real sockets: a second one is asked, within a budget, and the loser counts."""

import asyncio

import pytest

from strongroom.core import (
    Deadline,
    HsmIntegrityError,
    MemberBusyError,
    NoMemberError,
    Secret,
    SystemClock,
)
from strongroom.hsm.cluster import ClusterTable, MemberState

KEY, AAD = Secret(b"k" * 32), b"domain 7"


def in_s(seconds):
    return Deadline.after(SystemClock(), seconds)


async def until(claim):
    async with asyncio.timeout(60):
        while not claim():
            await asyncio.sleep(0.005)


def publish(trio, *states, version=2, priorities=(0, 0, 0)):
    entries = [
        type(entry)(entry.member, 0, entry.generation, state, entry.use_path, priority=priority)
        for entry, state, priority in zip(
            (worker.entry() for worker in trio.workers), states, priorities, strict=True
        )
    ]
    trio.cluster.apply(ClusterTable(version, entries))


@pytest.fixture
async def alpha_first(trio):
    """``trio`` where alpha has all calls while it can, and beta those that alpha cannot do."""
    publish(trio, *[MemberState.ACTIVE] * 3, priorities=(0, 1, 2))
    await trio.cluster.random(1, deadline=in_s(10))
    return trio


async def wrap(trio, deadline_s=10.0):
    wrapped = await trio.cluster.wrap(trio.root_id, KEY, AAD, deadline=in_s(deadline_s))
    assert trio.hsms[-1].unwrap(trio.root_id, wrapped, AAD).matches(KEY)


async def test_a_late_call_is_done_by_a_second_member_and_nobody_is_blamed(alpha_first):
    trio, counted = alpha_first, alpha_first.cluster.statistics
    trio.hsms[0].faults.hang()
    await wrap(trio)
    assert counted.hedges == {"alpha": 1}
    assert counted.hedges_won == 1
    assert trio.suspicions == []
    trio.hsms[0].faults.release()
    await until(lambda: trio.cluster.workers()[0].late == 0)
    assert trio.suspicions == [], "it answered in the time of an attempt"


async def test_what_the_loser_took_counts_against_it(alpha_first):
    trio, latencies = alpha_first, alpha_first.cluster.statistics.latencies
    trio.hsms[0].faults.hang()
    await wrap(trio)
    assert ("alpha", "wrap") not in latencies
    trio.hsms[0].faults.release()
    await until(lambda: ("alpha", "wrap") in latencies)
    assert latencies["alpha", "wrap"].sum_s > latencies["beta", "wrap"].sum_s, "it began first and ended last"


async def test_while_a_call_is_late_others_go_elsewhere_from_the_start(alpha_first):
    trio = alpha_first
    trio.hsms[0].faults.hang()
    await wrap(trio)
    begun = len(trio.workers[0].performer.performed)
    for _ in range(10):
        await wrap(trio)
    assert len(trio.workers[0].performer.performed) == begun
    assert trio.cluster.statistics.hedges == {"alpha": 1}


async def test_beyond_the_budget_a_late_call_waits(alpha_first):
    trio, counted = alpha_first, alpha_first.cluster.statistics
    while trio.cluster._limits.hedges.spend():
        pass
    trio.hsms[0].faults.slow_s = 0.12
    await wrap(trio)
    assert counted.hedges_refused == 1
    assert counted.hedges == {}
    assert "wrap" not in {verb for member, verb in counted.latencies if member == "beta"}


async def test_a_secret_that_came_too_late_is_overwritten(alpha_first, monkeypatch):
    trio = alpha_first
    wrapped = trio.hsms[0].wrap(trio.root_id, KEY, AAD)
    made, alpha = [], trio.cluster.workers()[0].member

    async def unwrap(*args, real=alpha.unwrap, **options):
        made.append(await real(*args, **options))
        return made[-1]

    monkeypatch.setattr(alpha, "unwrap", unwrap)
    trio.hsms[0].faults.slow_s = 0.12
    opened = await trio.cluster.unwrap(trio.root_id, wrapped, AAD, deadline=in_s(10))
    await until(lambda: made)
    await asyncio.sleep(0.02)
    assert opened.matches(KEY)
    assert not made[0].matches(KEY)


async def test_when_the_first_fails_while_the_second_is_late_a_third_is_asked(alpha_first):
    trio = alpha_first
    trio.hsms[0].faults.slow_s = 0.08
    trio.hsms[0].faults.fail_next(1)
    trio.hsms[1].faults.hang()
    await wrap(trio)
    assert len(trio.workers[2].performer.performed) == 1


async def test_a_busy_member_is_not_blamed_and_another_does_the_call(alpha_first):
    trio = alpha_first
    trio.hsms[0].faults.fail_next(5, lambda: MemberBusyError("throttled"))
    for _ in range(5):
        await wrap(trio)
    assert trio.suspicions == []
    assert trio.cluster.failovers == 0
    assert 1 <= trio.cluster.statistics.busy["alpha"] <= 5


async def test_when_all_are_busy_a_call_waits_for_room_and_says_so_at_its_deadline(trio):
    for hsm in trio.hsms:
        hsm.faults.fail_next(3, lambda: MemberBusyError("throttled"))
    await wrap(trio)
    for hsm in trio.hsms:
        hsm.faults.fail_next(10_000, lambda: MemberBusyError("throttled"))
    with pytest.raises(NoMemberError, match="throttled"):
        await wrap(trio, 0.3)
    assert trio.suspicions == []
    assert trio.performed() < 200, "they were asked again and again without a pause"


async def test_a_degraded_member_gets_calls_that_another_gets_too_and_its_errors_are_nobodys(trio):
    publish(trio, MemberState.DEGRADED, MemberState.ACTIVE, MemberState.ACTIVE)
    trio.hsms[0].faults.fail_next(10, lambda: HsmIntegrityError("drifted"))
    trio.cluster.workers()[0]._trickled_at -= 5
    await wrap(trio)
    await until(lambda: trio.workers[0].performer.performed)
    assert trio.cluster.statistics.probes == {"alpha": 1}
    for _ in range(50):
        await wrap(trio)
    assert len(trio.workers[0].performer.performed) <= 2


async def test_a_member_that_failed_is_probed_beside_a_call_and_comes_back_by_itself(
    alpha_first, monkeypatch
):
    trio = alpha_first
    trio.hsms[0].faults.fail_next(1)
    await wrap(trio)
    alpha = trio.cluster.workers()[0]
    assert alpha.breaker.state == "open"
    alpha.breaker._until = 0.0
    await wrap(trio)
    await until(lambda: alpha.breaker.is_closed)
    assert trio.cluster.statistics.probes == {"alpha": 1}
    begun = len(trio.workers[0].performer.performed)
    await wrap(trio)
    assert len(trio.workers[0].performer.performed) == begun + 1


async def test_a_storm_of_failures_beyond_the_budget_slows_down_and_still_ends_well(trio):
    while trio.cluster._limits.retries.spend():
        pass
    for hsm in trio.hsms[:2]:
        hsm.faults.fail_next(1000)
    publish(trio, *[MemberState.ACTIVE] * 3, priorities=(0, 0, 1))
    await asyncio.gather(*[wrap(trio) for _ in range(30)])
    assert trio.cluster.statistics.retries_delayed > 0


async def test_a_worker_that_hands_over_finishes_its_calls_and_no_call_moves_on(alpha_first):
    trio = alpha_first
    old = trio.workers[0].worker
    trio.hsms[0].faults.slow_s = 0.03
    calls = [asyncio.ensure_future(wrap(trio)) for _ in range(3)]
    await until(lambda: trio.cluster.workers()[0].member.outstanding == 3)
    await trio.workers[0].start()
    publish(trio, *[MemberState.ACTIVE] * 3, version=3, priorities=(0, 1, 2))
    await asyncio.gather(*calls)
    assert trio.cluster.failovers == 0
    assert trio.suspicions == []
    await wrap(trio)
    old.close()
    await wrap(trio)
    assert trio.cluster.failovers == 0


async def test_closing_the_cluster_ends_calls_that_wait(trio):
    for hsm in trio.hsms:
        hsm.faults.hang()
    call = asyncio.ensure_future(wrap(trio, 0.6))
    await until(trio.performed)
    trio.cluster.close()
    with pytest.raises(NoMemberError):
        await asyncio.wait_for(call, 60)
