"""Workers that want to be replaced hand over without an outage; members are degraded and read-only while they serve."""

import asyncio

import pytest

from fakes_runtime import until
from strongroom.core import MemberBusyError, MemberFailedError, PinRefusedError
from strongroom.hsm.cluster import MemberState
from strongroom.runtime import _lives, _watch

ACTIVE, DEGRADED, READ_ONLY = MemberState.ACTIVE, MemberState.DEGRADED, MemberState.READ_ONLY


@pytest.fixture
def old(kept, monkeypatch):
    """Workers that want to be replaced while ``why`` says so."""
    monkeypatch.setattr(_watch, "_PING_EVERY_S", 0.02)
    monkeypatch.setattr(_lives, "_HANDED_OVER_S", 0.05)
    kept.why = "7 days old"

    def wants(runner):
        pong = runner.pong

        def answer():
            told = pong()
            is_new = kept.starts and kept.worker.generation > 1
            return type(told)(
                told.running, told.waiting, told.finished, {"relogins": 1}, "" if is_new else kept.why
            )

        runner.pong = answer

    start = kept._start

    async def start_wanting(generation):
        started = await start(generation)
        worker = kept.worker.worker
        started.child._crash = worker.close  # two are there at once: each child ends its own
        wants(worker._runner)
        return started

    kept.keeper._lives._start = start_wanting
    return kept


async def test_a_worker_that_wants_to_be_replaced_hands_over_to_one_that_was_checked(old):
    old.run()
    await old.active(2)
    await until(lambda: old.children[0].status is not None)
    assert old.states == [
        (MemberState.STARTING, 1), (MemberState.RECONCILING, 1), (ACTIVE, 1), (ACTIVE, 2),
    ]  # fmt: skip
    assert old.children[0].status == 0, "it was asked to end, not killed"
    assert old.children[1].status is None
    (told,) = old.events.named("member.recycled")
    assert (told["generation"], told["before"], told["cause"]) == (2, 1, "7 days old")
    assert old.events.named("member.failed") == []
    assert "outage_s" not in old.events.named("member.active")[-1]
    counts = old.keeper.counts
    assert (counts.starts, counts.failures, counts.recycled) == (2, 0, 1)
    assert counts.recoveries["relogins"] >= 1


@pytest.mark.parametrize("error", [MemberFailedError("no sessions left"), PinRefusedError("refused")])
async def test_a_successor_that_cannot_start_leaves_the_old_one_serving(old, error):
    old.why = ""
    old.run()
    await old.active()
    old.start_errors.append(error)
    old.why = "7 days old"
    await until(lambda: old.events.named("member.not_recycled"))
    await asyncio.sleep(0.1)
    assert old.states[-1] == (ACTIVE, 1)
    assert old.children[0].status is None
    assert old.starts == [1, 2], "it is not tried again at once"


async def test_a_successor_that_fails_its_check_is_killed_and_the_old_one_serves(old):
    old.why = ""
    old.run()
    await old.active()
    old.check_errors.append(MemberFailedError("holds no root"))
    old.why = "7 days old"
    await until(lambda: old.events.named("member.not_recycled"))
    await until(lambda: old.children[1].status == -9)
    assert old.states[-1] == (ACTIVE, 1)


async def test_an_old_worker_that_dies_while_its_successor_starts_is_an_outage_like_any_other(old):
    old.why = ""
    old.run()
    await old.active()
    old.hold_check.clear()
    old.why = "7 days old"
    await until(lambda: len(old.children) == 2)
    old.children[0].die(9)
    await old.reaches(MemberState.EJECTED, 1)
    old.hold_check.set()
    await old.active(3)
    assert old.children[1].status == -9
    back = old.events.named("member.active")[-1]
    assert back["outage_s"] >= 0
    assert "ended with status 9" in back["cause"]


async def test_stopping_in_the_middle_of_a_handover_ends_both(old):
    old.why = ""
    old.run()
    await old.active()
    old.hold_check.clear()
    old.why = "7 days old"
    await until(lambda: len(old.children) == 2)
    old.task.cancel()
    await asyncio.wait({old.task}, timeout=60)
    assert [child.status for child in old.children] == [0, 0]
    await until(lambda: len(asyncio.all_tasks()) == 1)


async def test_a_slow_member_is_published_as_degraded_and_serves_on(kept):
    kept.run()
    await kept.active()
    kept.keeper.suspect(1, "sign takes 200 ms", "slow")
    degraded = await kept.reaches(DEGRADED, 1)
    assert degraded.reason == "sign takes 200 ms"
    assert (degraded.use_path, degraded.pid) == (str(kept.worker.use_path), kept.child.pid)
    kept.keeper.suspect(1, "sign takes 300 ms", "slow")
    await kept.let_pass(3)
    kept.keeper.suspect(1, "fast", "recovered")
    assert kept.states[-1] == (ACTIVE, 1)
    assert [event.name for event in kept.events.events][1:] == ["member.degraded", "member.restored"]
    assert kept.child.status is None


async def test_a_degraded_member_is_restored_when_nobody_says_so_any_more(kept, monkeypatch):
    monkeypatch.setattr(_watch, "_PING_EVERY_S", 0.02)
    kept.run()
    await kept.active()
    kept.keeper.suspect(1, "slow", "slow")
    await kept.let_pass(61)
    await until(lambda: kept.states[-1] == (ACTIVE, 1))


async def test_a_member_that_refuses_writes_is_read_only(kept):
    kept.run()
    await kept.active()
    kept.keeper.refuses_writes(2, "of a worker that is not")
    assert kept.states[-1] == (ACTIVE, 1)
    kept.keeper.refuses_writes(1, "CKR_TOKEN_WRITE_PROTECTED")
    assert kept.states[-1] == (READ_ONLY, 1)
    assert kept.events.named("member.read_only")[0]["cause"] == "CKR_TOKEN_WRITE_PROTECTED"
    kept.child.die(1)
    await until(lambda: kept.states[-1] == (READ_ONLY, 2))


async def test_what_was_said_of_an_earlier_generation_degrades_nobody(kept):
    kept.run()
    await kept.active()
    kept.child.die(1)
    await kept.active(2)
    kept.keeper.suspect(1, "slow", "slow")
    assert kept.states[-1] == (ACTIVE, 2)


async def test_a_worker_that_is_too_busy_for_its_check_is_checked_again(kept, monkeypatch):
    monkeypatch.setattr(_lives, "_BUSY_PAUSE_S", 0.01)
    kept.check_errors.extend([MemberBusyError("throttled")] * 3)
    kept.run()
    await kept.active()
    assert MemberState.EJECTED not in {state for state, _ in kept.states}


async def test_a_worker_that_is_too_busy_for_its_proof_is_left_alone(kept, monkeypatch):
    monkeypatch.setattr(_watch, "_PROVE_ACCUSED_EVERY_S", 0.0)
    kept.run()
    await kept.active()
    kept.proof_errors.extend([MemberBusyError("throttled")] * 2)
    kept.keeper.suspect(1, "failed", "failure")
    await until(lambda: kept.proofs)
    await asyncio.sleep(0.05)
    assert kept.states[-1] == (ACTIVE, 1)


async def test_the_length_of_an_outage_is_told(kept):
    kept.run()
    await kept.active()
    kept.hold_start.clear()
    kept.child.die(11)
    await kept.reaches(MemberState.STARTING, 2)
    kept.clock.advance(42.5)
    kept.hold_start.set()
    await kept.active(2)
    back = kept.events.named("member.active")[-1]
    assert back["outage_s"] == 42.5
    assert "status 11" in back["cause"]


async def test_while_no_member_serves_nobody_waits_long_for_another_try(kept, monkeypatch):
    kept.start_errors.extend(MemberFailedError("no") for _ in range(14))
    kept.keeper._pauses._is_needed = lambda: True
    slept = []

    async def sleep(seconds, real=asyncio.sleep):
        slept.append(seconds)
        await real(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    kept.run()
    while (ACTIVE, 15) not in kept.states:
        await sleep(0)
    assert max(slept) == 2.0


async def test_who_waits_for_another_try_is_hurried_when_the_last_other_member_is_lost(kept):
    kept.start_errors.append(MemberFailedError("no"))
    kept.run()
    await kept.reaches(MemberState.EJECTED, 1)
    kept.keeper.hurry()
    await kept.active(2)
