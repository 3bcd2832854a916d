"""The cache by itself: least recently used goes first, and nothing serves past its end."""

import asyncio
import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.core import NoMemberError, Secret
from strongroom.envelope import Xaes256Gcm
from strongroom.keyring._cache import CachedCipher, CipherCache
from strongroom.keyring._outage import Outage
from strongroom.testing import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


def made(clock, life_s=10.0):
    return CachedCipher(Xaes256Gcm(Secret(bytes(32))), clock.monotonic() + life_s)


async def put(cache, key, entry):
    async def fill():
        return entry

    return await cache.filled(key, fill)


async def never():
    raise AssertionError("the cache should not have asked")


async def nobody():
    raise NoMemberError("no member is active")


async def test_the_least_recently_used_goes_first(clock):
    cache = CipherCache(clock=clock, max_entries=3, outage_grace_s=0, outage=Outage(clock))
    for key in "abc":
        await put(cache, key, made(clock))
    assert cache.fresh("a")
    await cache.filled("b", never)
    await put(cache, "d", made(clock))
    assert [key for key in "abcd" if cache.fresh(key)] == ["a", "b", "d"]
    assert len(cache) == 3


async def test_an_entry_that_is_filled_again_counts_as_used(clock):
    cache = CipherCache(clock=clock, max_entries=2, outage_grace_s=0, outage=Outage(clock))
    await put(cache, "a", made(clock, 1))
    await put(cache, "b", made(clock))
    clock.advance(1)
    await put(cache, "a", made(clock))
    await put(cache, "c", made(clock))
    assert [key for key in "abc" if cache.fresh(key)] == ["a", "c"]


async def test_an_entry_serves_until_its_end_and_no_longer(clock):
    cache = CipherCache(clock=clock, max_entries=3, outage_grace_s=0, outage=Outage(clock))
    entry = await put(cache, "a", made(clock, 10))
    clock.advance(9.999)
    assert cache.fresh("a") is entry
    clock.advance(0.001)
    assert cache.fresh("a") is None
    with pytest.raises(NoMemberError):
        await cache.filled("a", nobody)


@given(
    steps=st.lists(st.tuples(st.integers(0, 7), st.integers(1, 9), st.booleans()), max_size=60),
    grace_s=st.sampled_from([0, 2]),
)
def test_a_sweep_leaves_just_what_has_not_ended_whatever_was_filled_and_evicted(steps, grace_s):
    clock = FakeClock()
    cache = CipherCache(clock=clock, max_entries=4, outage_grace_s=grace_s, outage=Outage(clock))
    ends, cipher = {}, Xaes256Gcm(Secret(bytes(32)))

    async def run():
        for key, life_s, is_swept in steps:
            if cache.fresh(key) is None:
                ends[key] = clock.monotonic() + life_s
                await put(cache, key, CachedCipher(cipher, ends[key]))
            clock.advance(0.5)
            if is_swept:
                cache.sweep()
                assert len(cache) <= sum(end + grace_s > clock.monotonic() for end in ends.values())

    asyncio.run(run())
    clock.advance(20)
    cache.sweep()
    assert len(cache) == 0


async def test_what_is_remembered_of_evicted_entries_is_bounded(clock):
    cache = CipherCache(clock=clock, max_entries=10, outage_grace_s=0, outage=Outage(clock))
    entry = made(clock, 1_000)
    for key in range(5_000):
        await put(cache, key, entry)
    assert len(cache) == 10
    assert len(cache._ends) < 2_000
    clock.advance(1_000)
    cache.sweep()
    assert len(cache) == 0


async def test_in_the_grace_only_who_cannot_be_served_freshly_gets_the_old_one(clock):
    cache = CipherCache(clock=clock, max_entries=3, outage_grace_s=5, outage=Outage(clock))
    old = await put(cache, "a", made(clock, 10))
    clock.advance(14.999)
    assert cache.fresh("a") is None
    cache.sweep()
    assert await cache.filled("a", nobody) is old
    new = made(clock)
    assert await put(cache, "a", new) is new
    assert cache.fresh("a") is new


async def test_the_grace_ends_also_while_the_hsm_is_being_asked(clock):
    cache = CipherCache(clock=clock, max_entries=3, outage_grace_s=5, outage=Outage(clock))
    await put(cache, "a", made(clock, 10))
    clock.advance(14)

    async def slowly():
        clock.advance(1)
        raise NoMemberError("no member answered in time")

    with pytest.raises(NoMemberError):
        await cache.filled("a", slowly)


async def test_nothing_is_left_of_a_fill_that_nobody_waited_for(clock):
    """Its error has been looked at, so the event loop does not complain of it when it is collected."""
    cache = CipherCache(clock=clock, max_entries=3, outage_grace_s=0, outage=Outage(clock))
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    go_on = asyncio.Event()

    async def slowly():
        await go_on.wait()
        raise NoMemberError("no member is active")

    waiting = asyncio.ensure_future(cache.filled("a", slowly))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    go_on.set()
    for _ in range(5):
        await asyncio.sleep(0)
    del waiting
    gc.collect()
    assert len(cache._fills) == 0
    assert len(cache) == 0
    assert complaints == []


async def test_clear_drops_everything(clock):
    cache = CipherCache(clock=clock, max_entries=3, outage_grace_s=5, outage=Outage(clock))
    await put(cache, "a", made(clock))
    cache.clear()
    assert len(cache) == 0
    assert cache.fresh("a") is None
