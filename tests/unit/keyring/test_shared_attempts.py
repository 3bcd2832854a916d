"""Many who need the same of the HSM wait for one attempt, and each has a fair part of its time."""

import asyncio

import pytest

from fakes_keyring import OneMemberCluster
from strongroom.core import NoMemberError, RootId, Secret
from strongroom.keyring import CREDENTIALS, KeyById
from strongroom.keyring._shared_work import SharedWork
from strongroom.testing import FakeClock

REQUEST_S = 10.0


class SlowlyFailingCluster(OneMemberCluster):
    """Uses up the whole deadline of each call while ``is_down``, as a cluster without any member does."""

    def __init__(self, hsm, clock):
        super().__init__(hsm)
        self._clock = clock

    async def wrap(self, root_id, key_bytes, aad, *, deadline):
        if self.is_down:
            await asyncio.sleep(0)
            self._clock.advance(deadline.remaining_s())
        return await super().wrap(root_id, key_bytes, aad, deadline=deadline)


@pytest.fixture
async def key(keyring):
    return KeyById((await keyring.create_key("for tests")).key_id)


def opening(keyring, key):
    return asyncio.ensure_future(keyring.encrypt(key, Secret(b"data"), {}))


async def turns(count=10):
    for _ in range(count):
        await asyncio.sleep(0)


async def test_an_unwrap_has_the_whole_time_of_a_call_whoever_waits_for_it(bench, key):
    given = []

    class Watched(OneMemberCluster):
        async def unwrap(self, root_id, wrapped, aad, *, deadline):
            given.append(deadline.remaining_s())
            return await super().unwrap(root_id, wrapped, aad, deadline=deadline)

    bench.cluster = Watched(bench.cluster.hsm)
    cold = bench.open_keyring()
    bench.cluster.hold_unwraps()
    bench.cluster.is_down = True
    first = opening(cold, key)
    await bench.cluster.arrived.wait()
    bench.clock.advance(REQUEST_S - 0.1)
    late = opening(cold, key)
    await turns()
    bench.clock.advance(0.1)
    bench.cluster.let_go()
    await asyncio.wait({first, late})
    assert given == [REQUEST_S, REQUEST_S]


@pytest.mark.parametrize(
    ("joined_after_s", "is_tried_again"), [(0.0, False), (4.9, False), (5.1, True), (9.9, True)]
)
async def test_who_joined_a_vain_attempt_late_gets_another_one(bench, key, joined_after_s, is_tried_again):
    cold = bench.open_keyring()
    bench.cluster.hold_unwraps()
    first = opening(cold, key)
    await bench.cluster.arrived.wait()
    bench.clock.advance(joined_after_s)
    late = [opening(cold, key) for _ in range(3)]
    await turns()
    bench.clock.advance(REQUEST_S - joined_after_s)
    asked = bench.cluster.unwraps
    bench.cluster.let_go()
    answers = await asyncio.gather(first, *late, return_exceptions=True)
    assert isinstance(answers[0], NoMemberError)
    assert [isinstance(answer, NoMemberError) for answer in answers[1:]] == [not is_tried_again] * 3
    assert bench.cluster.unwraps == asked + is_tried_again, "all who came late share the second attempt"


async def test_who_joined_late_is_given_one_more_attempt_and_not_more(bench, key):
    cold = bench.open_keyring()
    bench.cluster.is_down = True
    bench.cluster.hold_unwraps()
    first = opening(cold, key)
    await bench.cluster.arrived.wait()
    bench.clock.advance(REQUEST_S - 0.1)
    late = opening(cold, key)
    await turns()
    bench.clock.advance(0.1)
    asked = bench.cluster.unwraps
    bench.cluster.let_go()
    for call in (first, late):
        with pytest.raises(NoMemberError):
            await call
    assert bench.cluster.unwraps == asked + 1


async def test_a_failure_of_another_kind_is_not_tried_again():
    clock, began = FakeClock(), []
    shared = SharedWork(clock)
    go_on = asyncio.Event()

    async def fails():
        began.append(clock.monotonic())
        await go_on.wait()
        raise ValueError("not an outage")

    first = asyncio.ensure_future(shared.result("a", fails))
    await turns()
    clock.advance(10)
    late = asyncio.ensure_future(shared.result("a", fails))
    await turns()
    go_on.set()
    for call in (first, late):
        with pytest.raises(ValueError, match="not an outage"):
            await call
    assert len(began) == 1
    assert len(shared) == 0


# Creating keys.


async def test_however_many_create_keys_without_an_hsm_all_wait_for_one_deadline(bench):
    bench.cluster = SlowlyFailingCluster(bench.cluster.hsm, bench.clock)
    keyring = bench.open_keyring()
    bench.cluster.is_down = True
    began = bench.clock.monotonic()
    answers = await asyncio.gather(*(keyring.create_key("x") for _ in range(50)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {NoMemberError}
    assert bench.clock.monotonic() - began == REQUEST_S
    bench.cluster.is_down = False
    await keyring.create_key("and when it is back it works")


async def test_a_caller_that_goes_away_does_not_take_the_new_domain_from_the_others(bench):
    keyring = bench.open_keyring()
    calls = [asyncio.ensure_future(keyring.create_key("x")) for _ in range(5)]
    await asyncio.sleep(0)
    calls[0].cancel()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    domains = {bench.stores[0].get_key(made.key_id).domain_id for made in answers[1:]}
    assert len(domains) == 1


@pytest.mark.parametrize("is_down", [False, True])
async def test_a_new_domain_kek_is_overwritten_once_it_is_wrapped_or_could_not_be(bench, is_down):
    seen = []

    class Watched(OneMemberCluster):
        async def wrap(self, root_id, key_bytes, aad, *, deadline):
            seen.append(key_bytes)
            assert key_bytes.reveal() != bytes(32)
            return await super().wrap(root_id, key_bytes, aad, deadline=deadline)

    bench.cluster = Watched(bench.cluster.hsm)
    bench.cluster.is_down = is_down
    making = bench.open_keyring().ciphers.new_domain(RootId(bench.root_id), CREDENTIALS)
    if is_down:
        with pytest.raises(NoMemberError):
            await making
    else:
        await making
    assert [key_bytes.reveal() for key_bytes in seen] == [bytes(32)]
