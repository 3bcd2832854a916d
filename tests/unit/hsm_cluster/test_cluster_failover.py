"""``HsmCluster`` over real sockets: spreading, failing over, giving up, and what it reports."""

import asyncio
import socket
import time

import pytest

from strongroom.core import (
    Deadline,
    HsmError,
    HsmIntegrityError,
    HsmKeyNotFoundError,
    HsmRequestError,
    MemberFailedError,
    NoMemberError,
    PinRefusedError,
    Secret,
    SystemClock,
    TokenNotFoundError,
)
from strongroom.hsm.cluster import SERVING, ClusterTable, MemberState, WorkerEntry
from tries import Tries
from worker_in_process import table

KEY, AAD = Secret(b"k" * 32), b"domain 7"
ATTEMPT_S = 0.2
LONG = 10.0
unhurried = pytest.mark.parametrize("attempt_s", [20.0], ids=["unhurried"])
"""For what counts each attempt: none of them is late because the machine stood still."""


def in_s(seconds):
    return Deadline.after(SystemClock(), seconds)


def publish(trio, version, *workers, state=MemberState.ACTIVE):
    trio.cluster.apply(table(version, *workers, state=state))


async def wrap_and_check(trio, deadline_s=LONG):
    """Wrap through the cluster; any of the HSMs can open it."""
    wrapped = await trio.cluster.wrap(trio.root_id, KEY, AAD, deadline=in_s(deadline_s))
    assert trio.hsms[-1].unwrap(trio.root_id, wrapped, AAD).matches(KEY)


async def until(claim):
    """Attempts that nobody waits for any more run on, and what they say of their member comes later."""
    async with asyncio.timeout(60):
        while not claim():
            await asyncio.sleep(0.005)


async def warm_up(trio):
    """Have a connection to each member."""
    for hsm in trio.hsms:
        hsm.faults.slow_s = 0.02
    await asyncio.gather(*[wrap_and_check(trio) for _ in range(9)])
    for worker in trio.workers:
        worker.hsm.faults.slow_s = 0.0
    await until(lambda: not any(worker.member.outstanding for worker in trio.cluster.workers()))
    for worker in trio.workers:
        worker.performer.performed.clear()


async def test_the_load_is_spread_even_before_there_are_connections(trio):
    for hsm in trio.hsms:
        hsm.faults.slow_s = 0.01
    await asyncio.gather(*[wrap_and_check(trio) for _ in range(30)])
    asked = [len(worker.performer.performed) for worker in trio.workers]
    assert max(asked) - min(asked) <= 2  # a call that is late may be with two of them
    assert trio.cluster.failovers == 0


async def test_calls_on_a_member_that_dies_go_on_elsewhere_at_once(trio):
    await warm_up(trio)
    trio.hsms[0].faults.hang()
    waiting = [asyncio.ensure_future(wrap_and_check(trio)) for _ in range(12)]
    while not trio.workers[0].performer.performed:
        await asyncio.sleep(0.001)
    trio.workers[0].crash()
    await asyncio.gather(*waiting)
    await wrap_and_check(trio)
    (event,) = trio.events.named("cluster.failover")
    assert (event["member"], event["kind"]) == ("alpha", "failure")


async def test_calls_on_a_member_that_hangs_go_on_elsewhere_and_it_is_blamed_after_one_attempt(trio):
    await warm_up(trio)
    trio.hsms[0].faults.hang()
    began = time.monotonic()
    await asyncio.gather(*[wrap_and_check(trio) for _ in range(12)])
    assert time.monotonic() - began < ATTEMPT_S + 2
    await until(lambda: trio.suspicions)
    assert time.monotonic() - began > ATTEMPT_S * 0.9
    (event,) = trio.events.named("cluster.failover")
    assert (event["member"], event["kind"]) == ("alpha", "timeout")
    assert {suspicion.kind for suspicion in trio.suspicions} == {"timeout"}
    began = time.monotonic()
    await wrap_and_check(trio)
    assert time.monotonic() - began < ATTEMPT_S, "the member under suspicion was asked first"


async def test_a_member_that_is_frozen_as_a_whole_costs_one_attempt(trio, tmp_path):
    _, beta, _ = trio.workers
    frozen = WorkerEntry("alpha", 0, 2, MemberState.ACTIVE, str(tmp_path / "frozen"))
    with socket.socket(socket.AF_UNIX) as listener:  # the kernel connects, nobody ever accepts
        listener.bind(frozen.use_path)
        listener.listen(1)
        trio.cluster.apply(ClusterTable(2, [frozen, beta.entry()]))
        began = time.monotonic()
        await asyncio.gather(*[wrap_and_check(trio) for _ in range(20)])
        assert time.monotonic() - began < ATTEMPT_S + 2
        await until(lambda: trio.suspicions)
    assert [(said.member, said.generation) for said in trio.suspicions] == [("alpha", 2)]


@unhurried
@pytest.mark.parametrize("happened", [False, True], ids=["not done", "done but lost"])
async def test_a_call_that_a_member_fails_is_done_by_another(trio, happened):
    trio.hsms[0].faults.fail_next(1, happened=happened)
    await wrap_and_check(trio)
    assert trio.cluster.failovers == 1
    (suspicion,) = trio.suspicions
    assert (suspicion.member, suspicion.worker, suspicion.generation) == ("alpha", 0, 1)
    assert "told to fail" in suspicion.reason
    assert suspicion.kind == "failure"


@unhurried
@pytest.mark.parametrize("error", [HsmError, PinRefusedError, TokenNotFoundError])
async def test_whatever_hsm_error_is_no_fault_of_the_request_is_a_failure_of_the_member(trio, error):
    trio.hsms[0].faults.fail_next(1, lambda: error("no user is logged in"))
    await wrap_and_check(trio)
    (suspicion,) = trio.suspicions
    assert (suspicion.member, suspicion.kind) == ("alpha", "failure")


@unhurried
async def test_a_member_that_lost_the_root_is_passed_over(trio):
    trio.hsms[0].forget_root(trio.root_id)
    await wrap_and_check(trio)
    assert "holds no root" in trio.suspicions[0].reason


@unhurried
@pytest.mark.parametrize("error", [HsmRequestError, HsmIntegrityError])
async def test_a_wrong_request_is_told_at_once_and_tried_on_no_other_member(trio, error):
    for hsm in trio.hsms:
        hsm.faults.fail_next(5, lambda: error("your fault"))
    with pytest.raises(error, match="your fault"):
        await wrap_and_check(trio)
    assert trio.performed() == 1
    assert (trio.suspicions, trio.cluster.failovers) == ([], 0)


@unhurried
async def test_tampering_is_told_at_once_and_tried_on_no_other_member(trio):
    wrapped = await trio.cluster.wrap(trio.root_id, KEY, AAD, deadline=in_s(LONG))
    with pytest.raises(HsmIntegrityError):
        await trio.cluster.unwrap(trio.root_id, wrapped, b"another domain", deadline=in_s(LONG))
    assert trio.performed() == 2
    assert trio.suspicions == []


async def test_many_failing_calls_are_one_suspicion_per_generation(trio):
    alpha, *_ = trio.workers
    for generation in (1, 2):
        alpha.hsm.faults.fail_next(100)
        await asyncio.gather(*[wrap_and_check(trio) for _ in range(30)])
        mine = [said for said in trio.suspicions if said.member == "alpha"]
        assert [said.generation for said in mine] == list(range(1, generation + 1))
        alpha.hsm.faults.clear()
        alpha.crash()
        await alpha.start()
        publish(trio, 1 + generation, *trio.workers)
    assert len(trio.events.named("cluster.failover")) == 2


async def test_only_members_that_serve_are_asked(trio):
    alpha, beta, gamma = trio.workers
    for state in set(MemberState) - SERVING:
        entries = [alpha.entry(state), beta.entry(), gamma.entry(state)]
        trio.cluster.apply(ClusterTable(2, entries))
        await wrap_and_check(trio)
    assert alpha.performer.performed == gamma.performer.performed == []


async def test_a_new_generation_is_used_as_soon_as_it_is_published(trio):
    alpha, tries = trio.workers[0], Tries(1)
    for number in tries:
        publish(trio, 2 * number + 2, alpha)
        alpha.hsm.faults.hang()
        call = asyncio.ensure_future(wrap_and_check(trio))
        await asyncio.sleep(ATTEMPT_S * 1.5)
        alpha.crash()
        alpha.hsm.faults.release()
        await alpha.start()
        with tries.timed():
            publish(trio, 2 * number + 3, alpha)
            await call


async def test_a_call_outlives_the_loss_of_all_members_when_one_is_back_in_time(trio):
    for worker in trio.workers:
        worker.crash()
    publish(trio, 2, *trio.workers, state=MemberState.EJECTED)
    call = asyncio.ensure_future(wrap_and_check(trio))
    await asyncio.sleep(0.3)
    assert not call.done()
    assert not trio.cluster.has_active_member()
    await trio.workers[1].start()
    publish(trio, 3, trio.workers[1])
    await asyncio.wait_for(call, 60)


async def test_a_member_that_recovers_without_a_new_table_is_found_again(trio):
    for hsm in trio.hsms:
        hsm.faults.fail_next(3)
    await wrap_and_check(trio)


async def test_without_any_member_the_call_ends_at_its_deadline_and_says_what_to_do(trio):
    trio.cluster.apply(table(2))
    tries = Tries(1.5)
    for _ in tries:
        with tries.timed(), pytest.raises(NoMemberError, match="no member is active") as caught:
            await wrap_and_check(trio, 0.3)
    assert min(tries.took_s) > 0.25
    assert "strongroom status" in caught.value.next_step
    assert trio.suspicions == []


@pytest.fixture
def rounds(trio, monkeypatch):
    """How often calls looked for a member to ask."""
    made = []
    monkeypatch.setattr(
        trio.cluster._routing,
        "choose",
        lambda tried, real=trio.cluster._routing.choose: made.append(1) or real(tried),
    )
    return made


async def test_callers_who_wait_for_a_member_do_nothing_until_there_is_a_new_table(trio, rounds):
    publish(trio, 2, *trio.workers, state=MemberState.EJECTED)
    calls = [asyncio.ensure_future(wrap_and_check(trio)) for _ in range(50)]
    await asyncio.sleep(0.5)
    assert len(rounds) == 50, "they look again and again where nothing has changed"
    publish(trio, 3, *trio.workers)
    await asyncio.gather(*calls)


async def test_members_that_all_failed_are_asked_again_ever_more_slowly(trio, rounds):
    for hsm in trio.hsms:
        hsm.faults.fail_next(10_000)
    with pytest.raises(NoMemberError):
        await wrap_and_check(trio, 1.5)
    # 3 attempts and a look in vain each round; pauses of 0.02, 0.04, … 0.2 s make some 10 rounds.
    assert 12 <= len(rounds) < 90


@unhurried
async def test_when_every_member_fails_the_call_says_what_the_last_one_said(trio):
    for hsm in trio.hsms:
        hsm.faults.fail_next(10_000, lambda: MemberFailedError("out of memory"))
    with pytest.raises(NoMemberError, match="out of memory"):
        await wrap_and_check(trio, 1.0)
    assert {said.member for said in trio.suspicions} == {"alpha", "beta", "gamma"}


@unhurried
async def test_a_root_that_nobody_holds_ends_at_the_deadline(trio):
    with pytest.raises(NoMemberError, match="holds no root") as caught:
        await trio.cluster.wrap(b"?" * 16, KEY, AAD, deadline=in_s(1.0))
    assert isinstance(caught.value.__cause__, HsmKeyNotFoundError)


async def test_a_deadline_that_has_passed_asks_nobody_and_blames_nobody(trio):
    with pytest.raises(NoMemberError, match="no time was left"):
        await wrap_and_check(trio, -1)
    assert (trio.performed(), trio.suspicions) == (0, [])


async def test_a_member_is_not_blamed_for_the_hurry_of_a_caller(trio):
    for hsm in trio.hsms:
        hsm.faults.slow_s = 0.1
    with pytest.raises(NoMemberError, match="did not answer"):
        await wrap_and_check(trio, ATTEMPT_S * 0.25)
    assert (trio.suspicions, trio.events.events) == ([], [])


async def test_a_member_that_left_the_table_is_asked_no_more(trio):
    alpha, beta, _ = trio.workers
    await warm_up(trio)
    publish(trio, 2, beta)
    await asyncio.gather(*[wrap_and_check(trio) for _ in range(10)])
    assert len(beta.performer.performed) == 10
    assert [entry.member for entry in trio.cluster.entries()] == ["beta"]
    assert alpha.performer.performed == []


async def test_random_bytes_come_from_any_member(trio):
    made = await trio.cluster.random(64, deadline=in_s(LONG))
    assert len(made) == 64
