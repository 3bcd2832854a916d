"""Unwrapped keys serve for their lifetime and not one moment longer, whatever the HSMs do meanwhile."""

import asyncio

import pytest

from fakes_keyring import TTL_S
from strongroom.core import HsmIntegrityError, MemberFailedError, NoMemberError, Secret
from strongroom.keyring import KeyById

MOMENT_S = 1e-6


async def new_key(keyring):
    return KeyById((await keyring.create_key("for tests")).key_id)


async def sealed(keyring, key):
    return (await keyring.encrypt(key, Secret(b"data"), {})).ciphertext


@pytest.fixture
async def key(keyring):
    return await new_key(keyring)


@pytest.fixture
async def ciphertext(keyring, key):
    return await sealed(keyring, key)


async def test_a_cached_key_serves_without_any_hsm_until_its_life_ends(bench, keyring, key, ciphertext):
    bench.cluster.is_down = True
    bench.clock.advance(TTL_S - MOMENT_S)
    asked = bench.cluster.unwraps
    assert (await keyring.decrypt(ciphertext, {}, key=None)).plaintext.reveal() == b"data"
    await keyring.encrypt(key, Secret(b"more"), {})
    await keyring.generate_data_key(key, 32, {})
    assert bench.cluster.unwraps == asked


async def test_and_not_one_moment_longer(bench, keyring, key, ciphertext):
    bench.cluster.is_down = True
    bench.clock.advance(TTL_S)
    for _ in range(2):
        with pytest.raises(NoMemberError):
            await keyring.decrypt(ciphertext, {}, key=None)
        with pytest.raises(NoMemberError):
            await keyring.encrypt(key, Secret(b"more"), {})
        with pytest.raises(NoMemberError):
            await keyring.generate_data_key(key, 32, {})


async def test_using_a_key_does_not_lengthen_its_life(bench, keyring, ciphertext):
    bench.cluster.is_down = True
    for _ in range(10):
        await keyring.decrypt(ciphertext, {}, key=None)
        bench.clock.advance(TTL_S / 10)
    bench.clock.advance(MOMENT_S)
    with pytest.raises(NoMemberError):
        await keyring.decrypt(ciphertext, {}, key=None)


async def test_a_key_that_was_unwrapped_late_ends_with_its_domain_and_not_later(bench, keyring):
    """The domain's KEK comes out of the HSM at 0; a KEK that it unwraps at ttl - 1 s ends at ttl, not at 2 ttl - 1."""
    early, late = await new_key(keyring), await new_key(keyring)
    fresh = bench.open_keyring()
    await fresh.encrypt(early, Secret(b"data"), {})
    bench.clock.advance(TTL_S - 1)
    ciphertext = await sealed(fresh, late)
    bench.cluster.is_down = True
    bench.clock.advance(1 - MOMENT_S)
    await fresh.decrypt(ciphertext, {}, key=None)
    bench.clock.advance(2 * MOMENT_S)
    with pytest.raises(NoMemberError):
        await fresh.decrypt(ciphertext, {}, key=None)


async def test_the_life_of_a_key_begins_when_the_hsm_was_asked_and_not_when_it_answered(
    bench, key, ciphertext
):
    fresh = bench.open_keyring()
    bench.cluster.hold_unwraps()
    opening = asyncio.ensure_future(fresh.decrypt(ciphertext, {}, key=None))
    await bench.cluster.arrived.wait()
    bench.clock.advance(5)
    bench.cluster.let_go()
    await opening
    bench.cluster.is_down = True
    bench.clock.advance(TTL_S - 5 - MOMENT_S)
    await fresh.decrypt(ciphertext, {}, key=None)
    bench.clock.advance(2 * MOMENT_S)
    with pytest.raises(NoMemberError):
        await fresh.decrypt(ciphertext, {}, key=None)


async def test_an_answer_that_took_a_whole_lifetime_serves_its_callers_and_is_not_kept(bench, ciphertext):
    fresh = bench.open_keyring(ttl_s=2.0)
    bench.cluster.hold_unwraps()
    opening = asyncio.ensure_future(fresh.decrypt(ciphertext, {}, key=None))
    await bench.cluster.arrived.wait()
    bench.clock.advance(2)
    bench.cluster.let_go()
    assert (await opening).plaintext.reveal() == b"data"
    assert len(fresh.ciphers.keks) == len(fresh.ciphers.domains) == 0


async def test_when_the_hsm_is_back_the_next_call_works(bench, keyring, ciphertext):
    bench.cluster.is_down = True
    bench.clock.advance(TTL_S)
    with pytest.raises(NoMemberError):
        await keyring.decrypt(ciphertext, {}, key=None)
    bench.cluster.is_down = False
    assert (await keyring.decrypt(ciphertext, {}, key=None)).plaintext.reveal() == b"data"


async def test_after_an_outage_the_grace_lets_what_is_cached_serve_and_ends_on_time(bench, key, ciphertext):
    keyring = bench.open_keyring(outage_grace_s=60.0)
    await keyring.decrypt(ciphertext, {}, key=None)
    bench.cluster.is_down = True
    bench.clock.advance(TTL_S + 60 - MOMENT_S)
    keyring.sweep()
    for _ in range(3):  # and serving in the grace does not lengthen it
        assert (await keyring.decrypt(ciphertext, {}, key=None)).plaintext.reveal() == b"data"
    bench.clock.advance(2 * MOMENT_S)
    with pytest.raises(NoMemberError):
        await keyring.decrypt(ciphertext, {}, key=None)


async def test_a_key_first_used_in_the_grace_ends_with_the_grace(bench, keyring):
    early, late = await new_key(keyring), await new_key(keyring)
    ciphertext = await sealed(keyring, late)
    graced = bench.open_keyring(outage_grace_s=60.0)
    await graced.encrypt(early, Secret(b"data"), {})
    bench.cluster.is_down = True
    bench.clock.advance(TTL_S + 59)
    assert (await graced.decrypt(ciphertext, {}, key=None)).plaintext.reveal() == b"data"
    bench.clock.advance(1)
    with pytest.raises(NoMemberError):
        await graced.decrypt(ciphertext, {}, key=None)


async def test_the_grace_is_for_outages_only(bench, ciphertext):
    """While an HSM answers, nothing serves past its lifetime, and a refusal by an HSM is not an outage."""
    keyring = bench.open_keyring(outage_grace_s=60.0)
    await keyring.decrypt(ciphertext, {}, key=None)
    bench.clock.advance(TTL_S)
    asked = bench.cluster.unwraps
    await keyring.decrypt(ciphertext, {}, key=None)
    assert bench.cluster.unwraps == asked + 1
    bench.clock.advance(TTL_S)
    bench.cluster.hsm.faults.fail_next(1, lambda: HsmIntegrityError("the root is another one"))
    with pytest.raises(HsmIntegrityError):
        await keyring.decrypt(ciphertext, {}, key=None)


async def test_a_lifetime_of_0_asks_the_hsm_once_a_call(bench, key, ciphertext):
    keyring = bench.open_keyring(ttl_s=0.0)
    for act in (
        lambda: keyring.decrypt(ciphertext, {}, key=None),
        lambda: keyring.encrypt(key, Secret(b"data"), {}),
        lambda: keyring.generate_data_key(key, 32, {}),
    ):
        asked = bench.cluster.unwraps
        await act()
        assert bench.cluster.unwraps == asked + 1
    assert len(keyring.ciphers.keks) == len(keyring.ciphers.domains) == 0
    bench.cluster.is_down = True
    with pytest.raises(NoMemberError):
        await keyring.decrypt(ciphertext, {}, key=None)


async def test_a_failure_is_not_remembered(bench, ciphertext):
    keyring = bench.open_keyring()
    bench.cluster.hsm.faults.fail_next(1, lambda: MemberFailedError("hiccup"))
    with pytest.raises(NoMemberError):
        await keyring.decrypt(ciphertext, {}, key=None)
    assert (await keyring.decrypt(ciphertext, {}, key=None)).plaintext.reveal() == b"data"


async def test_50_concurrent_calls_are_one_unwrap(bench, key, ciphertext):
    keyring = bench.open_keyring()
    asked = bench.cluster.unwraps
    opened = await asyncio.gather(*(keyring.decrypt(ciphertext, {}, key=None) for _ in range(50)))
    assert {answer.plaintext.reveal() for answer in opened} == {b"data"}
    assert bench.cluster.unwraps == asked + 1


async def test_50_keys_of_one_domain_are_one_unwrap(bench, keyring):
    keys = [await new_key(keyring) for _ in range(10)]
    ciphertexts = [await sealed(keyring, key) for key in keys]
    fresh = bench.open_keyring()
    asked = bench.cluster.unwraps
    await asyncio.gather(*(fresh.decrypt(ciphertext, {}, key=None) for ciphertext in ciphertexts * 5))
    assert bench.cluster.unwraps == asked + 1


async def test_a_failed_unwrap_fails_all_who_wait_for_it_and_only_them(bench, ciphertext):
    keyring = bench.open_keyring()
    asked = bench.cluster.unwraps
    bench.cluster.is_down = True
    answers = await asyncio.gather(
        *(keyring.decrypt(ciphertext, {}, key=None) for _ in range(50)), return_exceptions=True
    )
    assert {type(answer) for answer in answers} == {NoMemberError}
    assert bench.cluster.unwraps == asked + 1
    bench.cluster.is_down = False
    await keyring.decrypt(ciphertext, {}, key=None)


@pytest.mark.parametrize("cancelled", [[0], [0, 1, 2], [1], list(range(5))])
async def test_cancelled_callers_do_not_break_the_others(bench, ciphertext, cancelled):
    keyring = bench.open_keyring()
    bench.cluster.hold_unwraps()
    calls = [asyncio.ensure_future(keyring.decrypt(ciphertext, {}, key=None)) for _ in range(5)]
    await bench.cluster.arrived.wait()
    for number in cancelled:
        calls[number].cancel()
    await asyncio.sleep(0)
    bench.cluster.let_go()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    for number, answer in enumerate(answers):
        if number in cancelled:
            assert isinstance(answer, asyncio.CancelledError)
        else:
            assert answer.plaintext.reveal() == b"data"
    asked = bench.cluster.unwraps
    await keyring.decrypt(ciphertext, {}, key=None)
    assert bench.cluster.unwraps == asked


async def test_the_caches_never_hold_more_than_they_may(bench, keyring, monkeypatch):
    monkeypatch.setattr("strongroom.keyring._creation.MAX_KEYS_IN_DOMAIN", 2)
    keys = [await new_key(keyring) for _ in range(10)]
    small = bench.open_keyring(max_keks=3, max_domains=2)
    for _ in range(3):
        for key in keys:
            ciphertext = await sealed(small, key)
            assert (await small.decrypt(ciphertext, {}, key=key)).plaintext.reveal() == b"data"
            assert len(small.ciphers.keks) <= 3
            assert len(small.ciphers.domains) <= 2
            assert len(small._records) <= 3


async def test_a_sweep_drops_what_has_ended_even_when_nobody_asks_for_it(bench, keyring, key, ciphertext):
    assert (len(keyring.ciphers.keks), len(keyring.ciphers.domains)) == (1, 1)
    bench.clock.advance(TTL_S - MOMENT_S)
    keyring.sweep()
    assert (len(keyring.ciphers.keks), len(keyring.ciphers.domains)) == (1, 1)
    bench.clock.advance(2 * MOMENT_S)
    keyring.sweep()
    assert (len(keyring.ciphers.keks), len(keyring.ciphers.domains)) == (0, 0)


async def test_a_call_counts_once_in_the_metrics(bench, key, ciphertext):
    keks = (keyring := bench.open_keyring()).ciphers.keks
    await keyring.decrypt(ciphertext, {}, key=None)
    assert (keks.hits, keks.misses) == (0, 1)
    await keyring.decrypt(ciphertext, {}, key=None)
    assert (keks.hits, keks.misses) == (1, 1)
