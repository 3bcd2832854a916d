"""``MemberWorker`` over real sockets: order, batches, limits, and a hang that everybody can see."""

import asyncio
import threading
import time

import msgspec
import pytest

from strongroom.core import HsmRequestError, MemberBusyError, MemberDeadlineError, MemberFailedError
from strongroom.hsm.wire import (
    FrameBuffer,
    GenerateRoot,
    ListObjects,
    Ping,
    Random,
    Reply,
    Request,
    WireClient,
    Wrap,
    frame,
    raise_failure,
)
from strongroom.hsm.worker import MAX_WAITING
from strongroom.testing import FakeHsm
from tries import Tries
from worker_in_process import running_worker

LONG = 30.0
STUCK = 13


class SticksAt13:
    """A performer that hangs on ``Random(13)`` alone, until ``let_go``; it says which calls it began."""

    is_broken = False

    def __init__(self):
        self.let_go = threading.Event()
        self.began = []

    def limit_s(self, call):
        return 2.5

    def perform(self, call, *, within_s=None):
        self.began.append(call.n_bytes)
        if call.n_bytes == STUCK:
            self.let_go.wait()
        return bytes(call.n_bytes)

    def close(self):
        """Has nothing to let go of."""


@pytest.fixture
def hsm():
    return FakeHsm("alpha")


@pytest.fixture
async def worker(hsm, tmp_path):
    async with running_worker(hsm, tmp_path) as running:
        yield running


@pytest.fixture
async def connect(tmp_path):
    clients = []

    async def connect_to(path):
        clients.append(await WireClient.connect(path))
        return clients[-1]

    yield connect_to
    for client in clients:
        client.close()


@pytest.fixture
async def client(worker, connect):
    return await connect(worker.use_path)


def ask(client, *calls, timeout_s=LONG):
    return [asyncio.ensure_future(client.call(call, timeout_s=timeout_s)) for call in calls]


async def until(claim):
    async with asyncio.timeout(60):
        while not claim():
            await asyncio.sleep(0.002)


async def exchange(path, requests, n_replies):
    """Send one frame of requests; return the frames of answers until all are there."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(frame(msgspec.msgpack.encode(requests)))
    frames, buffer = [], FrameBuffer()
    async with asyncio.timeout(60):
        while sum(map(len, frames)) < n_replies:
            data = await reader.read(1 << 16)
            assert data, "cut off"
            frames += [msgspec.msgpack.decode(found, type=list[Reply]) for found in buffer.feed(data)]
    writer.close()
    return frames


async def test_one_thread_does_the_calls_in_the_order_in_which_they_came(worker, client):
    wanted = [Random(1 + n) for n in range(300)]
    await asyncio.gather(*ask(client, *wanted))
    assert worker.performer.performed == wanted


async def test_calls_that_waited_together_are_answered_in_few_frames(worker):
    requests = [Request(n, LONG, Random(8)) for n in range(1000)]
    frames = await exchange(worker.use_path, requests, 1000)
    assert [reply.id for found in frames for reply in found] == list(range(1000))
    assert len(frames) < 500


async def test_a_call_too_many_is_refused_at_once_and_the_others_are_done(worker, client, hsm):
    hsm.faults.hang()
    (running,) = ask(client, Random(1))
    await until(lambda: worker.performer.performed)
    waiting = ask(client, *[Random(2)] * MAX_WAITING)
    refused = ask(client, Random(3), Random(4))
    for call in refused:
        with pytest.raises(MemberBusyError, match="wait for this member already"):
            await call  # busy, not failed: overload is no reason to look for a fault in the member
    assert not any(call.done() for call in (running, *waiting))
    hsm.faults.release()
    assert {len(made) for made in await asyncio.gather(*waiting)} == {2}


async def test_a_call_that_waited_past_its_time_is_not_begun(worker, connect, hsm):
    hsm.faults.hang()
    client = await connect(worker.use_path)
    (running,) = ask(client, Random(1))
    await until(lambda: worker.performer.performed)
    answers = asyncio.ensure_future(exchange(worker.use_path, [Request(1, 0.02, Random(2))], 1))
    await asyncio.sleep(0.1)
    hsm.faults.release()
    ((late,),) = await answers
    with pytest.raises(MemberDeadlineError, match="waited in the worker"):
        raise_failure(late.failure)
    await running
    assert worker.performer.performed == [Random(1)]


async def test_a_call_with_too_little_of_its_time_left_is_not_begun(worker, connect, hsm):
    """Its answer would come too late: under overload such calls would take all the time of the HSM."""
    hsm.faults.hang()
    client = await connect(worker.use_path)
    (running,) = ask(client, Random(1))
    await until(lambda: worker.performer.performed)
    requests = [Request(1, 1.0, Random(2)), Request(2, LONG, Random(3))]
    answers = asyncio.ensure_future(exchange(worker.use_path, requests, 2))
    await asyncio.sleep(0.9)
    hsm.faults.release()
    late, in_time = [reply for frame in await answers for reply in frame]
    with pytest.raises(MemberDeadlineError, match="waited in the worker"):
        raise_failure(late.failure)
    assert in_time.failure is None
    await running
    assert worker.performer.performed == [Random(1), Random(3)]


async def test_an_overloaded_worker_answers_most_of_what_it_does_in_time(worker, connect, hsm):
    """Three times as many calls as it can do, for a while: what it does must not be wasted on those who left.

    Once in five times is enough: a process that stands still for a moment is too late for everybody.
    """
    hsm.faults.slow_s = 0.01
    client = await connect(worker.use_path)
    shares = []

    async def caller(outcomes):
        for _ in range(3):
            try:
                outcomes.append(len(await client.call(Random(1), timeout_s=0.3)))
            except MemberDeadlineError:
                outcomes.append(0)

    while len(shares) < 5 and max(shares, default=0) <= 0.8:
        before, outcomes = len(worker.performer.performed), []
        await asyncio.gather(*[caller(outcomes) for _ in range(90)])
        shares.append(sum(outcomes) / (len(worker.performer.performed) - before))
    assert max(shares) > 0.8, shares


async def test_ping_is_answered_while_the_hsm_hangs_and_says_what_hangs_since_when(worker, client, hsm):
    hsm.faults.hang()
    hanging = ask(client, Wrap(b"r" * 16, b"k", b""), Random(1), Random(2), timeout_s=0.3)
    await until(lambda: worker.performer.performed)
    first = await client.call(Ping(), timeout_s=LONG)
    await asyncio.sleep(0.1)
    second = await client.call(Ping(), timeout_s=LONG)
    (running,) = second.running
    assert (running.verb, running.limit_s, second.waiting) == ("Wrap", 5.0, 2)
    assert 0.1 <= running.for_s - first.running[0].for_s < 10
    outcomes = await asyncio.gather(*hanging, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {MemberDeadlineError}
    hsm.faults.release()
    await until(lambda: not worker.worker._runner.pong().running)
    assert await client.call(Random(4), timeout_s=LONG)


async def test_both_sockets_answer_ping(worker, connect):
    for path in (worker.use_path, worker.admin_path):
        pong = await (await connect(path)).call(Ping(), timeout_s=LONG)
        assert (pong.running, pong.waiting) == ([], 0)


async def test_ping_tells_how_many_calls_came_to_their_end_well_or_not(client, hsm):
    await asyncio.gather(*ask(client, *[Random(1)] * 7))
    hsm.faults.fail_next(1)
    with pytest.raises(MemberFailedError):
        await client.call(Random(1), timeout_s=LONG)
    assert (await client.call(Ping(), timeout_s=LONG)).finished == 8


@pytest.mark.parametrize("threads", [1, 2, 4])
async def test_an_answer_does_not_wait_behind_a_call_that_hangs(hsm, tmp_path, threads, connect):
    sticky = SticksAt13()
    async with running_worker(hsm, tmp_path, threads=threads, performer=sticky) as worker:
        client = await connect(worker.use_path)
        try:
            quick = [Random(n) for n in range(1, 9)]
            answered, hung = (
                ask(client, *calls, timeout_s=5) for calls in (quick, [Random(STUCK)] * threads)
            )
            assert [len(made) for made in await asyncio.gather(*answered)] == list(range(1, 9))
            assert not any(call.done() for call in hung)
            await until(lambda: sticky.began.count(STUCK) == threads)
            pong = await client.call(Ping(), timeout_s=LONG)
            assert [(running.verb, running.limit_s) for running in pong.running] == [
                ("Random", 2.5)
            ] * threads
        finally:
            sticky.let_go.set()
        assert [len(made) for made in await asyncio.gather(*hung)] == [STUCK] * threads


async def test_several_threads_do_several_calls_at_once(hsm, tmp_path, connect):
    hsm.faults.slow_s = 0.2
    async with running_worker(hsm, tmp_path, threads=4) as worker:
        client = await connect(worker.use_path)
        tries = Tries(0.7)
        for _ in tries:
            with tries.timed():
                await asyncio.gather(*ask(client, *[Random(1)] * 4))


async def test_a_fatal_error_sets_broken_and_its_caller_still_gets_the_answer(worker, client, hsm):
    assert not worker.worker.broken.is_set()
    hsm.faults.is_broken = True
    hsm.faults.fail_next(1)
    with pytest.raises(MemberFailedError, match="told to fail"):
        await client.call(Random(1), timeout_s=LONG)
    await asyncio.wait_for(worker.worker.broken.wait(), 60)


async def test_an_answer_too_long_for_a_frame_fails_alone(hsm, tmp_path, connect):
    class Talkative(SticksAt13):
        def perform(self, call, *, within_s=None):
            return bytes(300_000 if isinstance(call, Random) else 2_000_000)

    async with running_worker(hsm, tmp_path, performer=Talkative()) as worker:
        admin, client = await connect(worker.admin_path), await connect(worker.use_path)
        with pytest.raises(HsmRequestError, match="cannot be sent"):
            await admin.call(ListObjects(), timeout_s=LONG)
        together = await asyncio.gather(*ask(client, *[Random(1)] * 10))
        assert [len(made) for made in together] == [300_000] * 10


async def test_an_answer_that_cannot_be_encoded_is_a_failure_of_the_member(hsm, tmp_path, connect):
    class Wrong(SticksAt13):
        def perform(self, call, *, within_s=None):
            return object()

    async with running_worker(hsm, tmp_path, performer=Wrong()) as worker:
        client = await connect(worker.use_path)
        with pytest.raises(MemberFailedError, match="unexpected TypeError"):
            await client.call(Random(1), timeout_s=LONG)


async def test_the_use_socket_cuts_off_who_sends_an_admin_verb(worker, connect, hsm):
    client = await connect(worker.use_path)
    before = ask(client, GenerateRoot(b"r" * 16, "root"))
    with pytest.raises(MemberFailedError, match="lost"):
        await before[0]
    assert worker.performer.performed == []
    assert hsm.objects() == []


async def test_a_caller_that_went_away_disturbs_nobody(worker, connect, hsm):
    hsm.faults.hang()
    leaving, staying = await connect(worker.use_path), await connect(worker.use_path)
    gone, stayed = ask(leaving, Random(1)), ask(staying, Random(2))
    await until(lambda: worker.performer.performed)
    leaving.close()
    hsm.faults.release()
    with pytest.raises(MemberFailedError):
        await gone[0]
    assert len(await stayed[0]) == 2


async def test_a_worker_that_closes_cuts_its_callers_off_at_once(worker, client, hsm):
    hsm.faults.hang()
    waiting = ask(client, Random(1), Random(2))
    await until(lambda: worker.performer.performed)
    began = time.monotonic()
    worker.crash()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {MemberFailedError}
    assert time.monotonic() - began < LONG / 10
    assert not worker.use_path.exists()


async def test_a_worker_that_closes_ends_its_threads_lets_go_of_the_token_and_drops_what_waits(
    hsm, tmp_path, connect
):
    async with running_worker(hsm, tmp_path, threads=2) as running:
        worker = running.worker
        client = await connect(running.use_path)
        hsm.faults.hang()
        waiting = ask(client, *[Random(n) for n in range(1, 8)])
        await until(lambda: len(running.performer.performed) == 2)
        worker.close()
        await asyncio.sleep(0.05)
        assert not worker.ended.is_set()
        assert not running.performer.is_closed
        hsm.faults.release()
        await asyncio.wait_for(worker.ended.wait(), 60)
        await asyncio.gather(*waiting, return_exceptions=True)
        assert running.performer.is_closed
        assert len(running.performer.performed) == 2
        assert not worker.broken.is_set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_worker_whose_thread_dies_of_a_bug_is_broken(hsm, tmp_path, connect):
    class Buggy(SticksAt13):
        def limit_s(self, call):
            raise KeyError

    async with running_worker(hsm, tmp_path, performer=Buggy()) as worker:
        client = await connect(worker.use_path)
        call = ask(client, Random(1))
        await asyncio.wait_for(worker.worker.broken.wait(), 60)
        worker.worker.close()
        await asyncio.gather(*call, return_exceptions=True)
