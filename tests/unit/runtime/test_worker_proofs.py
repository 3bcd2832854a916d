"""A member that answers but cannot serve is found out: it has to prove itself when accused, and now and then unasked."""

import asyncio
import contextlib

import pytest

from fakes_runtime import until
from strongroom.core import (
    Deadline,
    HsmError,
    HsmIntegrityError,
    HsmKeyNotFoundError,
    HsmRequestError,
    MemberDeadlineError,
    MemberFailedError,
    SystemClock,
)
from strongroom.hsm.cluster import MemberState
from strongroom.runtime import _watch

ACTIVE, EJECTED, STOPPED = MemberState.ACTIVE, MemberState.EJECTED, MemberState.STOPPED


def accuse(kept, generation=1):
    kept.keeper.suspect(generation, "the token: CKR_FUNCTION_FAILED", "failure")


async def test_an_accused_member_without_the_root_is_ejected_and_back_only_when_it_has_it_again(kept):
    kept.run()
    await kept.active()
    copy = type(kept.hsm)("copy")
    kept.hsm.copy_root_to(copy, kept.root_id)
    kept.hsm.forget_root(kept.root_id)
    kept.check_errors.extend(HsmKeyNotFoundError("no root") for _ in range(3))
    await kept.let_pass(3)
    accuse(kept)
    ejected = await kept.reaches(EJECTED, 1)
    assert "holds no root" in ejected.reason
    assert kept.children[0].status == -9
    await kept.reaches(EJECTED, 4)
    assert (ACTIVE, 2) not in kept.states
    copy.copy_root_to(kept.hsm, kept.root_id)
    await kept.active(5)


@pytest.mark.parametrize(
    "error", [MemberFailedError, HsmKeyNotFoundError, MemberDeadlineError, HsmRequestError, HsmError]
)
async def test_whatever_keeps_a_member_from_proving_itself_is_its_fault(kept, error):
    kept.run()
    await kept.active()
    kept.proof_errors.append(error("CKR_DEVICE_MEMORY"))
    await kept.let_pass(3)
    accuse(kept)
    assert "CKR_DEVICE_MEMORY" in (await kept.reaches(EJECTED, 1)).reason
    await kept.active(2)


async def test_an_unforeseen_error_of_a_proof_is_told_and_the_member_replaced(kept):
    kept.run()
    await kept.active()
    kept.proof_errors.append(KeyError("words"))
    await kept.let_pass(60)
    assert "unexpected KeyError" in (await kept.reaches(EJECTED, 1)).reason
    await kept.active(2)


async def test_a_member_that_proves_itself_goes_on_whatever_it_is_accused_of(kept):
    kept.run()
    await kept.active()
    for n_proofs in range(1, 4):
        await kept.let_pass(3)
        accuse(kept)
        await until(lambda n=n_proofs: kept.proofs == n)
    await kept.is_idle()  # a proof is counted at its beginning
    assert kept.states[-1] == (ACTIVE, 1)


async def test_proofs_are_asked_for_every_few_seconds_at_most_and_an_early_accusation_is_not_forgotten(kept):
    kept.run()
    await kept.active()
    for _ in range(5):
        accuse(kept)
        await asyncio.sleep(0.03)
    assert kept.proofs == 0
    await kept.let_pass(3)
    await until(lambda: kept.proofs == 1)
    accuse(kept)
    await asyncio.sleep(0.1)
    assert kept.proofs == 1


async def test_a_member_has_to_prove_itself_once_a_minute_unasked(kept):
    kept.run()
    await kept.active()
    await kept.let_pass(59)
    await asyncio.sleep(0.1)
    assert kept.proofs == 0
    await kept.let_pass(1)
    await until(lambda: kept.proofs == 1)
    await kept.is_idle()  # a proof is counted at its beginning
    kept.hsm.forget_root(kept.root_id)
    await kept.let_pass(60)
    await kept.reaches(EJECTED, 1)


async def test_one_that_is_only_slow_has_not_to_prove_itself(kept):
    kept.run()
    await kept.active()
    await kept.let_pass(30)
    kept.keeper.suspect(1, "no answer within 1 s", "timeout")
    await asyncio.sleep(0.1)
    assert (kept.proofs, kept.states[-1]) == (0, (ACTIVE, 1))


async def test_a_worker_whose_socket_was_removed_cannot_prove_itself_to_a_new_caller(kept):
    """Those who are connected are served all the same, and so are pings; an API process that starts is not."""
    kept.run()
    await kept.active()
    await kept.is_idle()
    kept.worker.use_path.unlink()
    await kept.let_pass(60)
    assert "no worker answers at its socket" in (await kept.reaches(EJECTED, 1)).reason


async def test_a_proof_that_another_key_came_back_is_believed_once_a_fresh_worker_says_so_too(kept):
    kept.run()
    await kept.active()
    kept.proof_errors.append(HsmIntegrityError("another key"))
    kept.check_errors.append(HsmIntegrityError("another key"))
    await kept.let_pass(60)
    await kept.reaches(EJECTED, 1)
    await kept.reaches(STOPPED, 2)


async def load(kept, n_callers):
    """Callers in a loop, as many as it takes to keep the HSM from everything else."""
    member, deadline = kept.keeper.member, Deadline.after(SystemClock(), 60)

    async def loop():
        with contextlib.suppress(HsmError):
            while True:
                await member.random(1, deadline=deadline)

    return [asyncio.ensure_future(loop()) for _ in range(n_callers)]


async def test_a_member_that_is_overloaded_is_not_taken_for_one_that_cannot_serve(kept, monkeypatch):
    monkeypatch.setattr(_watch, "_PING_EVERY_S", 0.1)
    monkeypatch.setattr(_watch, "_PROOF_LIMIT_S", 0.2)
    kept.run()
    await kept.active()
    kept.hsm.faults.slow_s = 0.01
    callers = await load(kept, 60)
    try:
        await kept.let_pass(60)
        await until(lambda: kept.proofs == 1)
        await asyncio.sleep(0.6)
        assert kept.states[-1] == (ACTIVE, 1)
    finally:
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)


async def test_a_member_that_does_nothing_for_anybody_is_ejected(kept, monkeypatch):
    """Its threads are gone, say: it answers pings, nothing runs, nothing hangs, and nothing is ever done."""
    monkeypatch.setattr(_watch, "_PROOF_LIMIT_S", 0.2)
    kept.run()
    await kept.active()
    kept.worker.worker._runner.close()
    await asyncio.wait_for(kept.worker.worker.ended.wait(), 60)
    await kept.let_pass(60)
    await kept.reaches(EJECTED, 1)


async def test_a_call_that_began_earlier_and_is_within_its_limit_excuses_a_late_proof(kept, monkeypatch):
    monkeypatch.setattr(_watch, "_PROOF_LIMIT_S", 0.2)
    kept.run()
    await kept.active()
    kept.hsm.faults.hang()
    call = asyncio.ensure_future(kept.keeper.member.random(1, deadline=Deadline.after(SystemClock(), 60)))
    await until(lambda: kept.performer.performed)
    await kept.let_pass(60)
    await until(lambda: kept.proofs == 1)
    await asyncio.sleep(0.4)
    assert kept.states[-1] == (ACTIVE, 1)
    kept.hsm.faults.release()
    assert len(await call) == 1
