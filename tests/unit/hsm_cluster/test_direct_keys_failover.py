"""Direct keys over a cluster: members that crash, hang or do not hold the key cost no call."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from strongroom.core import (
    Deadline,
    HsmKey,
    HsmKeyId,
    HsmKeyNotFoundError,
    HsmRequestError,
    KeySpec,
    KeyUsage,
    NoMemberError,
    SigningAlgorithm,
    SystemClock,
    random_bytes,
)
from strongroom.hsm.cluster import HsmCluster
from strongroom.hsm.cluster._absences import Absences
from strongroom.hsm.cluster._worker import Place
from strongroom.hsm.public_keys import verify_signature
from strongroom.testing import FakeClock, FakeHsm, RecordingEvents
from worker_in_process import running_worker, table

ALGORITHM = SigningAlgorithm.ECDSA_SHA_256


def in_s(seconds):
    return Deadline.after(SystemClock(), seconds)


@pytest.fixture
async def three(tmp_path):
    """A cluster of three members, their workers, and what was reported."""
    reports = []
    cluster = HsmCluster(clock=SystemClock(), events=RecordingEvents(), attempt_s=0.5, report=reports.append)
    async with AsyncExitStack() as stack:
        stack.callback(cluster.close)
        workers = [
            await stack.enter_async_context(running_worker(FakeHsm(name), tmp_path))
            for name in ("alpha", "beta", "gamma")
        ]
        cluster.apply(table(1, *workers))
        yield cluster, workers, reports


def signing_key(workers, *, on=slice(None)):
    key = HsmKey(HsmKeyId(random_bytes(16)), KeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY)
    first, *others = [worker.hsm for worker in workers[on]]
    spki = first.direct.generate(key, "label", may_leave=True)
    for other in others:
        first.direct.copy_to(other.direct, key)
    return key, spki


async def all_verify(cluster, key, spki, n_calls):
    digests = [random_bytes(32) for _ in range(n_calls)]
    made = await asyncio.gather(
        *[cluster.sign(key, ALGORITHM, digest, deadline=in_s(10)) for digest in digests]
    )
    for digest, signature in zip(digests, made, strict=True):
        verify_signature(key.spec, spki, ALGORITHM, digest, signature)


async def test_signing_goes_on_when_a_member_crashes(three):
    cluster, workers, _ = three
    key, spki = signing_key(workers)
    before = asyncio.create_task(all_verify(cluster, key, spki, 40))
    await asyncio.sleep(0)
    workers[0].crash()
    await before
    await all_verify(cluster, key, spki, 40)


async def test_signing_goes_on_when_a_member_hangs(three):
    cluster, workers, _ = three
    key, spki = signing_key(workers)
    workers[1].hsm.faults.hang()
    await all_verify(cluster, key, spki, 20)


async def test_a_key_that_one_member_holds_is_asked_of_that_one(three):
    cluster, workers, _ = three
    key, spki = signing_key(workers, on=slice(2, 3))
    for _ in range(300):
        signature = await cluster.sign(key, ALGORITHM, bytes(32), deadline=in_s(10))
    verify_signature(key.spec, spki, ALGORITHM, bytes(32), signature)
    asked = [len(worker.performer.performed) for worker in workers]
    assert asked[2] == 300
    assert asked[0] + asked[1] <= 2 * 2, "who does not hold it is asked once, and after a while again"
    assert cluster.statistics.retries_delayed == 0
    everywhere, its_spki = signing_key(workers)
    await all_verify(cluster, everywhere, its_spki, 30)
    assert all(len(worker.performer.performed) > count for worker, count in zip(workers, asked, strict=True))


async def test_a_copy_is_used_when_the_member_that_held_the_key_alone_is_gone(three):
    cluster, workers, _ = three
    key, spki = signing_key(workers, on=slice(2, 3))
    await all_verify(cluster, key, spki, 10)
    workers[2].hsm.direct.copy_to(workers[0].hsm.direct, key)
    workers[2].crash()
    await all_verify(cluster, key, spki, 10)


def test_an_absence_is_remembered_for_a_while_and_of_so_many_keys():
    clock = FakeClock()
    absences = Absences(clock)
    alpha, beta = Place("alpha", 0, 1), Place("beta", 0, 1)
    absences.note(b"key", alpha)
    clock.advance(6)
    absences.note(b"key", beta)
    assert set(absences.of(b"key")) == {alpha, beta}
    assert not absences.of(b"another")
    clock.advance(5)
    assert set(absences.of(b"key")) == {beta}
    clock.advance(6)
    assert not absences.of(b"key")
    for n in range(5000):
        absences.note(b"%d" % n, alpha)
    assert not absences.of(b"0")
    assert absences.of(b"4999")
    assert len(absences._until) == 4096


async def test_what_no_member_holds_is_told_in_time(three):
    cluster, _, _ = three
    key = HsmKey(HsmKeyId(bytes(16)), KeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC)
    with pytest.raises(NoMemberError) as caught:
        await cluster.mac(key, b"m", deadline=in_s(0.5))
    assert isinstance(caught.value.__cause__, HsmKeyNotFoundError)


async def test_a_wrong_request_is_asked_of_one_member_only(three):
    cluster, workers, reports = three
    key, _ = signing_key(workers)
    with pytest.raises(HsmRequestError):
        await cluster.sign(key, ALGORITHM, bytes(31), deadline=in_s(10))
    assert sum(len(worker.performer.performed) for worker in workers) == 1
    assert reports == []
