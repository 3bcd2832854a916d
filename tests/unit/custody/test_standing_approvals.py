"""Standing approvals: what they cover, how often, until when, and what ends them."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes_custody import (
    CO,
    NOW,
    SO,
    UNHURRIED,
    MemoryNonces,
    MemoryUses,
    approve,
    ask,
    begun,
    changed,
    key_of,
)
from strongroom.custody import (
    STANDING_VERB,
    ApprovalRefusedError,
    OpenRequest,
    Phase,
    QuorumRule,
    Refusal,
    StandingTerms,
    UsesSoFar,
    execute,
    require_standing,
    use_standing,
)

DAY = 86_400
TERMS = {
    "verb": "GenerateDirect", "fixed": {"store": "cks-1"}, "free": ["label"], "uses": 3, "rate_uses": 2, "rate_s": 100, "begins": NOW,
    "ends": NOW + 30 * DAY,
}  # fmt: skip
CALL = {"store": "cks-1", "label": "any"}


class Standing:
    """A standing approval by two crypto officers, and its keeper."""

    def __init__(self, chain, terms=TERMS, names=("dora", "emil"), requester="user/root"):
        self.request = ask(chain.state, STANDING_VERB, terms, requester=requester)
        self.signatures = approve(self.request, *names)
        self.nonces = MemoryNonces()
        self.uses = MemoryUses(self.nonces)

    def use(self, chain, *, now=NOW + 10, verb="GenerateDirect", parameters=CALL):
        return use_standing(
            chain.state, self.request, self.signatures, verb=verb, parameters=parameters, now=now, uses=self.uses
        )  # fmt: skip

    def refusal(self, chain, **changes):
        with pytest.raises(ApprovalRefusedError) as caught:
            self.use(chain, **changes)
        return caught.value.reason


@pytest.fixture
def chain():
    return begun()


def test_it_is_used_as_often_and_as_fast_as_it_says(chain):
    standing = Standing(chain)
    assert [one.officer for one in standing.use(chain, now=NOW + 10).approvers] == ["dora", "emil"]
    standing.use(chain, now=NOW + 20)
    assert standing.refusal(chain, now=NOW + 109) is Refusal.TOO_OFTEN
    standing.use(chain, now=NOW + 110)
    assert standing.refusal(chain, now=NOW + 5 * DAY) is Refusal.USED_UP


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"verb": "DestroyRoot"}, Refusal.NOT_COVERED),
        ({"parameters": {"store": "cks-2", "label": "x"}}, Refusal.NOT_COVERED),
        ({"parameters": {"label": "x"}}, Refusal.NOT_COVERED),
        ({"parameters": {**CALL, "more": 1}}, Refusal.NOT_COVERED),
        ({"now": NOW - 1}, Refusal.NOT_YET),
        ({"now": NOW + 30 * DAY}, Refusal.EXPIRED),
    ],
)
def test_it_covers_nothing_else(chain, changes, reason):
    assert Standing(chain).refusal(chain, **changes) is reason


@pytest.mark.parametrize(
    ("verb", "parameters", "reason"),
    [
        ("RevokeOfficer", {"officer": "dora", "reason": "left"}, Refusal.REVOKED),
        ("ChangeOfficerRoles", {"officer": "dora", "roles": ["operator"]}, Refusal.WRONG_ROLE),
        (
            "SetQuorumRule",
            {"verb": "GenerateDirect", "rule": QuorumRule(3, CO, 3_600, True)},
            Refusal.TOO_FEW,
        ),
        (
            "SetQuorumRule",
            {"verb": "GenerateDirect", "rule": QuorumRule(2, SO, 3_600, True)},
            Refusal.WRONG_ROLE,
        ),
        (
            "SetQuorumRule",
            {"verb": "GenerateDirect", "rule": QuorumRule(2, CO, 3_600, False)},
            Refusal.NO_RULE,
        ),
        ("RemoveQuorumRule", {"verb": "GenerateDirect"}, Refusal.NO_RULE),
    ],
)
def test_a_change_that_touches_it_ends_it(chain, verb, parameters, reason):
    standing = Standing(chain)
    later = changed(chain, verb, msgspec.to_builtins(parameters))
    assert standing.refusal(later) is reason


def test_a_change_that_does_not_touch_it_leaves_it(chain):
    standing = Standing(chain)
    later = changed(chain, "RevokeOfficer", {"officer": "cleo", "reason": "left"})
    assert standing.use(later).request == standing.request


def test_it_belongs_to_one_chain(chain):
    standing = Standing(changed(chain, "RemoveQuorumRule", {"verb": "Backup"}))
    assert standing.refusal(chain) is Refusal.POLICY_CHANGED
    assert standing.refusal(begun(cluster="0d" * 16)) is Refusal.OTHER_CLUSTER


def test_it_needs_the_quorum_of_what_it_allows(chain):
    assert Standing(chain, names=("dora",)).refusal(chain) is Refusal.TOO_FEW
    assert Standing(chain, names=("dora", "dora")).refusal(chain) is Refusal.TWICE
    assert Standing(chain, names=("anna", "ben")).refusal(chain) is Refusal.WRONG_ROLE
    assert Standing(chain, requester="officer/dora").refusal(chain) is Refusal.OWN_REQUEST


def test_it_is_collected_like_any_request_and_taken_back_by_a_rejection(chain):
    standing = Standing(chain)
    opened = OpenRequest(standing.request)
    for signature in standing.signatures:
        opened = opened.approved(chain.state, signature, now=NOW)
    approvers, terms = require_standing(chain.state, opened.request, opened.approvals)
    assert len(approvers) == 2
    assert terms.uses == 3
    standing.use(chain)
    opened.rejected(
        chain.state, *approve(standing.request, "finn", kind="rejection"), now=NOW, used=standing.nonces
    )
    assert standing.refusal(chain) is Refusal.ALREADY_USED


def test_it_is_taken_back_as_long_as_it_can_be_used(chain):
    """Its request has expired by then, officers have changed, and the note of the rejection outlives the terms."""
    standing = Standing(chain)
    opened = OpenRequest(standing.request, tuple(standing.signatures))
    later = changed(chain, "RevokeOfficer", {"officer": "cleo", "reason": "left"})
    now = NOW + 20 * DAY
    assert now > standing.request.expires
    standing.use(later, now=now)
    for name, reason in (("anna", Refusal.WRONG_ROLE), ("cleo", Refusal.REVOKED)):
        with pytest.raises(ApprovalRefusedError) as caught:
            opened.rejected(
                later.state, *approve(standing.request, name, kind="rejection"), now=now, used=standing.nonces
            )
        assert caught.value.reason is reason
    rejection = approve(standing.request, "finn", kind="rejection")
    assert opened.rejected(later.state, *rejection, now=now, used=standing.nonces).rejected_by == "finn"
    assert standing.refusal(later, now=now + DAY) is Refusal.ALREADY_USED
    assert standing.nonces.until[standing.request.nonce] >= TERMS["ends"]


def test_one_that_has_ended_is_not_taken_back_nor_one_of_another_chain(chain):
    standing = Standing(chain)
    opened = OpenRequest(standing.request, tuple(standing.signatures))
    rejection = approve(standing.request, "finn", kind="rejection")
    with pytest.raises(ApprovalRefusedError) as caught:
        opened.rejected(chain.state, *rejection, now=TERMS["ends"], used=standing.nonces)
    assert caught.value.reason is Refusal.EXPIRED
    for other, reason in (
        (begun(cluster="0d" * 16), Refusal.OTHER_CLUSTER),
        (begun(name="another"), Refusal.POLICY_CHANGED),
    ):
        with pytest.raises(ApprovalRefusedError) as caught:
            opened.rejected(other.state, *rejection, now=NOW, used=standing.nonces)
        assert caught.value.reason is reason
    assert not standing.nonces.spent


def test_it_counts_as_approved_while_it_can_be_used(chain):
    standing = Standing(chain)
    opened = OpenRequest(standing.request, tuple(standing.signatures))
    later = changed(chain, "RevokeOfficer", {"officer": "cleo", "reason": "left"})
    assert opened.phase(later.state, now=NOW + 20 * DAY) is Phase.APPROVED
    assert opened.phase(later.state, now=TERMS["ends"]) is Phase.VOID
    too_few = opened._replace(approvals=opened.approvals[:1])
    assert too_few.phase(chain.state, now=NOW) is Phase.PENDING
    assert too_few.phase(chain.state, now=standing.request.expires) is Phase.VOID
    assert too_few.phase(later.state, now=NOW + 10) is Phase.VOID
    ended = changed(chain, "RevokeOfficer", {"officer": "dora", "reason": "left"})
    assert opened.phase(ended.state, now=NOW + 10) is Phase.VOID


@pytest.mark.parametrize("verb", ["DestroyRoot", "AddOfficer", "ExportRoot", STANDING_VERB])
def test_a_verb_whose_rule_does_not_say_so_has_none(chain, verb):
    with pytest.raises(ApprovalRefusedError):
        ask(chain.state, STANDING_VERB, TERMS | {"verb": verb})


@pytest.mark.parametrize(
    "changes",
    [
        {"uses": 0}, {"uses": 10**9}, {"rate_uses": 0}, {"rate_s": 0}, {"ends": NOW}, {"ends": NOW + 401 * DAY}, {"free": ["store"]},
        {"free": ["a", "a"]}, {"more": 1}, {"uses": True}, {"begins": "now"},
    ],
)  # fmt: skip
def test_terms_without_bounds_are_refused(chain, changes):
    with pytest.raises(ApprovalRefusedError):
        ask(chain.state, STANDING_VERB, TERMS | changes)


def test_it_is_no_approval_of_one_act_nor_the_other_way_round(chain):
    standing = Standing(chain)
    with pytest.raises(ApprovalRefusedError, match="used, not executed"):
        execute(
            chain.state, standing.request, standing.signatures, verb=STANDING_VERB, parameters=TERMS, now=NOW, used=standing.nonces
        )  # fmt: skip
    plain = ask(chain.state, "GenerateDirect", CALL)
    with pytest.raises(ApprovalRefusedError, match="another verb"):
        require_standing(chain.state, plain, approve(plain, "dora", "emil"))
    assert key_of("dora").public in chain.state.officers["dora"].keys


@UNHURRIED
@given(
    st.lists(st.integers(0, 1_000), max_size=40).map(sorted),
    st.integers(1, 20),
    st.integers(1, 4),
    st.integers(1, 200),
)
def test_no_order_of_uses_gets_past_the_bounds(times, uses, rate_uses, rate_s):
    terms = msgspec.convert(TERMS | {"uses": uses, "rate_uses": rate_uses, "rate_s": rate_s}, StandingTerms)
    so_far, granted = UsesSoFar(), []
    for at in times:
        try:
            so_far = so_far.with_one_more(terms, now=at)
        except ApprovalRefusedError:
            continue
        granted.append(at)
    assert len(granted) <= uses
    assert all(sum(at - rate_s < other <= at for other in granted) <= rate_uses for at in granted)


def test_a_clock_that_goes_back_gives_nothing_more(chain):
    standing = Standing(chain)
    standing.use(chain, now=NOW + 500)
    assert standing.refusal(chain, now=NOW + 100) is Refusal.TOO_OFTEN
