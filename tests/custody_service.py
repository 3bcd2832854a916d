"""A service with officers for tests: the genesis is in its database, and officers sign what they are asked to."""

import pytest

from fakes_custody import CO, RULES, SO, approve, genesis_body, signed_genesis
from strongroom.custody import ApprovalRequest, QuorumRule, armour, document_hash, read_document
from strongroom.service import ApprovalPendingError, Asker, CustodyKeeping
from strongroom.storage import CustodyDocumentRecord

DAY_S = 86_400
OFFICERS_RULES = {
    **RULES,
    "CreateHsmKey": QuorumRule(m=2, role=CO, expires_s=3_600, standing=True),
    "DestroyHsmKey": QuorumRule(m=2, role=CO, expires_s=7 * DAY_S, standing=True),
    "ReplaceHsmKey": QuorumRule(m=2, role=CO, expires_s=3_600, standing=False),
    "RetireKeyVersion": QuorumRule(m=1, role=CO, expires_s=3_600, standing=False),
    "ScheduleKeyDeletion": QuorumRule(m=2, role=CO, expires_s=3_600, standing=False),
    "RotateRoot": QuorumRule(m=2, role=SO, expires_s=3_600, standing=False),
}
ROOT = Asker("user/root")
CARL = Asker("user/carl")
KEY = {"spec": "AES_256", "usage": "ENCRYPT_DECRYPT", "may_leave": True}


async def found_custody(store, clock, **changes):
    """Put a genesis into a database, and return its hash."""
    genesis = signed_genesis(
        genesis_body(**({"rules": OFFICERS_RULES, "created": int(clock.now())} | changes))
    )
    await store.write(lambda tx: tx.append_custody_document(CustodyDocumentRecord(0, genesis)))
    return document_hash(genesis)


async def give_officers(bench, **changes):
    """Give the service of a ``ServiceBench`` officers, and return what it keeps of custody."""
    genesis_sha256 = await found_custody(bench.store, bench.clock, **changes)
    bench.service.custody = CustodyKeeping.opened(bench.store, genesis_sha256, bench.audit, clock=bench.clock)
    return bench.service.custody


def request_of(store, approval):
    return read_document(store.get_approval(approval).document, ApprovalRequest)


def signatures(store, approval, *names, kind="approval"):
    return approve(request_of(store, approval), *names, kind=kind)


def armoured(store, approval, name, kind="approval"):
    (signature,) = signatures(store, approval, name, kind=kind)
    return armour(signature).decode()


async def sign(custody, approval, *names, kind="approval"):
    """Have officers sign a request; returns what each signature did."""
    take = custody.signatures.approve if kind == "approval" else custody.signatures.reject
    return [
        (await take(approval, signature, ROOT)).did
        for signature in signatures(custody.reader, approval, *names, kind=kind)
    ]


async def pending(desk, verb="CreateHsmKey", parameters=KEY, asker=CARL):
    """Require an act that is not approved; returns the request that waits."""
    with pytest.raises(ApprovalPendingError) as waits:
        await desk.require(verb, parameters, asker)
    assert waits.value.approval[:12] in str(waits.value)
    return waits.value.approval
