"""What members are told of officers without being asked."""

import hashlib

import pytest

from fresh_database import fresh_database
from strongroom.hsm.wire import RejectAct
from strongroom.runtime._custody_telling import CustodyTelling, WorkerDoor
from strongroom.storage import (
    ApprovalRecord,
    ApprovalSignatureRecord,
    ApprovalState,
    SignatureKind,
    Store,
)
from strongroom.testing import RecordingEvents

DOOR = WorkerDoor("alpha", "a path", 1)


class Shown:
    """``Shows`` that notes what a worker was shown."""

    def __init__(self):
        self.rejections = []

    def head(self):
        return "ab" * 32

    async def introduce(self, _door, rejections=()):
        self.rejections += rejections


@pytest.fixture
def store(tmp_path):
    fresh_database(tmp_path / "strongroom.db")
    with Store.open(tmp_path / "strongroom.db") as opened:
        yield opened


async def _rejected(store, number, *, at):
    document = b"request %d" % number
    record = ApprovalRecord(
        hashlib.sha256(document).hexdigest(), "AllowStanding", "user/anna", document, "ac" * 32, float(number), 1e9, ApprovalState.REJECTED
    )  # fmt: skip
    row = ApprovalSignatureRecord(record.id, "anna", b"signature", at, SignatureKind.REJECTION)

    def insert(tx):
        tx.insert_approval(record)
        tx.insert_approval_signature(row)

    await store.write(insert)
    return RejectAct(document, row.signature)


async def test_members_are_told_what_was_rejected_last_however_long_ago_it_was_asked_for(store):
    shown = Shown()
    telling = CustodyTelling(store, shown, events=RecordingEvents())
    for number in range(2, 42):
        await _rejected(store, number, at=float(number))
    await telling.look([DOOR])
    shown.rejections.clear()
    taken_back = await _rejected(store, 1, at=100.0)
    await telling.look([DOOR])
    assert shown.rejections == [taken_back]
    await telling.look([DOOR])
    assert shown.rejections == [taken_back], "told once"
