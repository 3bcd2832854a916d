"""What ``measure_calls`` counts, on members that do what they are told."""

import pytest

from strongroom.bench import BenchKeys, measure_calls, member_calls
from strongroom.core import HsmKey, HsmKeyId, KeySpec, KeyUsage, MemberFailedError, SystemClock, random_bytes
from strongroom.testing import FakeHsm, FakeMember

CLOCK = SystemClock()


async def test_every_answer_is_counted_once_however_calls_are_sent():
    made = 0

    async def call(n):
        nonlocal made
        made += n
        return 0

    cell = await measure_calls("x", call, callers=3, batch=4, seconds=0.05, clock=CLOCK)
    assert (cell.callers, cell.batch, cell.failed) == (3, 4, 0)
    assert made % 4 == 1, "whole batches, and one call before the clock starts"
    assert cell.rate > 0
    assert 0 < cell.p50_us <= cell.p99_us


async def test_calls_that_fail_count_as_failed_and_not_as_speed():
    is_first = True

    async def call(_n):
        nonlocal is_first
        if is_first:
            is_first = False
            return 0
        raise MemberFailedError("no")

    cell = await measure_calls("x", call, callers=1, batch=1, seconds=0.01, clock=CLOCK)
    assert cell.failed > 0
    assert cell.rate == 0


async def test_items_of_a_batch_that_fail_are_counted():
    async def call(n):
        return n - 1

    cell = await measure_calls("x", call, callers=1, batch=4, seconds=0.01, clock=CLOCK)
    assert cell.failed > 0
    assert cell.failed % 3 == 0
    assert cell.rate > 0


async def test_a_member_that_cannot_be_reached_at_all_is_an_error():
    async def call(_n):
        raise MemberFailedError("nobody there")

    with pytest.raises(MemberFailedError, match="nobody there"):
        await measure_calls("x", call, callers=1, batch=1, seconds=0.01, clock=CLOCK)


async def test_each_measured_call_reaches_the_member():
    hsm = FakeHsm("a")
    rsa, p256 = (
        HsmKey(HsmKeyId(random_bytes(16)), spec, KeyUsage.SIGN_VERIFY)
        for spec in (KeySpec.RSA_2048, KeySpec.ECC_NIST_P256)
    )
    for key in (rsa, p256):
        hsm.direct.generate(key, "bench", may_leave=False)
    calls = await member_calls(FakeMember(hsm), BenchKeys(hsm.make_root(), rsa, p256), clock=CLOCK)
    assert set(calls) == {"round-trip", "wrap", "unwrap", "rsa-sign", "p256-sign"}
    for name in calls.keys() - {"round-trip"}:
        assert await calls[name](1) == 0
        assert await calls[name](5) == 0
    hsm.faults.fail_next(2)
    assert await calls["unwrap"](5) == 2
    hsm.faults.fail_next(1)
    with pytest.raises(MemberFailedError):
        await calls["unwrap"](1)
