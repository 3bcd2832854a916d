"""An API process is started again when it ends, not in a mad rush, and finishes its work when it is asked to end."""

import asyncio
import socket
from pathlib import Path

import pytest

from fakes_runtime import ChildInProcess, RecordedPauses, until
from strongroom.config import Home
from strongroom.core import MemberFailedError
from strongroom.runtime import _api_keeper
from strongroom.runtime._api_keeper import ApiKeeper
from strongroom.testing import FakeClock, RecordingEvents
from strongroom.wiring.bootstrap import Started as Bootstrapped


class Started:
    """Stands in for ``Child.start``: children that are no processes, and errors that come first."""

    def __init__(self):
        self.calls, self.children, self.errors, self.protections = [], [], [], []
        self.takes = lambda: None

    async def start(self, program, bootstrap, *, environment, pass_fds):
        self.calls.append((program, bootstrap, environment, pass_fds))
        if self.errors:
            raise self.errors.pop(0)
        self.takes()
        self.children.append(ChildInProcess(7_000 + len(self.children)))
        self.children[-1].started = Bootstrapped(protections=self.protections)
        return self.children[-1]


@pytest.fixture
def started(monkeypatch):
    made = Started()
    monkeypatch.setattr(_api_keeper, "Child", made)
    return made


@pytest.fixture
def pauses(monkeypatch):
    recorded = RecordedPauses()
    monkeypatch.setattr(_api_keeper, "asyncio", recorded)
    return recorded.pauses


@pytest.fixture
def clock():
    return FakeClock()


async def control():
    return Path("/run/x/control")


def keeper_of(listener, clock):
    return ApiKeeper(
        Home(Path("/srv/home")),
        listener,
        writer="api-0",
        control=control,
        events=RecordingEvents(),
        clock=clock,
    )


@pytest.fixture
async def keeper(started, pauses, clock):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = keeper_of(listener, clock)
        task = asyncio.ensure_future(made.run())
        made.task, made.fd = task, listener.fileno()
        yield made
        task.cancel()
        await asyncio.wait({task})


async def running(started, n):
    await until(lambda: len(started.children) == n)
    await asyncio.sleep(0.01)
    return started.children[-1]


async def test_it_is_given_the_listening_socket_and_no_secret(keeper, started):
    await running(started, 1)
    ((program, bootstrap, environment, pass_fds),) = started.calls
    assert program == "strongroom.runtime.api"
    assert bootstrap.listener_fd == keeper.fd
    assert list(pass_fds) == [keeper.fd]
    assert environment == {}
    assert (bootstrap.home, bootstrap.control_path, bootstrap.writer) == (
        "/srv/home", "/run/x/control", "api-0",
    )  # fmt: skip
    assert keeper.first_outcome.is_set()
    assert keeper.failure is None


async def test_one_that_ends_is_started_again(keeper, started):
    for number in range(1, 4):
        (await running(started, number)).die(-9)
    await running(started, 4)
    assert keeper._events.named("api.ended") == [{"status": -9}] * 3
    assert len(keeper._events.named("api.started")) == 4


@pytest.mark.parametrize("error", [MemberFailedError, OSError, KeyError])
async def test_one_that_cannot_start_is_told_and_tried_again(started, pauses, clock, error):
    """Also where it fails as nobody foresaw: the service is never given up in silence."""
    started.errors = [error("the child ended before it was at work") for _ in range(9)]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        keeper = keeper_of(listener, clock)
        task = asyncio.ensure_future(keeper.run())
        try:
            await asyncio.wait_for(keeper.first_outcome.wait(), 60)
            assert isinstance(keeper.failure, MemberFailedError)
            assert keeper.failure.__traceback__ is None
            assert not keeper.first_success.is_set()
            await running(started, 1)
        finally:
            task.cancel()
            await asyncio.wait({task})
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert keeper.failure is None
    assert keeper.first_success.is_set()
    assert len(keeper._events.named("api.failed")) == 9


async def test_protections_that_the_system_refused_to_it_are_told(keeper, started):
    started.protections = ["memory is not locked"]
    (await running(started, 1)).die(1)
    await running(started, 2)
    assert keeper._events.named("api.unprotected") == [{"what": "memory is not locked"}]


async def test_a_start_that_takes_long_is_no_good_life(started, pauses, clock):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        keeper = keeper_of(listener, clock)
        started.takes = lambda: clock.advance(60)
        task = asyncio.ensure_future(keeper.run())
        try:
            for number in range(1, 4):
                (await running(started, number)).die(1)
            await running(started, 4)
        finally:
            task.cancel()
            await asyncio.wait({task})
    assert pauses == [0.1, 0.2, 0.4]


async def test_one_that_keeps_ending_right_after_its_start_is_not_restarted_in_a_mad_rush(
    keeper, started, pauses, clock
):
    for number in range(1, 9):
        (await running(started, number)).die(1)
    child = await running(started, 9)
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0]
    clock.advance(60)
    child.die(-9)
    await running(started, 10)
    assert pauses[8:] == [0.1]


async def test_stopping_asks_the_process_to_end(keeper, started):
    child = await running(started, 1)
    keeper.task.cancel()
    await asyncio.wait({keeper.task})
    assert child.status is None
    await keeper.stop()
    assert child.status == 0
    await keeper.stop()


async def test_stopping_before_anything_runs_is_no_error(started, clock):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        await keeper_of(listener, clock).stop()
    assert started.calls == []


async def test_one_that_was_renewed_while_a_start_was_due_is_not_joined_by_another(
    keeper, started, pauses, monkeypatch
):
    """So it is when a configuration that let every process end is mended and reloaded."""
    may_go_on = asyncio.Event()

    async def held_up(_seconds):
        await may_go_on.wait()

    monkeypatch.setattr(_api_keeper.asyncio, "sleep", held_up)
    (await running(started, 1)).die(1)
    await until(lambda: keeper._events.named("api.ended"))
    await keeper.renew()
    may_go_on.set()
    await asyncio.sleep(0.05)
    assert keeper.pids() == [started.children[1].pid]
    started.children[1].die(1)
    await running(started, 3)
    assert keeper.pids() == [started.children[2].pid]


async def test_after_a_renewal_that_failed_the_next_one_has_a_log_of_its_own(keeper, started):
    await running(started, 1)
    started.errors = [MemberFailedError("the TLS certificate cannot be used")]
    with pytest.raises(MemberFailedError):
        await keeper.renew()
    await keeper.renew()
    writers = [bootstrap.writer for _, bootstrap, _, _ in started.calls]
    assert writers == ["api-0", "api-0-b", "api-0-b"]
    await until(lambda: started.children[0].has_ended)
    await keeper.renew()
    assert started.calls[-1][1].writer == "api-0"
