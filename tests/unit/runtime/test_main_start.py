"""What main says of its start, and to whom: an API process that cannot start is no service that has started."""

import asyncio

import pytest

from strongroom.core import MemberFailedError
from strongroom.runtime.main import _tell_start
from strongroom.testing import RecordingEvents


class Api:
    """What ``_tell_start`` sees of an ``ApiFleet``."""

    def __init__(self):
        self.outcome, self.success = asyncio.Event(), asyncio.Event()
        self.failure = None

    async def first_outcomes(self):
        await self.outcome.wait()

    async def first_success(self):
        await self.success.wait()


@pytest.fixture
async def start():
    """``api``, ``events`` and the ``task`` that tells."""
    api, events = Api(), RecordingEvents()
    task = asyncio.ensure_future(_tell_start(api, events, "https://localhost:8443"))
    yield api, events, task
    task.cancel()
    await asyncio.wait({task})


async def test_a_start_that_works_is_told_once_and_nobody_complains(start, capsys):
    api, events, task = start
    await asyncio.sleep(0.01)
    assert events.events == []
    api.outcome.set()
    api.success.set()
    await asyncio.wait_for(task, 60)
    assert [fields["endpoint"] for fields in events.named("service.started")] == ["https://localhost:8443"]
    assert capsys.readouterr().err == ""


async def test_a_first_failure_is_said_at_the_terminal_and_the_start_told_only_once_it_worked(start, capsys):
    api, events, task = start
    api.failure = MemberFailedError("the certificate cannot be used", next_step="see service.tls_key")
    api.outcome.set()
    await asyncio.sleep(0.01)
    said = capsys.readouterr().err
    assert "strongroom: the certificate cannot be used" in said
    assert "what to do: see service.tls_key" in said
    assert events.events == []
    api.failure = None
    api.success.set()
    await asyncio.wait_for(task, 60)
    assert len(events.named("service.started")) == 1
