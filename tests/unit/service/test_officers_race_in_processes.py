"""Two processes, as two API processes are: officers who bring the deciding signature at the same moment, and an act, once."""

import json

import pytest

from custody_service import give_officers, sign, signatures
from racing import race
from strongroom.service import ApprovalPendingError, Asker

PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from strongroom.audit import AuditLog
from strongroom.core import StrongroomError
from strongroom.service import Asker, CustodyKeeping
from strongroom.storage import Store
from strongroom.testing import FakeClock

async def main():
    asked = json.loads(sys.argv[1])
    clock = FakeClock()
    clock.advance(asked["now"] - clock.now())
    audit = AuditLog.open(Path(asked["audit"]), asked["writer"], clock=clock)
    with Store.open(Path(asked["database"])) as store:
        keeping = CustodyKeeping.opened(store, asked["genesis"], audit, clock=clock)
        print("ready", flush=True)
        sys.stdin.readline()
        outcomes = []
        for approval, signature in asked["signatures"]:
            try:
                taken = await keeping.signatures.approve(approval, bytes.fromhex(signature), Asker("user/x"))
                outcomes.append(taken.did)
            except StrongroomError as error:
                outcomes.append(type(error).__name__)
        for parameters in asked["acts"]:
            try:
                ticket = await keeping.desk.require("CreateHsmKey", parameters, Asker("user/carl"))
                outcomes.append(ticket.approval)
            except StrongroomError as error:
                outcomes.append(type(error).__name__)
    audit.close()
    print(json.dumps(outcomes), flush=True)

asyncio.run(main())
"""
N_ACTS = 5


async def race_of(bench, custody, *racers):
    """Let processes with signatures to bring, and acts to do, go at the same moment; returns what each came to."""
    asked = {
        "now": bench.clock.now(), "audit": str(bench.directory), "database": str(bench.path),
        "genesis": custody.desk.book._genesis_sha256,
    }  # fmt: skip
    each = [
        [json.dumps({**asked, "writer": f"racer-{number}", "signatures": signed, "acts": acts})]
        for number, (signed, acts) in enumerate(racers)
    ]
    return [json.loads(out) for out in await race(PROGRAM, *each)]


async def test_two_officers_who_race_in_two_processes_decide_once(bench):
    custody = await give_officers(bench)
    ask = custody.desk.ask
    approval = await ask("RevokeOfficer", {"officer": "hana", "reason": "left"}, Asker("user/carl"))
    await sign(custody, approval, "anna")
    racers = [
        ([(approval, signature.hex())], []) for signature in signatures(bench.store, approval, "ben", "cleo")
    ]
    outcomes = await race_of(bench, custody, *racers)
    assert sorted(outcomes) == [["ApprovalOverError"], ["changed"]]
    assert len(bench.store.get_custody_documents()) == 2
    assert len(bench.store.list_approval_signatures(approval)) == 2


@pytest.mark.slow
async def test_approved_acts_that_two_processes_want_are_each_let_through_once(bench):
    custody = await give_officers(bench)
    acts = [{"spec": str(number), "usage": "SIGN_VERIFY", "may_leave": True} for number in range(N_ACTS)]
    approved = []
    for parameters in acts:
        with pytest.raises(ApprovalPendingError) as waits:
            await custody.desk.require("CreateHsmKey", parameters, Asker("user/carl"))
        approved.append(waits.value.approval)
        await sign(custody, waits.value.approval, "dora", "emil")
    outcomes = await race_of(bench, custody, ([], acts), ([], acts))
    for approval, both in zip(approved, zip(*outcomes, strict=True), strict=True):
        assert sorted(both) == sorted([approval, "ApprovalPendingError"])
