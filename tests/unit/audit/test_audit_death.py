"""When the log's thread dies of what nobody foresaw: everybody hears it, and the process can end itself."""

import asyncio

import pytest

from strongroom.core import AuditUnavailableError

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


def _bug(_call):
    raise ZeroDivisionError("only for the log of the process")


async def test_all_who_wait_hear_of_the_death_and_everything_is_refused_from_then_on(open_log, disk):
    log = open_log()
    mourners = [asyncio.ensure_future(log.wait_dead()) for _ in range(3)]
    await log.record("event", "e")
    mourners.pop().cancel()
    assert not any(mourner.done() for mourner in mourners)
    disk.decide = _bug
    writers = [log.record("event", "e") for _ in range(5)]
    outcomes = await asyncio.wait_for(asyncio.gather(*writers, return_exceptions=True), 60)
    assert {type(outcome) for outcome in outcomes} == {AuditUnavailableError}
    reason = "the thread of the audit log died of ZeroDivisionError"
    assert await asyncio.wait_for(asyncio.gather(*mourners), 60) == [reason] * 2
    assert await asyncio.wait_for(log.wait_dead(), 60) == reason
    assert log.failure == reason
    with pytest.raises(AuditUnavailableError, match="died of ZeroDivisionError") as caught:
        log.append("event", "e")
    assert caught.value.next_step == "restart the process"
    log.close()


async def test_after_a_death_the_next_process_can_open_the_log(open_log, disk):
    log = open_log()
    disk.decide = lambda call: _bug(call) if call == "sync" else None
    with pytest.raises(AuditUnavailableError):
        await log.record("event", "e")
    await asyncio.wait_for(log.wait_dead(), 60)
    log.close()
    disk.decide = lambda _call: None
    await open_log().record("event", "e")


async def test_an_orderly_close_and_a_failing_disk_are_no_death(open_log, disk):
    log = open_log()
    disk.decide = lambda _call: "lost"
    with pytest.raises(AuditUnavailableError):
        await log.record("event", "e")
    mourner = asyncio.ensure_future(log.wait_dead())
    log.close()
    await asyncio.sleep(0.05)
    assert not mourner.done()
    mourner.cancel()
