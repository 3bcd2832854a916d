"""Custody in the database: each document, signature, claim and use is there once, whoever races for it."""

import asyncio
import hashlib

import pytest

from racing import race
from strongroom.core import StorageError
from strongroom.storage import (
    ApprovalRecord,
    ApprovalSignatureRecord,
    ApprovalState,
    CustodyDocumentRecord,
    DuplicateError,
    SignatureKind,
    StandingUseRecord,
    Store,
)

ACT = "ac" * 32


def request(number=1, **changes):
    document = f"request {number}".encode()
    approval_id = hashlib.sha256(document).hexdigest()
    record = ApprovalRecord(approval_id, "RotateRoot", "user/anna", document, ACT, float(number), 1000.0)
    return record._replace(**changes)


def signature(record, officer="anna", **changes):
    return ApprovalSignatureRecord(record.id, officer, b"signature", 5.5)._replace(**changes)


async def insert(store, *records):
    def work(tx):
        for record in records:
            tx.insert_approval(record)

    await store.write(work)


async def test_documents_come_back_in_order_and_leave_no_gap(store):
    assert store.get_custody_documents() == []
    assert store.get_last_custody_sequence() is None
    for number in range(3):
        record = CustodyDocumentRecord(number, f"document {number}".encode())
        await store.write(lambda tx, record=record: tx.append_custody_document(record))
    assert [record.sequence for record in store.get_custody_documents()] == [0, 1, 2]
    assert store.get_custody_documents()[1].document == b"document 1"
    assert store.get_last_custody_sequence() == 2
    with pytest.raises(StorageError, match="gap"):
        await store.write(lambda tx: tx.append_custody_document(CustodyDocumentRecord(4, b"d")))


async def test_a_place_of_the_chain_is_taken_once(store):
    await store.write(lambda tx: tx.append_custody_document(CustodyDocumentRecord(0, b"genesis")))
    with pytest.raises(DuplicateError):
        await store.write(lambda tx: tx.append_custody_document(CustodyDocumentRecord(0, b"other")))
    assert store.get_custody_documents() == [CustodyDocumentRecord(0, b"genesis")]


async def test_requests_come_back_by_id_by_its_beginning_and_newest_first(store):
    records = [request(number) for number in range(1, 6)]
    await insert(store, *records)
    assert store.get_approval(records[0].id) == records[0]
    assert store.get_approval("0" * 64) is None
    assert store.find_approvals(records[2].id[:12], limit=2) == [records[2]]
    assert len(store.find_approvals("", limit=9)) == 5
    first = store.list_approvals(limit=2)
    rest = store.list_approvals(after=first[-1], limit=9)
    assert first + rest == records[::-1]
    assert store.list_approvals(state=ApprovalState.VOID, limit=9) == []
    with pytest.raises(DuplicateError):
        await insert(store, records[0])


async def test_requests_of_one_moment_are_all_listed_page_by_page(store):
    records = [request(number, created_at=7.0) for number in range(7)]
    await insert(store, *records)
    found, after = [], None
    while page := store.list_approvals(state=ApprovalState.OPEN, after=after, limit=2):
        found, after = found + page, page[-1]
    assert sorted(found) == sorted(records)


async def test_open_requests_for_an_act_are_found_and_counted_until_they_expire_or_end(store):
    mine, other = request(1), request(2, act="bd" * 32, requester="user/ben")
    await insert(store, mine, other)
    assert store.list_approvals_asking_for(ACT, now=999.0) == [mine]
    assert store.list_approvals_asking_for(ACT, now=1000.0) == []
    assert store.count_open_approvals(now=999.0) == 2
    assert store.count_open_approvals(now=999.0, requester="user/ben") == 1
    assert store.count_open_approvals(now=1000.0) == 0
    assert await store.write(lambda tx: tx.end_approval(mine.id, ApprovalState.REJECTED, by="ben"))
    assert store.list_approvals_asking_for(ACT, now=999.0) == []


async def test_an_officer_signs_a_request_once_for_each_purpose(store):
    record = request()
    await insert(store, record)
    first, second = signature(record), signature(record, "ben", at=5.0)
    rejection = signature(record, kind=SignatureKind.REJECTION, at=6.0)
    for one in (first, second, rejection):
        await store.write(lambda tx, one=one: tx.insert_approval_signature(one))
    assert store.list_approval_signatures(record.id) == [second, first, rejection]
    with pytest.raises(DuplicateError):
        await store.write(lambda tx: tx.insert_approval_signature(signature(record, signature=b"other")))
    with pytest.raises(StorageError, match="rule of the schema"):
        await store.write(lambda tx: tx.insert_approval_signature(signature(request(9))))


async def test_a_claim_is_had_once_and_can_be_given_back(store):
    record = request()
    await insert(store, record)

    async def claim(at=10.0):
        return await store.write(lambda tx: tx.claim_approval(record.id, executed_at=at, by="user/anna"))

    assert [await claim(), await claim()] == [True, False]
    claimed = store.get_approval(record.id)
    assert (claimed.state, claimed.executed_at, claimed.ended_by) == (
        ApprovalState.EXECUTED,
        10.0,
        "user/anna",
    )
    assert not await store.write(lambda tx: tx.end_approval(record.id, ApprovalState.REJECTED, by="ben"))
    assert await store.write(lambda tx: tx.release_approval(record.id))
    assert store.get_approval(record.id) == record
    assert not await store.write(lambda tx: tx.release_approval(record.id))
    assert not await claim(at=1000.0), "it has expired"
    assert await claim(at=11.0)


@pytest.mark.parametrize("state", [ApprovalState.REJECTED, ApprovalState.VOID])
@pytest.mark.parametrize("was", [ApprovalState.OPEN, ApprovalState.STANDING])
async def test_what_has_ended_is_never_claimed_nor_opened_again(store, state, was):
    record = request(state=was)
    await insert(store, record)
    assert await store.write(lambda tx: tx.end_approval(record.id, state, by="ben"))
    assert not await store.write(lambda tx: tx.claim_approval(record.id, executed_at=2.0, by="x"))
    assert not await store.write(lambda tx: tx.release_approval(record.id))
    assert not await store.write(lambda tx: tx.end_approval(record.id, ApprovalState.STANDING, by=""))
    assert store.get_approval(record.id).state is state


async def test_uses_of_a_standing_approval_have_each_number_once(store):
    record = request(state=ApprovalState.STANDING)
    await insert(store, record)
    uses = [StandingUseRecord(record.id, number, 2.5, b"{}", 0) for number in (1, 2, 3)]
    for use in uses:
        await store.write(lambda tx, use=use: tx.insert_standing_use(use))
    assert store.list_standing_uses(record.id, limit=2) == [uses[2], uses[1]]
    assert store.get_standing_use(record.id, 2) == uses[1]
    assert store.get_standing_use(record.id, 4) is None
    with pytest.raises(DuplicateError):
        await store.write(lambda tx: tx.insert_standing_use(uses[0]))


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "short"},
        {"act": ""},
        {"document": b""},
        {"document": b"d" * 65537},
        {"requester": ""},
        {"executed_at": 1.0},
        {"state": ApprovalState.EXECUTED},
    ],
)
async def test_a_request_that_breaks_a_rule_is_refused(store, changes):
    with pytest.raises(StorageError, match="rule of the schema"):
        await insert(store, request(**changes))


CLAIM = """
import asyncio, sys
from pathlib import Path
from strongroom.storage import DuplicateError, CustodyDocumentRecord, Store

async def main():
    with Store.open(Path(sys.argv[1])) as store:
        print("ready", flush=True)
        sys.stdin.readline()
        for name in sys.argv[2:]:
            won = await store.write(lambda tx: tx.claim_approval(name, executed_at=2.0, by="user/anna"))
            print(name if won else "-", flush=True)

asyncio.run(main())
"""


async def test_of_two_processes_that_claim_each_request_one_wins(store, path):
    records = [request(number) for number in range(20)]
    await insert(store, *records)
    names = [record.id for record in records]
    answers = await race(CLAIM, *([str(path), *names] for _ in range(2)))
    won = [line for out in answers for line in out.split() if line != "-"]
    assert sorted(won) == sorted(names)


def test_a_chain_is_there_after_the_store_was_opened_anew(path):
    with Store.open(path) as store:
        asyncio.run(store.write(lambda tx: tx.append_custody_document(CustodyDocumentRecord(0, b"genesis"))))
    with Store.open(path) as store:
        assert store.get_custody_documents() == [CustodyDocumentRecord(0, b"genesis")]
