"""When a group of entries begins: what is under way belongs to it, and nobody waits for a loop that has stopped."""

import asyncio

import pytest


async def _late(log, turns, entries):
    """Record entries, one after some more turns of the event loop each."""
    waiting = []
    for _ in range(entries):
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.append(asyncio.ensure_future(log.record("outcome", "kms.Encrypt")))
    await asyncio.gather(*waiting)


async def test_what_arrives_turn_by_turn_goes_into_one_group(open_log):
    log = open_log()
    before = log.stats
    await _late(log, turns=1, entries=20)
    assert log.stats.entries - before.entries == 20
    assert log.stats.groups - before.groups == 1


async def test_turns_that_never_cease_to_bring_entries_hold_nobody_up(open_log):
    log = open_log()
    first = asyncio.ensure_future(log.record("outcome", "kms.Encrypt"))
    rest = []
    async with asyncio.timeout(30):
        while not first.done():
            rest.append(asyncio.ensure_future(log.record("outcome", "kms.Encrypt")))
            await asyncio.sleep(0)
    await asyncio.gather(first, *rest)


async def test_entries_that_nobody_waits_for_are_written_at_once(open_log):
    log = open_log()
    log.append("event", "member.ejected")
    async with asyncio.timeout(30):
        while log.stats.entries < 1:
            await asyncio.sleep(0.01)


def test_a_loop_that_stopped_while_it_gathered_holds_up_no_other(open_log):
    log = open_log()
    stopped = asyncio.new_event_loop()
    try:
        task = stopped.create_task(log.record("outcome", "kms.Encrypt"))
        stopped.call_soon(stopped.stop)
        stopped.run_forever()  # the entry is numbered, and nobody has begun a group
        assert not task.done()
        asyncio.run(asyncio.wait_for(log.record("outcome", "kms.Decrypt"), 30))
        assert log.stats.entries == 2
        stopped.run_until_complete(task)
    finally:
        stopped.close()


@pytest.mark.parametrize("n_entries", [1, 300])
def test_closing_makes_durable_what_no_group_has_taken(open_log, n_entries):
    log = open_log()
    loop = asyncio.new_event_loop()
    tasks = [loop.create_task(log.record("outcome", "kms.Encrypt")) for _ in range(n_entries)]
    loop.call_soon(loop.stop)
    loop.run_forever()
    log.close()
    loop.run_until_complete(asyncio.gather(*tasks))
    loop.close()
    assert log.stats.entries == n_entries
