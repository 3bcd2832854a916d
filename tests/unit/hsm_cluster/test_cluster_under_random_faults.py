"""Random faults on three members while calls run: right results, one kind of error, no call past its deadline."""

import asyncio
import random
import time
from collections import Counter

import pytest

from strongroom.core import (
    Deadline,
    HsmKeyNotFoundError,
    MemberFailedError,
    NoMemberError,
    Secret,
    SystemClock,
)
from strongroom.hsm.cluster import ClusterTable, MemberState

CALL_LIMIT_S = 0.8
GRACE_S = 0.5  # the promise is 0.1 s; the rest is for machines with other work to do
CALLERS = 8


class Saboteur:
    """Breaks and heals members at random, and publishes tables as the main process would."""

    def __init__(self, trio, dice):
        self._trio = trio
        self._dice = dice
        self._version = 1

    async def run(self, until):
        while time.monotonic() < until:
            worker = self._dice.choice(self._trio.workers)
            await self._dice.choice([self._fail, self._hang, self._slow, self._crash, self._restart])(worker)
            await asyncio.sleep(self._dice.uniform(0, 0.03))
        for worker in self._trio.workers:
            worker.hsm.faults.clear()
            await self._restart(worker)

    async def _fail(self, worker):
        error = self._dice.choice([MemberFailedError, HsmKeyNotFoundError])
        n_calls, happened = self._dice.randrange(1, 20), self._dice.random() < 0.5
        worker.hsm.faults.fail_next(n_calls, lambda: error("sabotaged"), happened=happened)

    async def _hang(self, worker):
        worker.hsm.faults.hang()
        asyncio.get_running_loop().call_later(self._dice.uniform(0, 0.4), worker.hsm.faults.release)

    async def _slow(self, worker):
        worker.hsm.faults.slow_s = self._dice.choice([0.0, 0.0, 0.005, 0.05, 0.3])

    async def _crash(self, worker):
        worker.crash()
        if self._dice.random() < 0.5:  # sometimes nobody has noticed yet
            self._publish()

    async def _restart(self, worker):
        worker.crash()
        await worker.start()
        self._publish()

    def _publish(self):
        self._version += 1
        states = [MemberState.EJECTED if w.worker is None else MemberState.ACTIVE for w in self._trio.workers]
        entries = [w.entry(state) for w, state in zip(self._trio.workers, states, strict=True)]
        self._trio.cluster.apply(ClusterTable(self._version, entries))


async def caller(trio, dice, until, outcomes):
    """Make calls, check each result with an HSM asked directly, note how it went."""
    judge = trio.hsms[0]
    while time.monotonic() < until:
        key, aad = Secret(dice.randbytes(dice.randrange(1, 100))), dice.randbytes(dice.randrange(50))
        deadline = Deadline.after(SystemClock(), CALL_LIMIT_S)
        began = time.monotonic()
        try:
            if dice.random() < 0.5:
                wrapped = await trio.cluster.wrap(trio.root_id, key, aad, deadline=deadline)
                opened = judge.unwrap(trio.root_id, wrapped, aad)
            else:
                wrapped = judge.wrap(trio.root_id, key, aad)
                opened = await trio.cluster.unwrap(trio.root_id, wrapped, aad, deadline=deadline)
            outcomes["right" if opened.matches(key) else "wrong"] += 1
        except NoMemberError:
            outcomes["no member"] += 1
        except Exception as error:
            outcomes[repr(error)] += 1
        if time.monotonic() - began > CALL_LIMIT_S + GRACE_S:
            outcomes["late"] += 1
        await asyncio.sleep(0)


async def storm(trio, seed, for_s):
    dice = random.Random(seed)
    until = time.monotonic() + for_s
    outcomes = Counter()
    callers = [caller(trio, random.Random(dice.random()), until, outcomes) for _ in range(CALLERS)]
    await asyncio.gather(Saboteur(trio, dice).run(until), *callers)
    assert set(outcomes) <= {"right", "no member"}, f"seed {seed}: {outcomes}"
    assert outcomes["right"] > 50
    # After the storm every member works again.
    made = await trio.cluster.random(16, deadline=Deadline.after(SystemClock(), 10))
    assert len(made) == 16
    assert all(type(said.generation) is int and said.member for said in trio.suspicions)


async def test_a_short_storm_of_faults_gives_right_results_or_no_member(trio):
    await storm(trio, random.randrange(2**32), 1.5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
async def test_a_long_storm_of_faults_gives_right_results_or_no_member(trio, seed):
    await storm(trio, seed, 6)
