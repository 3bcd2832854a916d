"""Event loops, threads, faults of the disk and a close at any moment: every entry is decided, and nobody waits for ever."""

import asyncio
import contextlib
import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from strongroom.audit import read_entries, verify_log
from strongroom.core import AuditUnavailableError

_LIMIT_S = 60.0


class _Crowd:
    """Records from three loops, from one that stops in between, and from a thread without any."""

    def __init__(self, log, seed):
        self.log, self.seed = log, seed
        self.durable, self.tickets = [], []

    async def _record(self, request_id, turns):
        for _ in range(turns):
            await asyncio.sleep(0)
        with contextlib.suppress(AuditUnavailableError):
            await self.log.record("outcome", "kms.Encrypt", request_id=request_id)
            self.durable.append(request_id)

    async def _many(self, name):
        chance = random.Random(f"{self.seed}.{name}")
        work = (self._record(f"{name}.{at}", chance.choice((0, 0, 1, 3, 40))) for at in range(60))
        async with asyncio.timeout(_LIMIT_S):
            await asyncio.gather(*work)

    def loops(self, name):
        for number in range(3):
            asyncio.run(self._many(f"{name}.{number}"))

    def stopping(self):
        for number in range(20):
            loop = asyncio.new_event_loop()
            task = loop.create_task(self._record(f"stopped.{number}", 0))
            loop.call_soon(loop.stop)
            loop.run_forever()  # numbered, and the loop looks after it no more
            time.sleep(0.001)
            loop.run_until_complete(asyncio.wait_for(task, _LIMIT_S))
            loop.close()

    def appends(self):
        for _ in range(100):
            with contextlib.suppress(AuditUnavailableError):
                self.tickets.append(self.log.append("event", "member.ejected"))
            time.sleep(0.0003)


async def _decided(log, ticket):
    async with asyncio.timeout(_LIMIT_S):
        with contextlib.suppress(AuditUnavailableError):
            await log.commit(ticket)  # which wakes nobody: the entry must be under way by itself


@pytest.mark.parametrize("closes", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_every_entry_is_decided_whatever_fails_and_whenever_the_log_closes(open_log, disk, directory, seed, closes):  # fmt: skip
    chance = random.Random(seed)
    log = open_log(retry_after_s=0.002, segment_bytes=8_000)
    disk.decide = lambda _call: (
        chance.choice(("lost", "persisted", "half")) if chance.random() < 0.05 else None
    )
    crowd = _Crowd(log, seed)
    with ThreadPoolExecutor(5) as pool:
        works = [pool.submit(crowd.loops, name) for name in "abc"]
        works += [pool.submit(crowd.stopping), pool.submit(crowd.appends)]
        if closes:
            time.sleep(chance.random() * 0.1)
            log.close()
        for work in works:
            work.result(2 * _LIMIT_S)
    for ticket in crowd.tickets[-5:]:
        asyncio.run(_decided(log, ticket))
    disk.decide = lambda _call: None
    log.close()
    open_log().close()  # which cuts off what a close in the middle of a fault left
    verify_log(directory)
    present = {entry.request_id for entry in read_entries(directory)}
    assert present >= set(crowd.durable)
    assert crowd.durable or closes
