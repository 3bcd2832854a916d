"""What main is asked for in a home with officers, without the name of an approval: it asks them, once for the same."""

import pytest

from custody_service import ROOT, give_officers, sign, signatures
from strongroom.core import ApprovalRequiredError
from strongroom.custody import Refusal
from strongroom.runtime._custody_keeping import CustodyKeeping
from strongroom.storage import ApprovalState
from strongroom.testing import RecordingEvents

OWNER = "local/1000"
OLD_ROOT = {"root_id": "ab" * 16}


@pytest.fixture
async def officers(bench):
    return await give_officers(bench)


@pytest.fixture
def main(bench, officers, tmp_path):
    keeping = CustodyKeeping(
        bench.store,
        officers.desk.book.require_chain(),
        begun=tmp_path / "begun" / "main",
        events=RecordingEvents(),
        clock=bench.clock,
    )
    keeping.desk = officers.desk
    return keeping


async def waiting(bench, main, parameters=OLD_ROOT):
    """Ask for a rotation of the root that nobody approved; returns the id of the request."""
    with pytest.raises(ApprovalRequiredError, match="needs an approval") as refused:
        await main.claimed("", "RotateRoot", parameters, OWNER)
    (record,) = [
        one
        for one in bench.store.list_approvals(state=ApprovalState.OPEN, limit=10)
        if one.id[:12] in refused.value.message
    ]
    return record.id


async def test_officers_are_asked_and_what_they_approved_is_done_once(bench, main, officers):
    approval = await waiting(bench, main)
    assert await waiting(bench, main) == approval
    await sign(officers, approval, "anna", "ben")
    act = await main.claimed("", "RotateRoot", OLD_ROOT, OWNER)
    assert act.approval == approval
    assert list(act.admission.signatures) == list(signatures(bench.store, approval, "anna", "ben"))
    assert bench.store.get_approval(approval).state is ApprovalState.EXECUTED
    assert main.evidence_sha256(act)
    with pytest.raises(ApprovalRequiredError, match=Refusal.ALREADY_USED.value):
        await main.claimed(approval, "RotateRoot", OLD_ROOT, OWNER)
    assert await waiting(bench, main) != approval


async def test_an_approval_of_something_else_lets_nothing_be_done(bench, main, officers):
    approval = await waiting(bench, main)
    await sign(officers, approval, "anna", "ben")
    assert await waiting(bench, main, {"root_id": "cd" * 16}) != approval
    with pytest.raises(ApprovalRequiredError, match="needs an approval"):
        await main.claimed("", "RotateRoot", OLD_ROOT, ROOT.requester)  # somebody else asks
    assert bench.store.get_approval(approval).state is ApprovalState.OPEN


async def test_main_without_a_desk_asks_nobody(bench, main):
    main.desk = None
    with pytest.raises(ApprovalRequiredError, match="there is none"):
        await main.claimed("", "RotateRoot", OLD_ROOT, OWNER)
    assert not bench.store.list_approvals(limit=10)


async def test_a_verb_without_a_rule_is_refused_and_nobody_is_asked(bench, main):
    with pytest.raises(ApprovalRequiredError, match="cannot be approved by anybody"):
        await main.claimed("", "BackupRoot", OLD_ROOT, OWNER)
    assert not bench.store.list_approvals(limit=10)
