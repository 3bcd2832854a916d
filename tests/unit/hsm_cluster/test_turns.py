"""Changes run side by side; whoever wants to be alone is, soon, and nobody waits for ever."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.hsm.cluster import Turns


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(0, 4), st.booleans()), max_size=12))
def test_nobody_is_beside_one_who_is_alone(actors):
    asyncio.run(_play(actors))


async def _play(actors):
    turns, inside, most = Turns(), [], []

    async def act(alone, begins_after, lasts, is_cancelled):
        for _ in range(begins_after):
            await asyncio.sleep(0)
        async with turns.alone() if alone else turns.change():
            inside.append(alone)
            assert not any(inside) or len(inside) == 1
            most.append(len(inside))
            for _ in range(lasts):
                await asyncio.sleep(0)
            inside.remove(alone)

    tasks = [asyncio.ensure_future(act(*actor)) for actor in actors]
    for _ in range(3):
        await asyncio.sleep(0)
    for task, (_, _, _, is_cancelled) in zip(tasks, actors, strict=True):
        if is_cancelled and not task.done() and not inside:
            task.cancel()
    async with asyncio.timeout(60):
        await asyncio.gather(*tasks, return_exceptions=True)
        async with turns.alone(), asyncio.timeout(1):
            pass
        async with turns.change(), turns.change():
            pass


async def test_changes_wait_for_whoever_wants_to_be_alone_before_them():
    turns, order = Turns(), []

    async def alone():
        async with turns.alone():
            order.append("alone")

    async def change():
        async with turns.change():
            order.append("change")

    async with turns.change():
        waiting = [asyncio.ensure_future(alone())]
        await asyncio.sleep(0)
        waiting.append(asyncio.ensure_future(change()))
        await asyncio.sleep(0)
        assert order == []
    await asyncio.gather(*waiting)
    assert order == ["alone", "change"]
