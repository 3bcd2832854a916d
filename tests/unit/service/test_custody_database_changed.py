"""What somebody changed in the database of a home with officers lets nothing through that officers did not approve."""

import sqlite3
from contextlib import closing

import pytest

from custody_service import CARL, KEY, give_officers, pending, sign
from fakes_keyring import count_a_change
from strongroom.core import StorageError
from strongroom.service import CustodyBrokenError, CustodyKeeping
from strongroom.storage import ApprovalState


@pytest.fixture
async def custody(bench):
    return await give_officers(bench)


@pytest.fixture
def desk(custody):
    return custody.desk


def change(bench, statement, *values):
    """Change the database as nobody of ours does, and have the process look again, as after any change."""
    with closing(sqlite3.connect(bench.path)) as connection, connection:
        connection.execute(statement, values)
    count_a_change(bench.path)


MANIPULATIONS = [
    "UPDATE custody_documents SET document = replace(document, 'anna', 'anne') WHERE sequence = 0",
    "UPDATE custody_documents SET document = CAST(replace(document, 'anna', 'anne') AS BLOB) WHERE sequence = 0",
    "DELETE FROM custody_documents",
    "INSERT INTO custody_documents VALUES (1, x'7b7d')",
    "INSERT INTO custody_documents VALUES (2, x'7b7d')",
    "UPDATE approvals SET document = replace(document, 'AES_256', 'AES_128')",
    "UPDATE approvals SET document = CAST(replace(document, 'AES_256', 'AES_128') AS BLOB)",
    "UPDATE approvals SET requester = 'user/eve'",
]


@pytest.mark.parametrize("statement", MANIPULATIONS)
@pytest.mark.parametrize("is_running", [True, False])
async def test_a_row_that_was_manipulated_lets_nothing_through(bench, desk, custody, statement, is_running):
    approval = await pending(desk)
    await sign(custody, approval, "dora", "emil")
    change(bench, statement)
    keeping = custody
    if not is_running:
        keeping = CustodyKeeping.opened(
            bench.store, desk.book._genesis_sha256, bench.audit, clock=bench.clock
        )
    with pytest.raises((CustodyBrokenError, StorageError)):
        await keeping.desk.require("CreateHsmKey", KEY, CARL)
    with pytest.raises((CustodyBrokenError, StorageError)):
        await sign(keeping, approval, "finn")


@pytest.mark.parametrize("is_only_asked_for", [True, False])
async def test_signatures_that_were_moved_to_another_request_spoil_it(
    bench, desk, custody, is_only_asked_for
):
    first = await pending(desk)
    await sign(custody, first, "dora", "emil")
    other = {**KEY, "spec": "AES_128"}
    second = await pending(desk, parameters=other)
    change(bench, "UPDATE approval_signatures SET request_id = ?", second)
    if is_only_asked_for:
        third = await desk.ask("CreateHsmKey", other, CARL)
    else:
        third = await pending(desk, parameters=other)
    assert third != second
    assert bench.store.get_approval(second).state is ApprovalState.VOID
    (entry,) = [entry for entry in bench.entries() if entry.event == "approval.void"]
    assert (entry.principal, entry.detail["approval"]) == ("user/carl", second)


async def test_a_configuration_without_a_genesis_does_not_switch_officers_off(bench, custody):
    keeping = CustodyKeeping.opened(bench.store, None, bench.audit, clock=bench.clock)
    with pytest.raises(CustodyBrokenError, match="names no genesis"):
        await keeping.desk.require("CreateHsmKey", KEY, CARL)


async def test_a_database_that_was_set_back_is_not_believed(bench, desk, custody):
    gone = await desk.ask("RevokeOfficer", {"officer": "dora", "reason": "left"}, CARL)
    await sign(custody, gone, "anna", "ben")
    assert desk.book.require_chain().state.sequence == 1
    change(bench, "DELETE FROM custody_documents WHERE sequence = 1")
    with pytest.raises(CustodyBrokenError):
        await desk.require("CreateHsmKey", KEY, CARL)
