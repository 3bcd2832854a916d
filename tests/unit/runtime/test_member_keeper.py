"""A member's worker is checked before it serves, replaced when it dies or hangs, and left alone when it is well."""

import asyncio
import gc

import pytest

from fakes_runtime import RecordedPauses, until
from strongroom.core import (
    Deadline,
    HsmIntegrityError,
    HsmKeyNotFoundError,
    MemberDeadlineError,
    MemberFailedError,
    PinRefusedError,
    SystemClock,
    TokenNotFoundError,
)
from strongroom.hsm.cluster import MemberState
from strongroom.runtime import _restart_pauses

STARTING, RECONCILING, ACTIVE = MemberState.STARTING, MemberState.RECONCILING, MemberState.ACTIVE
EJECTED, STOPPED = MemberState.EJECTED, MemberState.STOPPED


@pytest.fixture
def pauses(monkeypatch):
    recorded = RecordedPauses()
    monkeypatch.setattr(_restart_pauses, "asyncio", recorded)
    monkeypatch.setattr(_restart_pauses, "_FIRST_PAUSE_S", 0.05)
    return recorded.pauses


def hang(kept, limit_s):
    """Let the HSM hang in an operation that it may take ``limit_s`` for; returns the call that waits for it."""
    kept.performer._limit_s = limit_s
    kept.hsm.faults.hang()
    return asyncio.ensure_future(kept.keeper.member.random(1, deadline=Deadline.after(SystemClock(), 60)))


async def test_a_worker_is_published_as_serving_only_once_it_was_checked(kept):
    kept.hold_check.clear()
    kept.run()
    await kept.reaches(RECONCILING, 1)
    assert not kept.keeper.first_outcome.is_set()
    kept.hold_check.set()
    await kept.active()
    assert kept.states == [(STARTING, 1), (RECONCILING, 1), (ACTIVE, 1)]
    starting, reconciling, active = kept.published
    assert (starting.use_path, starting.pid) == ("", 0)
    assert reconciling.use_path == active.use_path == str(kept.worker.use_path)
    assert reconciling.pid == active.pid == kept.child.pid
    assert kept.keeper.first_outcome.is_set()
    assert kept.keeper.failure is None
    assert kept.events.named("member.active") == [{"member": "hsm-a", "generation": 1, "pid": kept.child.pid}]


async def test_a_worker_that_dies_is_replaced_by_one_of_the_next_generation(kept):
    kept.run()
    for generation in range(1, 5):
        await kept.active(generation)
        kept.child.die(generation)
        ejected = await kept.reaches(EJECTED, generation)
        assert f"ended with status {generation}" in ejected.reason
        assert (ejected.use_path, ejected.pid) == ("", 0)
    await kept.active(5)
    await until(lambda: kept.keeper.failure is None)
    assert kept.states[:8] == [
        (STARTING, 1), (RECONCILING, 1), (ACTIVE, 1), (EJECTED, 1),
        (STARTING, 2), (RECONCILING, 2), (ACTIVE, 2), (EJECTED, 2),
    ]  # fmt: skip
    assert kept.starts == [1, 2, 3, 4, 5]
    assert len({entry.use_path for entry in kept.published if entry.state is ACTIVE}) == 5


async def test_pauses_between_starts_grow_and_are_short_again_after_a_good_life(kept, pauses):
    kept.start_errors.extend(MemberFailedError("no") for _ in range(12))
    kept.run()
    await kept.active(13)
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 15.0, 15.0, 15.0, 15.0]
    kept.child.die(1)
    await kept.active(14)
    assert pauses[12:] == [15.0]
    await kept.let_pass(31)
    kept.child.die(1)
    await kept.active(15)
    assert pauses[13:] == [0.05]


async def test_a_long_start_is_no_good_life(kept, pauses):
    """A member that takes 40 s to start and fails at once then is started ever more slowly."""
    for generation in range(1, 5):
        kept.hold_start.clear()
        kept.run() if generation == 1 else None
        await kept.reaches(STARTING, generation)
        kept.clock.advance(40)
        kept.hold_start.set()
        await kept.active(generation)
        kept.hold_start.clear()
        kept.child.die(1)
    await kept.reaches(STARTING, 5)
    assert pauses == [0.1, 0.2, 0.4, 0.8]


async def test_a_refused_pin_is_tried_exactly_once(kept):
    kept.start_errors.append(PinRefusedError("CKR_PIN_INCORRECT", next_step="correct the PIN file"))
    kept.run()
    await asyncio.wait_for(kept.task, 60)
    assert kept.starts == [1]
    assert kept.states == [(STARTING, 1), (STOPPED, 1)]
    assert "correct the PIN file" in kept.keeper.entry.reason
    assert isinstance(kept.keeper.failure, PinRefusedError)
    assert kept.keeper.first_outcome.is_set()
    assert [event.name for event in kept.events.events] == ["member.stopped"]
    assert kept.events.named("member.stopped")[0]["next_step"] == "correct the PIN file"


async def test_a_pin_that_is_refused_at_a_restart_is_tried_exactly_once_too(kept):
    kept.run()
    await kept.active()
    kept.start_errors.append(PinRefusedError("CKR_PIN_LOCKED"))
    kept.child.die(3)
    await asyncio.wait_for(kept.task, 60)
    assert kept.starts == [1, 2]
    assert kept.states[-2:] == [(STARTING, 2), (STOPPED, 2)]


async def test_a_member_that_two_workers_find_with_another_key_is_stopped_and_never_served(kept):
    kept.check_errors.extend(HsmIntegrityError("the member holds another key as root") for _ in range(2))
    kept.run()
    await asyncio.wait_for(kept.task, 60)
    assert kept.states == [
        (STARTING, 1), (RECONCILING, 1), (EJECTED, 1), (STARTING, 2), (RECONCILING, 2), (STOPPED, 2),
    ]  # fmt: skip
    assert [child.status for child in kept.children] == [-9, -9]
    assert kept.keeper.member is None


async def test_one_worker_that_finds_another_key_may_be_mistaken(kept):
    """An error in transit or a fault of that process: only a second worker that says the same is believed."""
    mismatch = HsmIntegrityError("the member holds another key as root")
    kept.check_errors.append(mismatch)
    kept.run()
    await kept.active(2)
    kept.check_errors.append(mismatch)
    kept.child.die(1)
    await kept.active(4)
    assert STOPPED not in {state for state, _ in kept.states}


async def test_two_workers_that_find_another_key_are_believed_also_with_a_failure_between_them(kept):
    mismatch = HsmIntegrityError("the member holds another key as root")
    kept.check_errors.extend([mismatch, MemberFailedError("busy"), mismatch])
    kept.run()
    await asyncio.wait_for(kept.task, 60)
    assert kept.states[-1] == (STOPPED, 3)


@pytest.mark.parametrize(
    "error",
    [HsmKeyNotFoundError, MemberFailedError, MemberDeadlineError, TokenNotFoundError, OSError, KeyError],
)
async def test_a_member_that_fails_its_check_otherwise_is_ejected_and_tried_again(kept, error):
    """Also where a check fails as nobody foresaw: a member is never given up in silence."""
    kept.check_errors.append(error("as nobody wished"))
    kept.run()
    await kept.active(2)
    assert kept.states[:4] == [(STARTING, 1), (RECONCILING, 1), (EJECTED, 1), (STARTING, 2)]
    assert kept.children[0].status == -9
    assert kept.events.named("member.failed")[0]["cause"]


async def test_an_unforeseen_error_is_told_by_type_and_place_and_not_by_its_words(kept):
    kept.check_errors.append(ValueError("words that might hold a secret"))
    kept.run()
    ejected = await kept.reaches(EJECTED, 1)
    assert "ValueError" in ejected.reason
    assert "fakes_runtime.py" in ejected.reason
    assert "secret" not in ejected.reason + str(kept.events.events)


async def test_what_is_kept_of_a_failure_leads_to_no_variable_of_where_it_came_from(kept):
    """A PIN may be among them."""
    failure = MemberFailedError("the worker could not be started")
    failure.__cause__ = OSError("with frames of its own")
    kept.start_errors.append(failure)
    kept.run()
    await kept.reaches(EJECTED, 1)
    assert (failure.__traceback__, failure.__cause__, failure.__context__) == (None, None, None)


async def test_a_reason_of_any_length_is_told_in_short(kept):
    kept.start_errors.append(MemberFailedError("x" * 1_000_000))
    kept.run()
    assert len((await kept.reaches(EJECTED, 1)).reason) <= 500


async def test_a_hung_operation_is_ended_by_killing_the_worker(kept):
    kept.run()
    await kept.active()
    call = hang(kept, limit_s=0.05)
    ejected = await kept.reaches(EJECTED, 1)
    assert "Random has hung in the HSM's library" in ejected.reason
    assert kept.children[0].status == -9
    with pytest.raises(MemberFailedError):
        await call
    kept.hsm.faults.release()
    await kept.active(2)


async def test_an_operation_within_its_limit_is_left_alone(kept):
    kept.run()
    await kept.active()
    call = hang(kept, limit_s=300.0)
    await asyncio.sleep(0.3)
    assert kept.states[-1] == (ACTIVE, 1)
    kept.hsm.faults.release()
    assert len(await call) == 1


@pytest.mark.parametrize("phase", ["starting", "reconciling", "active", "pausing", "asking"])
async def test_stopping_ends_the_worker_in_every_phase(kept, silent, monkeypatch, phase):
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    if phase == "starting":
        kept.hold_start.clear()
    elif phase == "reconciling":
        kept.hold_check.clear()
    elif phase == "pausing":
        monkeypatch.setattr(_restart_pauses, "_FIRST_PAUSE_S", 60.0)
        kept.check_errors.append(MemberFailedError("no"))
    kept.run()
    reached = {"starting": STARTING, "reconciling": RECONCILING, "pausing": EJECTED}.get(phase, ACTIVE)
    await kept.reaches(reached, 1)
    if phase == "asking":
        await silent()
    await asyncio.sleep(0.05)
    kept.task.cancel()
    await asyncio.wait({kept.task}, timeout=60)
    assert kept.task.cancelled()
    expected = (
        -9 if phase == "pausing" else 0
    )  # asked to end, so that it logs out; killed only once it failed
    assert all(child.status == expected for child in kept.children)
    assert all(child.grace_s == (None if phase == "pausing" else 1.0) for child in kept.children)
    await until(lambda: len(asyncio.all_tasks()) == 1)
    kept.task = None  # it holds, by its traceback, what may complain when it is collected
    gc.collect()
    assert complaints == []


async def test_stopping_just_when_a_worker_was_given_up_stops_all_the_same(kept):
    """An order to stop that falls into the clearing up must not be taken for a part of it."""
    kept.run()
    await kept.active()
    child = kept.child
    child.slow_to_let_go_s = 0.2
    kept.worker.crash()  # the process lives on, but nobody answers: the keeper lets go of it
    await asyncio.sleep(0.15)
    kept.task.cancel()
    await asyncio.wait({kept.task}, timeout=60)
    assert kept.task.cancelled()
    assert child.status is not None
