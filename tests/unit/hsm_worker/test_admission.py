"""A member gets as many calls a second as it may have; one too many is told so at once, and Ping never."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.core import MemberBusyError
from strongroom.hsm.wire import ListObjects, Ping, Random, WireClient
from strongroom.hsm.worker import Admission, MemberWorker
from strongroom.testing import FakeClock, FakeHsm, FakePerformer


@given(
    calls_per_s=st.floats(0.1, 1000),
    burst=st.integers(0, 50),
    pauses=st.lists(st.floats(0, 2), max_size=200),
)
def test_never_more_calls_than_the_burst_and_what_the_time_allows(calls_per_s, burst, pauses):
    clock = FakeClock()
    admission = Admission(clock, calls_per_s=calls_per_s, burst=burst)
    admitted = 0
    for pause in pauses:
        clock.advance(pause)
        admitted += admission.admit()
    most = max(burst or calls_per_s, 1)
    assert admitted <= most + sum(pauses) * calls_per_s + 1e-6


def test_who_asks_no_faster_than_allowed_is_never_refused():
    clock = FakeClock()
    admission = Admission(clock, calls_per_s=4, burst=1)
    for _ in range(100):
        assert admission.admit()
        clock.advance(0.25)


def test_a_rate_of_zero_is_no_limit():
    admission = Admission(FakeClock(), calls_per_s=0)
    assert all(admission.admit() for _ in range(10_000))


@pytest.fixture
async def limited(tmp_path):
    """The use and admin sockets of a worker that lets two calls through, on a clock that stands still."""
    clock = FakeClock()
    admission = Admission(clock, calls_per_s=2)
    worker = MemberWorker(FakePerformer(FakeHsm("alpha")), threads=1, clock=clock, admission=admission)
    await worker.listen(tmp_path / "use", tmp_path / "admin")
    use, admin = await WireClient.connect(tmp_path / "use"), await WireClient.connect(tmp_path / "admin")
    yield use, admin, clock
    use.close()
    admin.close()
    worker.close()
    await asyncio.wait_for(worker.ended.wait(), 60)


async def test_a_call_too_many_is_told_so_at_once_and_later_there_is_room_again(limited):
    use, admin, clock = limited
    for _ in range(2):
        assert len(await use.call(Random(4), timeout_s=10)) == 4
    for _ in range(3):
        with pytest.raises(MemberBusyError):
            await use.call(Random(4), timeout_s=10)
    await use.call(Ping(), timeout_s=10)
    await admin.call(ListObjects(), timeout_s=10)
    clock.advance(0.5)
    assert len(await use.call(Random(4), timeout_s=10)) == 4
    with pytest.raises(MemberBusyError):
        await use.call(Random(4), timeout_s=10)
