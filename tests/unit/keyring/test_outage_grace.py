"""In an outage, those whose keys may still serve wait for nobody, and notice when it is over."""

import asyncio

import pytest

from fakes_keyring import TTL_S
from strongroom.core import HsmIntegrityError, NoMemberError, Secret
from strongroom.keyring import KeyById

GRACE_S = 3600.0
DEADLINE_S = 10.0
AT_ONCE_S = 5.0
"""Of real time: no test that passes waits for so long."""


@pytest.fixture
async def keys(keyring, monkeypatch):
    """Three keys, each in a domain of its own."""
    monkeypatch.setattr("strongroom.keyring._creation.MAX_KEYS_IN_DOMAIN", 1)
    return [KeyById((await keyring.create_key("for tests")).key_id) for _ in range(3)]


@pytest.fixture
async def graced(bench, keys):
    """A keyring with grace, whose keys are all at the end of their life."""
    made = bench.open_keyring(outage_grace_s=GRACE_S)
    for key in keys:
        await made.encrypt(key, Secret(b"data"), {})
    bench.clock.advance(TTL_S)
    return made


async def used(keyring, key):
    return await asyncio.wait_for(keyring.encrypt(key, Secret(b"data"), {}), AT_ONCE_S)


async def settled(keyring):
    while len(keyring.ciphers.keks._fills) + len(keyring.ciphers.domains._fills):
        await asyncio.sleep(0)


async def until_held(bench):
    """Wait until somebody asks the HSM, which does not answer."""
    await asyncio.wait_for(bench.cluster.arrived.wait(), AT_ONCE_S)


async def found_out(bench, keyring, key):
    """Let one call wait for its whole deadline and find that no HSM answers; then they hang again."""
    bench.cluster.hold_unwraps()
    bench.cluster.is_down = True
    first = asyncio.ensure_future(keyring.encrypt(key, Secret(b"data"), {}))
    await until_held(bench)
    assert not first.done()
    bench.clock.advance(DEADLINE_S)
    bench.cluster.let_go()
    await first
    bench.cluster.hold_unwraps()


async def test_only_the_first_call_of_an_outage_waits_for_it(bench, graced, keys):
    await found_out(bench, graced, keys[0])
    for _ in range(3):
        for key in keys:
            await used(graced, key)
        bench.clock.advance(0.9)
    bench.cluster.let_go()
    await settled(graced)


async def test_nobody_waits_however_long_the_hsms_take_to_say_nothing(bench, graced, keys):
    """Calls that nobody waits for keep asking, one after the other, each for its whole deadline."""
    await found_out(bench, graced, keys[0])
    for _ in range(5):
        asked = bench.cluster.unwraps
        await used(graced, keys[0])
        await until_held(bench)
        for _ in range(19):
            bench.clock.advance(DEADLINE_S / 20)
            await used(graced, keys[0])
        assert bench.cluster.unwraps == asked + 1
        bench.cluster.let_go()
        await settled(graced)
        bench.cluster.hold_unwraps()
    bench.cluster.let_go()


async def test_in_an_outage_one_call_at_a_time_asks_for_all_domains(bench, graced, keys):
    await found_out(bench, graced, keys[0])
    asked = bench.cluster.unwraps
    for key in keys * 3:
        await used(graced, key)
        await asyncio.sleep(0)
    assert bench.cluster.unwraps == asked + 1
    bench.cluster.let_go()
    await settled(graced)


async def test_the_end_of_an_outage_is_noticed_and_nothing_old_serves_then(bench, graced, keys):
    await found_out(bench, graced, keys[0])
    bench.cluster.is_down = False
    await used(graced, keys[0])
    bench.cluster.let_go()
    await settled(graced)
    asked = bench.cluster.unwraps
    for key in keys:
        await used(graced, key)
    assert bench.cluster.unwraps == asked + 2, "the first domain is fresh, the two others are unwrapped anew"
    bench.cluster.is_down = True
    bench.clock.advance(TTL_S - 0.001)
    for key in keys:
        await used(graced, key)


async def test_an_outage_is_not_kept_in_mind_when_nobody_asks(bench, graced, keys):
    await found_out(bench, graced, keys[0])
    bench.clock.advance(1)
    late = asyncio.ensure_future(graced.encrypt(keys[0], Secret(b"data"), {}))
    await until_held(bench)
    assert not late.done(), "the HSMs may be back, so the key's life has to be asked for"
    bench.cluster.is_down = False
    bench.cluster.let_go()
    await late
    bench.cluster.is_down = True
    bench.clock.advance(TTL_S - 0.001)
    await used(graced, keys[0])


async def test_a_known_outage_lengthens_no_grace(bench, graced, keys):
    bench.cluster.is_down = True
    bench.clock.advance(GRACE_S - 0.002)
    await used(graced, keys[0])
    bench.clock.advance(0.001)
    await used(graced, keys[0])
    await settled(graced)
    bench.clock.advance(0.001)
    with pytest.raises(NoMemberError):
        await used(graced, keys[0])


async def test_a_refusal_by_an_hsm_is_the_end_of_an_outage(bench, graced, keys):
    await found_out(bench, graced, keys[0])
    bench.cluster.is_down = False
    bench.cluster.hsm.faults.fail_next(2, lambda: HsmIntegrityError("the root is another one"))
    await used(graced, keys[0])
    bench.cluster.let_go()
    await settled(graced)
    with pytest.raises(HsmIntegrityError):
        await used(graced, keys[0])


async def test_a_key_that_is_in_no_memory_still_waits_for_an_hsm(bench, graced, keys):
    """It may have one before the deadline: with nothing to serve meanwhile, that is better than an error at once."""
    bench.cluster.is_down = True
    await used(graced, keys[0])
    await settled(graced)
    graced.ciphers.keks.clear()
    graced.ciphers.domains.clear()
    bench.cluster.hold_unwraps()
    call = asyncio.ensure_future(graced.encrypt(keys[1], Secret(b"data"), {}))
    await until_held(bench)
    bench.cluster.is_down = False
    bench.cluster.let_go()
    await call


async def test_without_grace_every_call_asks_and_fails(bench, keys):
    plain = bench.open_keyring()
    await plain.encrypt(keys[0], Secret(b"data"), {})
    bench.clock.advance(TTL_S)
    bench.cluster.is_down = True
    for _ in range(3):
        asked = bench.cluster.unwraps
        with pytest.raises(NoMemberError):
            await used(plain, keys[0])
        assert bench.cluster.unwraps == asked + 1
    bench.cluster.is_down = False
    await used(plain, keys[0])
