"""Batches through a real ``MemberWorker``: others get their turn, limits hold, and a hang costs what was not done yet."""

import asyncio
import threading
import time

import msgspec
import pytest

from strongroom.core import (
    BatchUnwrap,
    BatchWrap,
    Deadline,
    HsmRequestError,
    MemberBusyError,
    MemberDeadlineError,
    MemberFailedError,
    Secret,
    SystemClock,
)
from strongroom.hsm.cluster import RemoteMember
from strongroom.hsm.wire import Batch, EncodedBatch, Request, WireClient, Wrap, call_of
from strongroom.hsm.worker import MAX_BATCHES, Admission, MemberWorker
from strongroom.hsm.worker._batch_job import BatchJob
from strongroom.testing import FakeHsm, FakePerformer
from worker_in_process import WorkerInProcess, running_worker

KEY, AAD = Secret(b"k" * 32), b"domain 7"
LONG = 30.0


def in_s(seconds):
    return Deadline.after(SystemClock(), seconds)


class SticksAt(FakePerformer):
    """Hangs in its n-th call, until ``let_go``."""

    def __init__(self, hsm, n):
        super().__init__(hsm)
        self.n = n
        self.let_go = threading.Event()

    def perform(self, call, *, within_s=None):
        if len(self.performed) == self.n:
            self.performed.append(call)
            self.let_go.wait()
        return super().perform(call, within_s=within_s)


@pytest.fixture
def hsm():
    return FakeHsm("alpha")


@pytest.fixture
def root_id(hsm):
    return hsm.make_root()


@pytest.fixture
async def member(hsm, tmp_path):
    async with running_worker(hsm, tmp_path) as running:
        remote = RemoteMember(hsm.name, str(running.use_path))
        remote.performer = running.performer
        yield remote
        remote.close()


def unwraps(hsm, root_id, n):
    secrets = [Secret(b"%032d" % number) for number in range(n)]
    return secrets, [BatchUnwrap(root_id, hsm.wrap(root_id, secret, AAD), AAD) for secret in secrets]


async def test_a_batch_is_one_message_and_its_items_are_done_in_their_order(hsm, root_id, member):
    secrets, items = unwraps(hsm, root_id, 100)
    answers = await member.batch(items, deadline=in_s(LONG))
    assert all(answer.matches(secret) for answer, secret in zip(answers, secrets, strict=True))
    assert member.performer.performed == list(map(call_of, items))


async def test_calls_that_come_during_a_batch_wait_for_a_slice_of_it_not_for_the_whole(hsm, root_id, member):
    _, items = unwraps(hsm, root_id, 200)
    hsm.faults.slow_s = 0.003
    batch = asyncio.ensure_future(member.batch(items, deadline=in_s(LONG)))
    while not member.performer.performed:
        await asyncio.sleep(0.001)
    for _ in range(3):
        await member.wrap(root_id, KEY, AAD, deadline=in_s(LONG))
    performed = list(member.performer.performed)
    assert not batch.done()
    hsm.faults.slow_s = 0
    assert len(await batch) == 200
    assert sum(isinstance(call, Wrap) for call in performed) == 3


async def test_batches_share_a_thread_by_slices(hsm, root_id, member):
    _, items = unwraps(hsm, root_id, 20)
    hsm.faults.slow_s = 0.003
    other = [BatchWrap(root_id, KEY, AAD)] * 20
    await asyncio.gather(member.batch(items, deadline=in_s(LONG)), member.batch(other, deadline=in_s(LONG)))
    kinds = [type(call) for call in member.performer.performed]
    assert len(set(kinds[:6])) == 2


async def test_an_item_that_hangs_costs_itself_and_what_waits_behind_it(hsm, root_id, tmp_path):
    performer = SticksAt(hsm, 4)
    async with running_worker(hsm, tmp_path, performer=performer) as running:
        remote = RemoteMember(hsm.name, str(running.use_path))
        secrets, items = unwraps(hsm, root_id, 8)
        try:
            began = time.monotonic()
            answers = await remote.batch(items, deadline=in_s(2))
            assert time.monotonic() - began < 2 + 5
            assert all(
                answer.matches(secret) for answer, secret in zip(answers[:4], secrets[:4], strict=True)
            )
            assert all(isinstance(answer, MemberDeadlineError) for answer in answers[4:])
            pong = await remote.ping(deadline=in_s(LONG))
            assert [running.verb for running in pong.running] == ["Batch"]
        finally:
            performer.let_go.set()
        assert (await remote.unwrap(root_id, items[0].wrapped, AAD, deadline=in_s(LONG))).matches(secrets[0])
        assert len(performer.performed) <= 8  # what nobody waits for is not begun
        remote.close()


def test_a_batch_that_was_cut_off_is_not_answered_a_second_time(root_id):
    call = Batch([call_of(BatchWrap(root_id, KEY, AAD))])
    job = BatchJob(None, Request(7, LONG, call), cut_at=0.0)
    assert not job.is_over
    assert job.reply().id == 7
    assert job.reply() is None
    assert job.is_over, "nothing more of it is begun"


async def test_items_for_which_no_time_is_left_are_told_so(hsm, root_id, member):
    secrets, items = unwraps(hsm, root_id, 200)
    hsm.faults.slow_s = 0.02
    answers = await member.batch(items, deadline=in_s(1))
    late = [isinstance(answer, MemberDeadlineError) for answer in answers]
    n_done = late.index(True)
    assert 0 < n_done < 200
    assert all(late[n_done:])
    assert all(answer.matches(secret) for answer, secret in zip(answers[:n_done], secrets, strict=False))


async def test_a_failure_of_one_item_is_its_own(hsm, root_id, member):
    secrets, items = unwraps(hsm, root_id, 3)
    hsm.faults.fail_next(1, happened=True)
    first, *others = await member.batch(items, deadline=in_s(LONG))
    assert type(first) is MemberFailedError
    assert all(answer.matches(secret) for answer, secret in zip(others, secrets[1:], strict=True))


async def test_too_many_items_are_refused_by_the_worker_too(member, root_id):
    item = BatchWrap(root_id, KEY, AAD)
    client = await WireClient.connect(member.use_path)
    forged = EncodedBatch(encoded([call_of(item)] * 257))
    with pytest.raises(HsmRequestError, match="at most 256 items, not 257"):
        await client.call(forged, timeout_s=LONG)
    assert await client.call(EncodedBatch(encoded([])), timeout_s=LONG) == []
    client.close()


def encoded(calls):
    return msgspec.Raw(msgspec.msgpack.encode(calls))


async def test_no_more_batches_than_a_worker_can_hold_are_taken(hsm, root_id, member):
    hsm.faults.hang()
    items = [BatchWrap(root_id, KEY, AAD)] * 2
    calls = [asyncio.ensure_future(member.batch(items, deadline=in_s(LONG))) for _ in range(MAX_BATCHES + 1)]
    with pytest.raises(MemberBusyError, match="too many batches"):
        await calls[-1]
    hsm.faults.release()
    assert [len(answers) for answers in await asyncio.gather(*calls[:-1])] == [2] * MAX_BATCHES


class StandingClock:
    """A monotonic clock for the token bucket alone."""

    def monotonic(self):
        return 100.0


async def test_the_rate_limit_counts_items_and_the_rest_is_told_that_it_is_busy(hsm, root_id, tmp_path):
    admission = Admission(StandingClock(), calls_per_s=1, burst=5)
    running = WorkerInProcess(hsm, tmp_path)
    running.worker = MemberWorker(running.performer, threads=1, clock=SystemClock(), admission=admission)
    running._all.append(running.worker)
    await running.worker.listen(running.use_path, running.admin_path)
    remote = RemoteMember(hsm.name, str(running.use_path))
    try:
        secrets, items = unwraps(hsm, root_id, 8)
        answers = await remote.batch(items, deadline=in_s(LONG))
        assert all(answer.matches(secret) for answer, secret in zip(answers[:5], secrets, strict=False))
        assert [type(answer) for answer in answers[5:]] == [MemberBusyError] * 3
        with pytest.raises(MemberBusyError):
            await remote.batch(items, deadline=in_s(LONG))
    finally:
        remote.close()
        await running.stop()


def test_leave_for_several_is_leave_for_each():
    admission = Admission(StandingClock(), calls_per_s=1, burst=4)
    assert [admission.admit_some(n) for n in (0, 3, 3, 3)] == [0, 3, 1, 0]
    assert Admission(StandingClock(), calls_per_s=0).admit_some(256) == 256
