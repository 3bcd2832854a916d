"""What a gate takes late, again and again, or for a while: and where each of that ends."""

import msgspec
import pytest

from fakes_act_gate import ACT_RULES, CREATE, ROOT, Member, MemoryActs, destroy, destroying, generate
from fakes_custody import NOW, approve, ask, begun, change
from strongroom.custody import (
    LATE_S,
    MAX_ADMITTED,
    ApprovalRefusedError,
    CustodyError,
    Refusal,
    canonical_json,
    write_document,
)
from strongroom.hsm.wire import OfferTransport


@pytest.fixture
def member():
    return Member()


class TestLate:
    """A member that was away when a key was destroyed."""

    def approved_then(self, member, verb="DestroyHsmKey", parameters=None, *names):
        return member.ask(verb, parameters or destroying(1)), names or ("dora", "emil")

    def test_it_destroys_it_when_it_returns_under_the_rules_of_then(self, member):
        request, names = self.approved_then(member)
        begun_at = int(member.clock.now()) + 10
        member.gate.follow(
            [change(member.chain, "RevokeOfficer", {"officer": "emil", "reason": "left"}, now=NOW + 40)]
        )
        member.clock.advance(100 * 86_400)
        with pytest.raises(ApprovalRefusedError, match="have changed"):
            member.admit(request, *names)
        member.admit(request, *names, executed=begun_at)
        member.run(destroy(1))
        member.refused(destroy(1), "executed or rejected already")

    def test_it_was_not_begun_when_officers_or_rules_had_changed_already(self, member):
        request, names = self.approved_then(member)
        gone = {"officer": "emil", "reason": "left"}
        member.gate.follow([change(member.chain, "RevokeOfficer", gone, now=NOW + 40)])
        member.clock.advance(86_400)
        with pytest.raises(ApprovalRefusedError, match="have changed"):
            member.admit(request, *names, executed=NOW + 41)
        member.admit(request, *names, executed=NOW + 40)

    @pytest.mark.parametrize(
        ("executed", "later_s", "reason"),
        [
            (NOW + 30 + 3_600, 86_400, Refusal.EXPIRED),
            (NOW + 60, 3_600 + LATE_S, Refusal.EXPIRED),
            (NOW + 30 + 3_599, 0, Refusal.NOT_YET),
            (NOW - 1_000, 86_400, Refusal.NOT_YET),
        ],
    )
    def test_it_must_have_been_begun_within_its_life_and_not_long_ago(
        self, member, executed, later_s, reason
    ):
        request, names = self.approved_then(member)
        member.clock.advance(later_s)
        with pytest.raises(ApprovalRefusedError) as caught:
            member.admit(request, *names, executed=executed)
        assert caught.value.reason is reason

    def test_only_destructions_may_come_late_and_only_in_states_that_were(self, member):
        request = member.ask("CreateHsmKey", CREATE)
        with pytest.raises(ApprovalRefusedError, match="afterwards"):
            member.admit(request, "dora", "emil", executed=NOW + 60)
        elsewhere = ask(begun(cluster="0d" * 16, rules=ACT_RULES).state, "DestroyHsmKey", destroying(1))
        with pytest.raises(ApprovalRefusedError, match="another cluster"):
            member.admit(elsewhere, "dora", "emil", executed=NOW + 20)
        foreign = msgspec.structs.replace(member.ask("DestroyHsmKey", destroying(1)), state="ab" * 32)
        with pytest.raises(ApprovalRefusedError, match="never came to the state"):
            member.admit(foreign, "dora", "emil", executed=NOW + 40)


STANDING = {
    "verb": "CreateHsmKey", "fixed": CREATE, "free": [], "uses": 3, "rate_uses": 2, "rate_s": 100, "begins": NOW, "ends": NOW + 50_000,
}  # fmt: skip


def test_under_a_standing_approval_acts_of_its_kind_run_as_often_as_it_allows(member):
    request = member.ask("AllowStanding", STANDING)
    data, signatures = write_document(request), approve(request, "dora", "emil")
    with pytest.raises(ApprovalRefusedError, match="does not cover"):
        member.gate.admit(data, signatures, parameters=canonical_json({**CREATE, "may_leave": False}))
    with pytest.raises(CustodyError):
        member.gate.admit(data, signatures)
    member.gate.admit(data, signatures, parameters=canonical_json(CREATE))
    member.run(generate(1))
    member.run(generate(2))
    member.refused(generate(3), "so soon")
    member.clock.advance(101)
    member.run(generate(3))
    member.clock.advance(101)
    member.refused(generate(4), "as often as it allows")
    member.refused(destroy(9), "another verb")


def test_a_standing_approval_ends_with_its_officers(member):
    request = member.ask("AllowStanding", STANDING)
    parts = (write_document(request), approve(request, "dora", "emil"))
    member.gate.follow([change(member.chain, "RevokeOfficer", {"officer": "emil", "reason": "left"})])
    with pytest.raises(ApprovalRefusedError, match="was revoked"):
        member.gate.admit(*parts, parameters=canonical_json(CREATE))


def test_what_was_rejected_is_done_no_more_also_after_a_restart(member):
    request = member.ask("AllowStanding", STANDING)
    data, signatures = write_document(request), approve(request, "dora", "emil")
    member.gate.admit(data, signatures, parameters=canonical_json(CREATE))
    member.run(generate(1))
    with pytest.raises(ApprovalRefusedError, match="is no crypto-officer"):
        member.gate.reject(data, approve(request, "anna", kind="rejection")[0])
    with pytest.raises(ApprovalRefusedError, match="does not verify"):
        member.gate.reject(data, signatures[0])
    member.gate.reject(data, approve(request, "finn", kind="rejection")[0])
    member.refused(generate(2), "no approval covers it")
    for one in (member, Member(used=member.used)):
        with pytest.raises(ApprovalRefusedError, match="executed or rejected already"):
            one.gate.admit(data, signatures, parameters=canonical_json(CREATE))
    request = member.approved("DestroyHsmKey", destroying(1, 5))
    member.gate.reject(write_document(request), approve(request, "finn", kind="rejection")[0])
    member.refused(destroy(5), "no approval covers it")


@pytest.mark.parametrize(
    ("verb", "parameters", "call", "names"),
    [
        ("DestroyHsmKey", destroying(1), destroy(1), ("dora", "emil", "finn")),
        (
            "AddMember",
            {"member": "gamma", "token_serial": "1234"},
            OfferTransport(ROOT),
            ("anna", "ben", "anna"),
        ),
    ],
)
def test_what_one_process_of_a_member_was_told_is_rejected_no_other_does(verb, parameters, call, names):
    first = Member(sessions=True)
    other = Member(sessions=True, used=first.used)
    request = other.ask(verb, parameters)
    other.admit(request, *names[:2])
    first.gate.reject(write_document(request), approve(request, names[2], kind="rejection")[0])
    other.refused(call, "executed or rejected already")


def test_a_rejection_is_remembered_as_long_as_a_member_takes_the_act_late(member):
    request = member.ask("DestroyHsmKey", destroying(1))
    member.gate.reject(write_document(request), approve(request, "finn", kind="rejection")[0])
    assert member.used.until[request.nonce, ""] >= request.expires + LATE_S


def test_a_session_is_for_workers_that_serve_nobody_and_lasts_an_hour():
    parameters = {"member": "gamma", "token_serial": "1234"}
    serving = Member()
    serving.approved("AddMember", parameters, "anna", "ben")
    serving.refused(OfferTransport(ROOT), "this member serves")
    member = Member(sessions=True)
    request = member.approved("AddMember", parameters, "anna", "ben")
    for _ in range(3):
        member.run(OfferTransport(ROOT))
    member.refused(generate(), "another verb")
    again = Member(sessions=True, used=member.used)  # the worker of its security officer
    again.admit(request, "anna", "ben")
    again.run(OfferTransport(ROOT))
    again.clock.advance(3_600)
    again.refused(OfferTransport(ROOT), "no approval|expired|hour")


def test_a_request_of_before_the_record_of_spent_ones_begins_counts_no_longer():
    member = Member(used=MemoryActs(begins=NOW + 31))
    with pytest.raises(ApprovalRefusedError) as caught:
        member.approved("CreateHsmKey", CREATE)
    assert caught.value.reason is Refusal.FORGOTTEN


def test_when_many_acts_wait_the_oldest_makes_room(member):
    for number in range(MAX_ADMITTED + 1):
        member.approved("DestroyHsmKey", destroying(number))
    member.refused(destroy(0), "other parameters")
    member.run(destroy(MAX_ADMITTED))


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[1", b"\xff", b'{"type":"strongroom-request-v1"}', b"9" * 70_000]
)
def test_what_is_no_request_is_refused(member, data):
    with pytest.raises(CustodyError):
        member.gate.admit(data, [])


def test_a_request_for_what_covers_no_call_is_refused(member):
    with pytest.raises(ApprovalRefusedError, match="covers nothing"):
        member.approved("Backup", {})
    request = member.ask("CreateHsmKey", CREATE)
    with pytest.raises(CustodyError):
        member.admit(request, "dora", "emil", parameters=canonical_json(CREATE))
