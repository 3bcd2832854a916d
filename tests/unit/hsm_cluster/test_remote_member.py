"""``RemoteMember``: one connection, made when it is needed, and made again after a loss."""

import asyncio
import contextlib
import socket

import pytest

from strongroom.core import Deadline, HsmError, MemberDeadlineError, MemberFailedError, Secret, SystemClock
from strongroom.hsm.cluster import RemoteKeys, RemoteMember
from strongroom.testing import FakeHsm
from strongroom.testing._hsm import HeldObject
from worker_in_process import running_worker


def in_s(seconds):
    return Deadline.after(SystemClock(), seconds)


@pytest.fixture
async def worker(tmp_path):
    async with running_worker(FakeHsm("alpha"), tmp_path) as running:
        yield running


@pytest.fixture
def member(worker):
    with contextlib.closing(RemoteMember("alpha", str(worker.use_path))) as member:
        yield member


async def test_hundreds_of_first_calls_share_one_connection(worker, member):
    made = await asyncio.gather(*[member.random(16, deadline=in_s(30)) for _ in range(600)])
    assert len({secret.reveal() for secret in made}) == 600
    assert len(worker.worker._connections) == 1
    assert member.outstanding == 0


async def test_calls_that_wait_for_a_connection_count_as_outstanding(member):
    calls = [asyncio.ensure_future(member.random(1, deadline=in_s(10))) for _ in range(5)]
    await asyncio.sleep(0)
    assert member.outstanding == 5
    await asyncio.gather(*calls)
    assert member.outstanding == 0


async def test_it_connects_again_after_a_loss(worker, member):
    root_id = worker.hsm.make_root()
    wrapped = await member.wrap(root_id, Secret(b"k"), b"", deadline=in_s(10))
    worker.crash()
    with pytest.raises(MemberFailedError):
        await member.random(1, deadline=in_s(10))
    worker.generation -= 1  # the same path again
    await worker.start()
    assert (await member.unwrap(root_id, wrapped, b"", deadline=in_s(10))).matches(Secret(b"k"))


async def test_all_who_wait_for_a_connection_learn_that_there_is_none(worker, member):
    worker.crash()
    calls = [member.random(1, deadline=in_s(10)) for _ in range(20)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {MemberFailedError}
    assert member.outstanding == 0


async def test_closing_while_it_connects_fails_who_waits_and_leaves_no_connection(worker, member):
    calls = [asyncio.ensure_future(member.random(1, deadline=in_s(10))) for _ in range(3)]
    await asyncio.sleep(0)
    member.close()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {MemberFailedError}
    async with asyncio.timeout(60):
        while worker.worker._connections:
            await asyncio.sleep(0.001)
    assert len(await member.random(1, deadline=in_s(10))) == 1


async def test_a_caller_that_gives_up_does_not_take_the_connection_from_the_others(member):
    leaving, staying = (asyncio.ensure_future(member.random(1, deadline=in_s(10))) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert len(await staying) == 1
    assert leaving.cancelled()


async def test_a_deadline_that_has_passed_is_told_with_and_without_a_connection(member):
    for _ in range(2):
        with pytest.raises(MemberDeadlineError):
            await member.random(1, deadline=in_s(-1))
        await member.random(1, deadline=in_s(10))


async def test_ping_says_what_the_worker_is_at(worker, member):
    pong = await member.ping(deadline=in_s(10))
    assert (pong.running, pong.waiting, member.name) == ([], 0, "alpha")


async def test_a_full_queue_of_a_frozen_worker_is_an_error_within_the_deadline(tmp_path):
    path = str(tmp_path / "frozen")
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(path)
        listener.listen(0)
        for _ in range(4):  # until the kernel takes no more
            end = stack.enter_context(socket.socket(socket.AF_UNIX))
            end.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                end.connect(path)
        member = stack.enter_context(contextlib.closing(RemoteMember("alpha", path)))
        with pytest.raises(MemberFailedError):
            await member.random(1, deadline=in_s(0.2))


async def test_a_token_with_more_objects_than_one_answer_lists_is_told_as_such(worker):
    with contextlib.closing(RemoteKeys("alpha", str(worker.admin_path))) as keys:
        worker.hsm._objects = [HeldObject("secret_key", bytes(16), "x" * 60)] * 6_000
        assert len(await keys.list_objects(deadline=in_s(60))) == 6_000
        worker.hsm._objects *= 4
        with pytest.raises(HsmError, match="more objects than one answer can list") as caught:
            await keys.list_objects(deadline=in_s(60))
        assert "another partition" in caught.value.next_step
