"""Who waits for what, and for how long the fate of an entry is remembered."""

import asyncio

import pytest

from strongroom.audit._tickets import MAX_OUTAGES, Tickets
from strongroom.core import AuditUnavailableError


async def test_a_group_wakes_those_who_wait_for_its_entries_and_nobody_else():
    tickets, loop = Tickets(1), asyncio.get_running_loop()
    issued = [tickets.issue() for _ in range(4)]
    later, first, third, again = [tickets.wait_for(issued[i], loop) for i in (3, 0, 2, 0)]
    assert tickets.succeed(2) == [first, again]
    assert tickets.wait_for(issued[1], loop) is None
    assert tickets.succeed(1) == [third]
    assert tickets.fail_all() == [later]


async def test_the_fate_of_entries_in_many_outages_is_remembered():
    tickets, loop = Tickets(1), asyncio.get_running_loop()
    fates = {}
    for number in range(300):
        ticket = tickets.issue()
        fates[ticket] = number % 3 == 0
        if fates[ticket]:
            tickets.succeed(1)
        else:
            tickets.fail_all()
    for ticket, is_durable in fates.items():
        if is_durable:
            assert tickets.wait_for(ticket, loop) is None
        else:
            with pytest.raises(AuditUnavailableError, match="could not be made durable"):
                tickets.wait_for(ticket, loop)


async def test_outages_without_end_take_no_memory_and_no_forgotten_entry_counts_as_durable():
    tickets, loop = Tickets(1), asyncio.get_running_loop()
    for _ in range(2 * MAX_OUTAGES):
        tickets.issue()
        tickets.succeed(1)
        tickets.issue()
        tickets.fail_all()
    assert len(tickets._failed) == MAX_OUTAGES
    for ticket in (1, 2):  # the first was durable, the second was not
        with pytest.raises(AuditUnavailableError, match="not known any more"):
            tickets.wait_for(ticket, loop)
    last = 4 * MAX_OUTAGES
    assert tickets.wait_for(last - 1, loop) is None
    with pytest.raises(AuditUnavailableError):
        tickets.wait_for(last, loop)
