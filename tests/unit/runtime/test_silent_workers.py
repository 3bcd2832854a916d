"""A worker that does not answer is replaced; one that somebody only suspects, or that had no time to answer, is not."""

import asyncio
import time

import pytest

from fakes_runtime import until
from strongroom.hsm.cluster import MemberState, RemoteMember
from strongroom.runtime import _watch

ACTIVE, EJECTED = MemberState.ACTIVE, MemberState.EJECTED


async def test_a_worker_that_does_not_answer_is_replaced(kept, silent, monkeypatch):
    kept.run()
    await kept.active()
    monkeypatch.setattr(_watch, "_PING_LIMIT_S", 0.1)
    await silent()
    ejected = await kept.reaches(EJECTED, 1)
    assert "does not answer" in ejected.reason
    assert kept.children[0].status == -9
    await kept.active(2)


async def test_a_machine_that_paused_as_a_whole_has_no_worker_replaced(kept, monkeypatch):
    """When it goes on, every limit has passed, and no worker had time to answer."""
    pauses = [1.0, 1.0]

    async def ping(member, *, deadline):
        asked = asyncio.ensure_future(kept.ping(member, deadline=deadline))
        await asyncio.sleep(0)
        if pauses:
            time.sleep(pauses.pop())  # the worker lives in this process too
        return await asked

    monkeypatch.setattr(RemoteMember, "ping", ping)
    monkeypatch.setattr(_watch, "_PING_LIMIT_S", 0.3)
    kept.run()
    await kept.active()
    await until(lambda: kept.answers > 2)
    assert not pauses
    assert kept.states[-1] == (ACTIVE, 1)


async def test_a_suspicion_has_the_worker_asked_at_once_and_with_less_patience(kept, silent, monkeypatch):
    monkeypatch.setattr(_watch, "_PING_EVERY_S", 60.0)
    monkeypatch.setattr(_watch, "_SUSPECT_PING_LIMIT_S", 0.1)
    kept.run()
    await kept.active()
    await silent()
    kept.keeper.suspect(1, "no answer within 1 s", "timeout")
    ejected = await kept.reaches(EJECTED, 1)
    assert "no answer within 1 s" in ejected.reason


async def test_a_suspicion_that_comes_while_the_worker_is_being_asked_counts_too(kept, silent, monkeypatch):
    monkeypatch.setattr(_watch, "_SUSPECT_PING_LIMIT_S", 0.1)
    kept.run()
    await kept.active()
    await silent()
    await asyncio.sleep(0.1)  # so that it is being asked
    assert kept.states[-1] == (ACTIVE, 1)
    kept.keeper.suspect(1, "no answer within 1 s", "timeout")
    await kept.reaches(EJECTED, 1)


@pytest.mark.parametrize("generation", [0, 1, 3])
async def test_a_suspicion_of_another_generation_says_nothing_about_this_one(
    kept, silent, monkeypatch, generation
):
    kept.run()
    await kept.active()
    monkeypatch.setattr(_watch, "_PING_EVERY_S", 60.0)
    monkeypatch.setattr(_watch, "_SUSPECT_PING_LIMIT_S", 0.1)
    kept.child.die(1)
    await kept.active(2)
    await silent()
    kept.keeper.suspect(generation, "late news", "timeout")
    await asyncio.sleep(0.25)
    assert kept.states[-1] == (ACTIVE, 2)


async def test_a_suspicion_of_a_worker_that_is_well_does_it_no_harm(kept):
    kept.run()
    await kept.active()
    for _ in range(20):
        kept.keeper.suspect(1, "slander", "timeout")
        await asyncio.sleep(0.005)
    assert kept.states[-1] == (ACTIVE, 1)
    assert kept.child.status is None


async def test_a_suspicion_is_looked_into_once(kept, monkeypatch):
    monkeypatch.setattr(_watch, "_PING_EVERY_S", 60.0)
    kept.run()
    await kept.active()
    pings = []

    async def ping(*, deadline, real=kept.keeper.member.ping):
        pings.append(deadline)
        return await real(deadline=deadline)

    monkeypatch.setattr(kept.keeper.member, "ping", ping)
    kept.keeper.suspect(1, "slander", "timeout")
    await until(lambda: pings)
    await asyncio.sleep(0.1)
    assert len(pings) == 1
