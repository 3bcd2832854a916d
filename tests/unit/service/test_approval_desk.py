"""The desk lets through what officers approved, once; requests wait, are void, rejected, or run out."""

import asyncio

import pytest

from custody_service import CARL, DAY_S, KEY, ROOT, give_officers, pending, request_of, sign, signatures
from fakes_custody import person
from strongroom.core import ApprovalRequiredError, NoMemberError
from strongroom.custody import (
    ApprovalRefusedError,
    MalformedDocumentError,
    Refusal,
    StateRefusedError,
    verify_evidence,
)
from strongroom.keyring import KeyNotFoundError
from strongroom.service import (
    JOBS,
    ApprovalLimitError,
    ApprovalNotFoundError,
    ApprovalOverError,
    ApprovalPendingError,
    Asker,
    CustodyKeeping,
    CustodyNotKeptError,
    NoRuleError,
    NotExecutedError,
)
from strongroom.service._approval_reading import evidence_of, find, opened
from strongroom.storage import ApprovalState, Store
from strongroom.testing import FakeClock


@pytest.fixture
async def custody(bench):
    return await give_officers(bench)


@pytest.fixture
def desk(custody):
    return custody.desk


async def standing(desk, custody, *names, **terms):
    now = desk.now()
    terms = {
        "verb": "CreateHsmKey", "fixed": {"usage": "ENCRYPT_DECRYPT", "may_leave": True}, "free": ["spec"],
        "uses": 3, "rate_uses": 2, "rate_s": 600, "begins": now, "ends": now + 30 * DAY_S,
    } | terms  # fmt: skip
    approval = await desk.ask("AllowStanding", terms, CARL)
    assert (await sign(custody, approval, *(names or ("dora", "emil"))))[-1] == "decided"
    return approval


def events(bench, *names):
    return [entry for entry in bench.entries() if entry.event in names]


async def test_without_officers_nobody_has_to_approve_anything(bench):
    keeping = CustodyKeeping.opened(bench.store, None, bench.audit, clock=bench.clock)
    assert await keeping.desk.require("CreateHsmKey", KEY, CARL) is None
    with pytest.raises(CustodyNotKeptError):
        await keeping.desk.ask("CreateHsmKey", KEY, CARL)


async def test_an_act_waits_for_its_quorum_and_is_let_through_once(bench, desk, custody):
    approval = await pending(desk)
    assert await pending(desk) == approval, "the same request is found"
    assert await sign(custody, approval, "dora") == ["counted"]
    assert await pending(desk) == approval
    assert await sign(custody, approval, "emil") == ["decided"]
    ticket = await desk.require("CreateHsmKey", KEY, CARL)
    assert ticket.approval == approval
    assert await pending(desk) != approval, "it is spent"
    with pytest.raises(ApprovalOverError, match="executed already"):
        await sign(custody, approval, "finn")
    (entry,) = events(bench, "approval.executed")
    assert entry.detail["approved_by"] == "dora, emil"
    assert [e.detail["officer"] for e in events(bench, "approval.approved")] == ["dora", "emil"]
    assert len(events(bench, "approval.requested")) == 2


async def test_evidence_of_what_was_done_proves_itself_and_its_hash_is_in_the_log(bench, desk, custody):
    approval = await pending(desk)
    one = opened(bench.store, find(bench.store, approval[:9]))
    with pytest.raises(NotExecutedError):
        evidence_of(bench.store, desk.book.require_chain(), one, use=0)
    await sign(custody, approval, "dora", "emil")
    await desk.require("CreateHsmKey", KEY, CARL)
    one = opened(bench.store, find(bench.store, approval))
    evidence = evidence_of(bench.store, desk.book.require_chain(), one, use=0)
    proved = verify_evidence(evidence)
    assert [one.officer for one in proved.approvers] == ["dora", "emil"]
    assert dict(proved.request.parameters) == KEY
    import hashlib

    (entry,) = events(bench, "approval.executed")
    assert entry.detail["evidence"] == hashlib.sha256(evidence).hexdigest()


@pytest.mark.parametrize(
    ("verb", "parameters", "asker"),
    [
        ("CreateHsmKey", {**KEY, "may_leave": False}, CARL),
        ("CreateHsmKey", KEY, Asker("user/other")),
        ("DestroyHsmKey", {"key_id": "k", "hsm_keys": ["00" * 16]}, CARL),
    ],
)
async def test_an_approval_is_for_one_act_of_one_requester(desk, custody, verb, parameters, asker):
    approval = await pending(desk)
    await sign(custody, approval, "dora", "emil")
    assert await pending(desk, verb, parameters, asker) != approval
    assert (await desk.require("CreateHsmKey", KEY, CARL)).approval == approval


@pytest.mark.parametrize(
    ("names", "asker", "reason"),
    [
        (("anna",), CARL, Refusal.WRONG_ROLE),
        (("dora", "dora"), CARL, Refusal.TWICE),
        (("gus",), CARL, Refusal.WRONG_ROLE),
        (("dora",), Asker("user/dora"), Refusal.OWN_REQUEST),
        (("nobody",), CARL, Refusal.UNKNOWN_KEY),
    ],
)
async def test_signatures_that_do_not_count_are_refused_and_not_kept(desk, custody, names, asker, reason):
    approval = await pending(desk, asker=asker)
    with pytest.raises(ApprovalRefusedError) as refused:
        await sign(custody, approval, *names)
    assert refused.value.reason is reason
    assert len(custody.reader.list_approval_signatures(approval)) == len(names) - 1


async def test_a_rejection_brought_as_an_approval_is_none_and_a_real_one_is_final(bench, desk, custody):
    approval = await pending(desk)
    (signature,) = signatures(bench.store, approval, "dora", kind="rejection")
    with pytest.raises(ApprovalRefusedError):
        await custody.signatures.approve(approval, signature, ROOT)
    assert await sign(custody, approval, "dora", kind="rejection") == ["rejected"]
    with pytest.raises(ApprovalOverError, match="rejected"):
        await sign(custody, approval, "emil")
    assert bench.store.get_approval(approval).ended_by == "dora"
    assert await pending(desk) != approval, "a person may ask again"


async def test_what_was_rejected_the_service_itself_asks_for_again_when_it_has_expired(bench, desk, custody):
    approval = await pending(desk, asker=JOBS)
    assert desk.must_wait("CreateHsmKey", KEY, JOBS)
    await sign(custody, approval, "dora", kind="rejection")
    with pytest.raises(NoRuleError, match="dora rejected"):
        await desk.require("CreateHsmKey", KEY, JOBS)
    assert desk.must_wait("CreateHsmKey", KEY, JOBS)
    bench.clock.advance(3_601)
    assert not desk.must_wait("CreateHsmKey", KEY, JOBS)
    assert await pending(desk, asker=JOBS) != approval


async def test_a_request_expires_though_it_has_its_signatures(bench, desk, custody):
    approval = await pending(desk)
    await sign(custody, approval, "dora", "emil")
    bench.clock.advance(3_600)
    assert await pending(desk) != approval
    with pytest.raises(ApprovalOverError, match="expired"):
        await sign(custody, approval, "finn")


async def test_a_verb_without_a_rule_is_refused_for_good(desk):
    with pytest.raises(NoRuleError) as refused:
        await desk.require("SignRootCertificate", {}, CARL)
    assert isinstance(refused.value, ApprovalRequiredError)


@pytest.mark.parametrize(
    "parameters", [{"a": 1.5}, {"a": 2**53}, {"a": [[[[[[[[[[1]]]]]]]]]]}, {"a": "x" * 70_000}]
)
async def test_parameters_that_nobody_can_sign_are_refused(desk, parameters):
    with pytest.raises(MalformedDocumentError):
        await desk.require("ScheduleKeyDeletion", parameters, CARL)


async def test_a_change_of_officers_comes_into_force_by_the_last_signature_and_voids_what_waits(
    bench, desk, custody
):
    waits = await pending(desk)
    await sign(custody, waits, "dora", "emil")
    approval = await desk.ask("AddOfficer", {"person": _plain(person("ida", ("crypto-officer",)))}, CARL)
    assert await sign(custody, approval, "anna", "ben") == ["counted", "changed"]
    assert "ida" in desk.book.require_chain().state.officers
    assert bench.store.get_approval(waits).state is ApprovalState.VOID
    assert await pending(desk) != waits
    (entry,) = events(bench, "custody.changed")
    assert (entry.detail["verb"], entry.detail["record"]) == ("AddOfficer", "1")
    evidence = evidence_of(
        bench.store, desk.book.require_chain(), opened(bench.store, find(bench.store, approval)), use=0
    )
    assert verify_evidence(evidence).request.verb == "AddOfficer"


def _plain(struct):
    import msgspec

    return msgspec.to_builtins(struct)


async def test_a_change_that_may_not_be_after_all_is_refused_at_its_last_signature(bench, desk, custody):
    first = await desk.ask("RevokeOfficer", {"officer": "cleo", "reason": "left"}, CARL)
    assert (await sign(custody, first, "anna", "ben"))[-1] == "changed"
    second = await desk.ask("RevokeOfficer", {"officer": "ben", "reason": "left"}, CARL)
    with pytest.raises(StateRefusedError, match="needs 2 people"):
        await sign(custody, second, "anna", "ben")
    assert len(bench.store.get_custody_documents()) == 2


async def test_officers_who_race_for_the_deciding_signature_decide_once(bench, desk, custody):
    approval = await desk.ask("RevokeOfficer", {"officer": "hana", "reason": "left"}, CARL)
    others = [
        CustodyKeeping.opened(
            Store.open(bench.path), desk.book._genesis_sha256, bench.audit, clock=bench.clock
        )
        for _ in range(2)
    ]
    bench.stores += [other.reader for other in others]
    await sign(custody, approval, "anna")
    outcomes = await asyncio.gather(
        *(sign(other, approval, name) for other, name in zip(others, ("ben", "cleo"), strict=True)),
        return_exceptions=True,
    )
    assert min(map(str, outcomes)) == "['changed']"
    (late,) = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert isinstance(late, ApprovalOverError)
    assert len(bench.store.get_custody_documents()) == 2


async def test_two_processes_that_hold_one_approval_do_the_act_once(bench, desk, custody):
    approval = await pending(desk)
    await sign(custody, approval, "dora", "emil")
    other = CustodyKeeping.opened(
        Store.open(bench.path), desk.book._genesis_sha256, bench.audit, clock=bench.clock
    )
    bench.stores.append(other.reader)
    outcomes = await asyncio.gather(
        *(one.require("CreateHsmKey", KEY, CARL) for one in (desk, other.desk, desk, other.desk)),
        return_exceptions=True,
    )
    tickets = [outcome for outcome in outcomes if not isinstance(outcome, Exception)]
    assert [ticket.approval for ticket in tickets] == [approval]
    assert all(isinstance(o, ApprovalPendingError) for o in outcomes if isinstance(o, Exception))


async def test_an_act_that_failed_without_effect_gives_its_approval_back_and_another_does_not(
    bench, desk, custody
):
    approval = await pending(desk)
    await sign(custody, approval, "dora", "emil")

    async def fail(error):
        raise error

    for error in (KeyNotFoundError("k"), ApprovalPendingError("Other", "0" * 64, "one")):
        with pytest.raises(type(error)):
            await desk.run("CreateHsmKey", KEY, CARL, lambda _id, error=error: fail(error))
        assert bench.store.get_approval(approval).state is ApprovalState.OPEN
    assert [e.detail["because"] for e in events(bench, "approval.released")] == [
        "KeyNotFoundError",
        "ApprovalPendingError",
    ]
    with pytest.raises(NoMemberError):
        await desk.run("CreateHsmKey", KEY, CARL, lambda _id: fail(NoMemberError("gone")))
    assert bench.store.get_approval(approval).state is ApprovalState.EXECUTED


async def test_a_standing_approval_lets_through_within_its_terms(bench, desk, custody):
    approval = await standing(desk, custody)
    tickets = [await desk.require("CreateHsmKey", {**KEY, "spec": spec}, JOBS) for spec in ("A", "B")]
    assert [(ticket.approval, ticket.use) for ticket in tickets] == [(approval, 1), (approval, 2)]
    assert not desk.must_wait("CreateHsmKey", KEY, JOBS)
    await pending(desk, asker=JOBS)  # too often
    bench.clock.advance(601)
    assert (await desk.require("CreateHsmKey", KEY, JOBS)).use == 3
    bench.clock.advance(601)
    await pending(desk, asker=JOBS)  # used up
    assert desk.must_wait("CreateHsmKey", KEY, JOBS), "else it would be tried, and told of, every minute"
    one, chain = opened(bench.store, find(bench.store, approval)), desk.book.require_chain()
    proved = [verify_evidence(evidence_of(bench.store, chain, one, use=use)) for use in (1, 2, 3)]
    assert [dict(each.parameters)["spec"] for each in proved] == ["A", "B", "AES_256"]
    with pytest.raises(NotExecutedError):
        evidence_of(bench.store, chain, one, use=4)


async def test_a_standing_approval_ends_when_it_is_taken_back_or_its_officers_go(bench, desk, custody):
    first = await standing(desk, custody)
    assert await sign(custody, first, "finn", kind="rejection") == ["rejected"]
    await pending(desk, asker=JOBS)
    second = await standing(desk, custody, uses=5)
    assert (await desk.require("CreateHsmKey", KEY, JOBS)).approval == second
    gone = await desk.ask("RevokeOfficer", {"officer": "dora", "reason": "left"}, CARL)
    await sign(custody, gone, "anna", "ben")
    await pending(desk, asker=JOBS)
    one = opened(bench.store, find(bench.store, second))
    evidence = evidence_of(bench.store, desk.book.require_chain(), one, use=1)
    assert verify_evidence(evidence).state.sequence == 0, "it is proved under the rules of its use"


async def test_requests_are_found_by_the_beginning_of_their_ids(desk, bench):
    approval = await pending(desk)
    assert find(bench.store, approval[:8]).id == approval
    for wrong in ("0" * 64, approval[:7], "ffffffff"):
        with pytest.raises(ApprovalNotFoundError):
            find(bench.store, wrong)


async def test_requests_that_wait_are_bounded(desk, monkeypatch):
    monkeypatch.setattr("strongroom.service._approval_writes.MAX_OPEN_OF_ONE", 2)
    for number in range(2):
        await pending(desk, parameters={**KEY, "spec": str(number)})
    with pytest.raises(ApprovalLimitError, match=r"of user/carl"):
        await desk.require("CreateHsmKey", {**KEY, "spec": "3"}, CARL)


async def test_a_request_names_the_state_the_clock_and_who_asked(bench, desk):
    approval = await pending(desk)
    request = request_of(bench.store, approval)
    assert isinstance(bench.clock, FakeClock)
    assert (request.requester, request.created) == ("user/carl", int(bench.clock.now()))
    assert request.expires == request.created + 3_600
