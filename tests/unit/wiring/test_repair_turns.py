"""The service and a command do not repair the same member at the same time; other members are not held up."""

import asyncio
import contextlib

import pytest

from strongroom.config import Home
from strongroom.core import HomeError, MemberFailedError, SystemClock
from strongroom.wiring import repair_turns
from strongroom.wiring.repair_turns import repair_by_command, repair_by_service

CLOCK = SystemClock()


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


async def test_while_a_command_repairs_a_member_the_service_does_not_and_then_it_does(home):
    async with repair_by_command(home, "beta", CLOCK):
        with pytest.raises(MemberFailedError, match="members add"), repair_by_service(home, "beta"):
            pass
        with repair_by_service(home, "alpha"):
            pass
    with repair_by_service(home, "beta"), repair_by_service(home, "beta"):
        pass


async def test_a_command_waits_until_the_service_is_done_with_the_member(home):
    began = []

    async def command():
        async with repair_by_command(home, "beta", CLOCK):
            began.append(1)

    with contextlib.ExitStack() as service:
        service.enter_context(repair_by_service(home, "beta"))
        waiting = asyncio.ensure_future(command())
        await asyncio.sleep(0.2)
        assert not began
    await asyncio.wait_for(waiting, 60)
    assert began


async def test_it_waits_no_longer_than_it_says(home, monkeypatch):
    monkeypatch.setattr(repair_turns, "_WAIT_S", 0.1)
    with repair_by_service(home, "beta"), pytest.raises(HomeError, match="has been repairing member beta"):
        async with repair_by_command(home, "beta", CLOCK):
            pass


async def test_a_home_that_takes_no_lock_is_told(tmp_path):
    home = Home(tmp_path / "none")
    with pytest.raises(MemberFailedError, match="cannot be opened"), repair_by_service(home, "beta"):
        pass
    with pytest.raises(HomeError, match="cannot be opened"):
        async with repair_by_command(home, "beta", CLOCK):
            pass
