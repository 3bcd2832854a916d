"""Rewrapping after a rotation: paced, told batch by batch with counts, and nothing is begun that cannot be told."""

import asyncio

import pytest

from fakes_root_rotation import RotatedBench
from strongroom.core import AuditUnavailableError, MemberFailedError, NoMemberError
from strongroom.service import RootRewraps, _root_rewraps
from strongroom.storage import RotationState
from strongroom.testing import RecordingEvents


@pytest.fixture
async def rotated(bench):
    made = RotatedBench(bench)
    await made.make_keys(5)
    made.rewraps = RootRewraps(made.rewrapping, bench.audit, events=RecordingEvents(), clock=bench.clock)
    return made


def told(rotated):
    return [entry for entry in rotated.bench.entries() if entry.event == "root.Rewrap"]


async def test_without_a_rotation_there_is_nothing_to_do_or_to_tell(rotated):
    assert await rotated.rewraps.do_some() > 0
    assert told(rotated) == []


async def test_each_batch_has_an_intent_and_an_outcome_with_counts(rotated):
    root = await rotated.rotate(domains_per_s=3.0)
    pauses = [await rotated.rewraps.do_some() for _ in range(3)]
    assert pauses[:2] == pytest.approx([1.0, 2 / 3])
    assert [(entry.kind, entry.outcome, entry.principal) for entry in told(rotated)] == [
        ("intent", "", "strongroom"),
        ("outcome", "ok", "strongroom"),
    ] * 2
    counts = [entry.detail for entry in told(rotated) if entry.kind == "outcome"]
    assert [(detail["domains"], detail["rewrapped"], detail["left"]) for detail in counts] == [
        ("3", "3", "2"),
        ("2", "2", "0"),
    ]
    assert rotated.store.count_domains_by_root() == {root.root_id: 5}
    assert rotated.store.get_last_root_rotation().state is RotationState.FINISHED
    await rotated.rewraps.do_some()
    finished = [entry for entry in rotated.bench.entries() if entry.event == "root.rewrapped"]
    assert [(entry.kind, entry.detail["rewrapped"]) for entry in finished] == [("event", "5")]
    await rotated.require_every_key_works()


async def test_it_is_at_work_no_more_than_half_of_the_time(rotated):
    await rotated.rotate(domains_per_s=1_000.0)
    real = rotated.member.batch

    async def slow(items, *, deadline):
        rotated.bench.clock.advance(2.0)
        return await real(items, deadline=deadline)

    rotated.member.batch = slow
    assert await rotated.rewraps.do_some() == pytest.approx(6.0)


async def test_less_than_one_a_second_goes_one_by_one(rotated):
    await rotated.rotate(domains_per_s=0.25)
    assert await rotated.rewraps.do_some() == pytest.approx(4.0)
    assert rotated.rewrapping.count_left() == 4


async def test_nothing_is_begun_while_the_audit_log_takes_no_entry(rotated):
    await rotated.rotate()
    rotated.bench.disk.decide = lambda _asked: "lost"
    with pytest.raises(AuditUnavailableError):
        await rotated.rewraps.do_some()
    assert rotated.rewrapping.count_left() == 5
    rotated.bench.disk.decide = lambda _asked: None


async def test_while_no_hsm_answers_the_pauses_grow_and_it_goes_on_by_itself(rotated):
    await rotated.rotate()
    rotated.hsm.faults.fail_next(15, lambda: NoMemberError("nobody"))
    pauses = [await rotated.rewraps.do_some() for _ in range(3)]
    assert pauses == [2.0, 4.0, 8.0]
    assert {entry.outcome for entry in told(rotated) if entry.kind == "outcome"} == {"NoMemberError"}
    await rotated.rewraps.do_some()
    assert rotated.rewrapping.count_left() == 0


async def test_one_that_fails_is_named_and_the_others_are_done(rotated):
    await rotated.rotate()
    rotated.hsm.faults.fail_next(1, lambda: MemberFailedError("a fault"))
    await rotated.rewraps.do_some()
    outcome = told(rotated)[-1]
    assert (outcome.outcome, outcome.detail["rewrapped"], outcome.detail["failed"]) == (
        "MemberFailedError",
        "4",
        "1",
    )
    (left,) = rotated.store.list_domains_under(rotated.store.list_roots()[0].root_id, after="", limit=10)
    assert outcome.detail["first_failed_domain"] == left.domain_id


async def test_an_accident_does_not_end_the_process_and_what_is_no_domain_harms_no_other(
    rotated, monkeypatch
):
    before = rotated.store.get_current_root()
    odd = rotated.store.list_domains(after="", limit=1)[0]._replace(domain_id="z" * 36)
    await rotated.store.write(lambda tx: tx.insert_domain(odd))
    await rotated.rotate()
    accidents = [ZeroDivisionError()]
    real = rotated.rewrapping.rewrap

    async def rewrap(domains):
        if accidents:
            raise accidents.pop()
        return await real(domains)

    monkeypatch.setattr(rotated.rewrapping, "rewrap", rewrap)
    monkeypatch.setattr(_root_rewraps, "_IDLE_S", 0.01)
    rotated.rewraps._pause_s = 0.01
    running = asyncio.ensure_future(rotated.rewraps.run())
    async with asyncio.timeout(60):
        while rotated.rewrapping.count_left() > 1:
            await asyncio.sleep(0.01)
    assert not running.done()
    running.cancel()
    await asyncio.wait({running})
    assert rotated.store.count_domains_by_root()[before.root_id] == 1
    assert odd.domain_id in rotated.store.get_last_root_rotation().trouble
