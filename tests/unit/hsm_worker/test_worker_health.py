"""When a worker wants to be replaced, and that it says so, with what it recovered from, in its answer to Ping."""

import msgspec
import pytest

from strongroom.hsm.token import RecoveryCounters, load_profile
from strongroom.hsm.wire import Pong
from strongroom.hsm.worker import CallRunner, WorkerHealth
from strongroom.hsm.worker._health import resident_memory_mib
from strongroom.testing import FakeClock, FakeHsm, FakePerformer, OpenGate


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def health_with(clock):
    def make(*, taken_mib=100.0, **limits):
        unlimited = {"recycle_after_s": 0, "recycle_after_calls": 0, "recycle_above_mib": 0}
        profile = msgspec.structs.replace(load_profile("softhsm2"), **{**unlimited, **limits})
        counters = RecoveryCounters(new_sessions=3, logins=1)
        return WorkerHealth(lambda: counters, profile, clock=clock, resident_mib=lambda: taken_mib)

    return make


def test_a_worker_without_limits_is_never_replaced(health_with, clock):
    health = health_with(taken_mib=1e6)
    clock.advance(1e7)
    assert health.read(10**12).recycle == ""


def test_age_calls_and_memory_each_ask_for_a_replacement_and_the_wish_stays(health_with, clock):
    old, busy, big = (
        health_with(recycle_after_s=3600),
        health_with(recycle_after_calls=1000),
        health_with(recycle_above_mib=512, taken_mib=512),
    )
    assert (old.read(999).recycle, busy.read(999).recycle) == ("", "")
    assert "512 MiB" in big.read(0).recycle
    assert "1000 calls" in busy.read(1000).recycle
    clock.advance(3600)
    assert "3600 s" in old.read(0).recycle
    assert busy.read(0).recycle


def test_this_process_takes_some_memory():
    assert 5 < resident_memory_mib() < 100_000


async def test_pong_tells_recoveries_and_the_wish(health_with, clock):
    health = health_with(recycle_above_mib=50)
    runner = CallRunner(FakePerformer(FakeHsm("alpha"), OpenGate()), threads=1, clock=clock, health=health)
    try:
        pong = msgspec.msgpack.decode(msgspec.msgpack.encode(runner.pong()), type=Pong)
    finally:
        runner.close()
        await runner.ended.wait()
    assert (pong.recoveries["new_sessions"], pong.recoveries["logins"], pong.recoveries["given_up"]) == (
        3,
        1,
        0,
    )
    assert "100 MiB" in pong.recycle
