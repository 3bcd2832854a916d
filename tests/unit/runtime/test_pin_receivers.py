"""Who gets a security officer's new PIN is decided by the officers of this moment."""

import contextlib
from types import SimpleNamespace

import msgspec
import pytest

from fakes_custody import (
    NOW,
    PEOPLE,
    RULES,
    SO,
    approve,
    ask,
    change,
    genesis_body,
    key_of,
    person,
    signed_genesis,
)
from fresh_database import fresh_database
from strongroom.audit import AuditLog
from strongroom.config import MemberConfig
from strongroom.custody import Chain, QuorumRule, document_hash, write_document
from strongroom.runtime._custody_keeping import CustodyKeeping
from strongroom.runtime._pin_keeping import PinKeeping
from strongroom.storage import (
    ApprovalRecord,
    ApprovalSignatureRecord,
    ApprovalState,
    CustodyDocumentRecord,
    Store,
)
from strongroom.testing import FakeClock, RecordingEvents
from strongroom.wiring.pin_door import PinRequest

PARAMETERS = {"member": "alpha", "role": "so"}
BODY = msgspec.structs.replace(
    genesis_body(rules={**RULES, "RotatePin": QuorumRule(2, SO, 3_600, False)}),
    people=tuple(
        person(name, roles, recipient=key_of(name).public.line if SO in roles else "")
        for name, roles in PEOPLE.items()
    ),
)


class Delivering:
    """``OfficerPins`` that only notes to whom it would deliver."""

    def __init__(self):
        self.recipients = []

    def change_of(self, _member):
        return None

    async def change(self, _member, _present, recipients, **_more):
        self.recipients = list(recipients)
        return SimpleNamespace(change_id="ab" * 8, delivery="a file")


@pytest.fixture
def clock():
    return FakeClock(now=NOW + 60)


@pytest.fixture
def store(tmp_path):
    fresh_database(tmp_path / "strongroom.db")
    with Store.open(tmp_path / "strongroom.db") as opened:
        yield opened


async def test_an_officer_who_was_revoked_a_moment_ago_gets_no_pin(store, clock, tmp_path):
    genesis = signed_genesis(BODY)
    chain = Chain.from_documents(genesis)
    custody = CustodyKeeping(store, chain, begun=tmp_path / "begun", events=RecordingEvents(), clock=clock)
    revoked = change(chain, "RevokeOfficer", {"officer": "anna", "reason": "left"}, "ben", "cleo")
    request = ask(chain.extended(revoked).state, "RotatePin", PARAMETERS, number=9, now=NOW + 50)
    data = write_document(request)
    record = ApprovalRecord(
        document_hash(data), "RotatePin", request.requester, data, "ac" * 32, NOW + 50, request.expires, ApprovalState.OPEN
    )  # fmt: skip

    def insert(tx):
        for number, document in enumerate((genesis, revoked)):
            tx.append_custody_document(CustodyDocumentRecord(number, document))
        tx.insert_approval(record)
        for name, signature in zip(("ben", "cleo"), approve(request, "ben", "cleo"), strict=True):
            tx.insert_approval_signature(ApprovalSignatureRecord(record.id, name, signature, 1.0))

    await store.write(insert)
    officers = Delivering()
    member = msgspec.convert(
        {"name": "alpha", "profile": "softhsm2", "pin": {"file": "pins/alpha"}}, MemberConfig
    )
    with contextlib.closing(AuditLog.open(tmp_path / "audit", "main", clock=clock)) as audit:
        pins = PinKeeping(
            {"alpha": member}, None, renew=None, serves=lambda _name: True, officers=officers,
            custody=custody, audit=audit, api_pids=list, events=RecordingEvents(),
        )  # fmt: skip
        await pins.answer(PinRequest("so", "alpha", record.id, b"a present PIN"), 1)
    assert officers.recipients == [key_of(name).public.line for name in ("ben", "cleo")]
