"""What main is asked for in a home with officers, without the name of an approval: it asks them, once for the same."""

import pytest

from custody_service import ROOT, give_officers, request_of, sign, signatures
from strongroom.core import ApprovalRequiredError, HsmKey, HsmKeyId, KeySpec, KeyUsage
from strongroom.custody import Refusal, document_hash
from strongroom.hsm.wire import AdmitAct, CustodyPlace, DestroyDirect
from strongroom.runtime._custody_keeping import CustodyKeeping
from strongroom.service._approval_reading import evidence_of, opened
from strongroom.storage import ApprovalState, HsmKeyRecord, HsmKeyState
from strongroom.testing import RecordingEvents

OWNER = "local/1000"
OLD_ROOT = {"root_id": "ab" * 16}


@pytest.fixture
async def officers(bench):
    return await give_officers(bench)


def main_with(bench, officers, folder, desk):
    return CustodyKeeping(
        bench.store,
        officers.desk.book.require_chain(),
        begun=folder / "begun" / "main",
        desk=desk,
        events=RecordingEvents(),
        clock=bench.clock,
    )


@pytest.fixture
def main(bench, officers, tmp_path):
    return main_with(bench, officers, tmp_path, officers.desk)


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


@pytest.mark.parametrize("is_named", [True, False])
async def test_the_hash_of_the_evidence_that_main_logs_is_that_of_the_evidence_that_there_is(
    bench, main, officers, is_named
):
    approval = await waiting(bench, main)
    await sign(officers, approval, "anna", "ben")
    act = await main.claimed(approval if is_named else "", "RotateRoot", OLD_ROOT, OWNER)
    bench.clock.advance(2)  # a disk that takes its time
    logged = main.evidence_sha256(act)
    bench.clock.advance(1_000)
    one = opened(bench.store, bench.store.get_approval(approval))
    evidence = evidence_of(bench.store, officers.desk.book.require_chain(), one, use=0)
    assert logged == document_hash(evidence)


async def test_an_approval_of_something_else_lets_nothing_be_done(bench, main, officers):
    approval = await waiting(bench, main)
    await sign(officers, approval, "anna", "ben")
    assert await waiting(bench, main, {"root_id": "cd" * 16}) != approval
    with pytest.raises(ApprovalRequiredError, match="needs an approval"):
        await main.claimed("", "RotateRoot", OLD_ROOT, ROOT.requester)  # somebody else asks
    assert bench.store.get_approval(approval).state is ApprovalState.OPEN


class Worker:
    """What main says to a member that has no pin of custody."""

    def __init__(self):
        self.heard = []

    async def call(self, call, *, timeout_s):
        self.heard.append(call)
        return CustodyPlace("", 10**6, "", 0)


async def test_a_key_that_is_not_the_same_on_a_member_is_replaced_there_once_officers_approved_that(
    bench, main, officers
):
    key = HsmKey(HsmKeyId(b"\x0b" * 16), KeySpec.AES_256, KeyUsage.ENCRYPT_DECRYPT)
    record = HsmKeyRecord(key.key_id, key.spec, key.usage, "a key", True, HsmKeyState.ACTIVE, b"", 1.0)
    await bench.store.write(lambda tx: tx.insert_hsm_key(record))
    worker = Worker()
    for _ in range(2):
        await main.before(worker, "alpha", DestroyDirect(key))
    assert worker.heard == [], "it says by itself that it needs an approval"
    (waits,) = bench.store.list_approvals(state=ApprovalState.OPEN, limit=10)
    assert request_of(bench.store, waits.id).parameters == {"member": "alpha", "hsm_keys": [key.key_id.hex()]}
    await sign(officers, waits.id, "dora", "emil")
    await main.before(worker, "beta", DestroyDirect(key))
    assert worker.heard == []
    await main.before(worker, "alpha", DestroyDirect(key))
    assert isinstance(worker.heard[-1], AdmitAct)
    assert worker.heard[-1].request == waits.document
    assert bench.store.get_approval(waits.id).state is ApprovalState.EXECUTED
    gone = record._replace(state=HsmKeyState.DESTROYED, destroyed_at=2.0)
    await bench.store.write(lambda tx: tx.move_hsm_key(gone, was=HsmKeyState.ACTIVE))
    heard = len(worker.heard)
    await main.before(worker, "alpha", DestroyDirect(key))
    assert len(worker.heard) == heard, "the end of a key on every member takes another approval"


async def test_main_without_a_desk_asks_nobody(bench, officers, tmp_path):
    main = main_with(bench, officers, tmp_path, None)
    with pytest.raises(ApprovalRequiredError, match="there is none"):
        await main.claimed("", "RotateRoot", OLD_ROOT, OWNER)
    assert not bench.store.list_approvals(limit=10)


async def test_a_verb_without_a_rule_is_refused_and_nobody_is_asked(bench, main):
    with pytest.raises(ApprovalRequiredError, match="cannot be approved by anybody"):
        await main.claimed("", "BackupRoot", OLD_ROOT, OWNER)
    assert not bench.store.list_approvals(limit=10)
