"""Any order of asking, approving, rejecting, executing, changes of officers and rules, and time, against a plain model.

The model knows people by name and counts; it never sees a signature. What the rules grant and what the model grants must be
the same, at every step, for every request that was ever made.
"""

import json
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fakes_custody import (
    CO,
    NOW,
    PEOPLE,
    SO,
    UNHURRIED,
    MemoryNonces,
    approve,
    ask,
    begun,
    change,
    key_of,
    person,
    signed_genesis,
)
from strongroom.custody import (
    ApprovalRefusedError,
    Chain,
    ChainError,
    OpenRequest,
    Phase,
    QuorumRule,
    Refusal,
    execute,
    write_document,
)

PAIRS = [(), ("anna", "ben"), ("ben", "cleo"), ("cleo", "anna-2"), ("anna", "anna-2"), ("dora", "emil")]
OFTEN = ["anna", "ben", "cleo", "anna-2"] * 2
"""Without them hardly any request would be approved, and nothing executed."""
KEYS = {**{name: name for name in PEOPLE}, "anna-2": "anna", "stranger": None}
LIFE_S = 600
SELDOM = st.sampled_from([False, False, False, True])


@dataclass
class Asked:
    """What the model knows of a request."""

    opened: OpenRequest
    sequence: int
    requester: str
    expires: int
    approvers: set = field(default_factory=set)
    is_over: bool = False


class Quorums(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now = NOW + 1
        self.used = MemoryNonces()
        self.asked: list[Asked] = []
        self.executed: list[str] = []

    @initialize()
    def begin(self):
        people = dict(PEOPLE)
        self.chain = begun(people=people)
        self.documents = []
        self._extend("AddOfficerKey", {"officer": "anna", "key": key_of("anna-2").public.line})
        self.roles = {name: set(roles) for name, roles in people.items()}
        self.revoked, self.lost_keys = set(), set()
        self.m, self.role = 2, SO

    def _extend(self, verb, parameters, *names):
        record = change(self.chain, verb, parameters, *(names or ("anna", "ben")), now=self.now)
        self.chain = self.chain.extended(record)
        self.documents.append(record)

    def _security_officers(self):
        active = [name for name in sorted(self.roles) if SO in self.roles[name] and name not in self.revoked]
        return [name for name in active if name not in self.lost_keys]

    @precondition(lambda self: len(self.asked) < 6)
    @rule(requester=st.sampled_from(["user/root", "officer/anna", "user/ben", "user/dora", "officer/zoe"]))
    def asks(self, requester):
        request = ask(
            self.chain.state, "DestroyRoot", {"root": len(self.asked)}, requester=requester, number=1000 + len(self.asked), now=self.now,
            lifetime_s=LIFE_S,
        )  # fmt: skip
        self.asked.append(Asked(OpenRequest(request), len(self.chain.records), requester, self.now + LIFE_S))

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), keys=st.lists(st.sampled_from([*OFTEN, *sorted(KEYS)]), min_size=1, max_size=4))
    def several_approve(self, data, keys):
        asked = self._one_of(data)
        for key in keys:
            self._approve(asked, key)

    def _one_of(self, data):
        """Mostly the latest request: older ones are void soon."""
        return data.draw(st.sampled_from([self.asked[-1], self.asked[-1], *self.asked]))

    def _approve(self, asked, key):
        who = KEYS[key]
        counts = self._is_alive(asked) and self._may_approve(asked, who, key) and who not in asked.approvers
        try:
            asked.opened = asked.opened.approved(
                self.chain.state, *approve(asked.opened.request, key), now=self.now
            )
        except ApprovalRefusedError:
            assert not counts
        else:
            assert counts
            asked.approvers.add(who)

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), key=st.sampled_from(sorted(KEYS)), now=SELDOM)
    def rejects(self, data, key, now):
        if not now:
            return
        asked = self._one_of(data)
        who = KEYS[key]
        may = who is not None and self._is_known(who, key)
        may = may and (self.role in self.roles[who] or asked.requester in {f"officer/{who}", f"user/{who}"})
        counts = may and self._is_alive(asked) and not asked.is_over
        signature = approve(asked.opened.request, key, kind="rejection")[0]
        try:
            asked.opened = asked.opened.rejected(self.chain.state, signature, now=self.now, used=self.used)
        except ApprovalRefusedError:
            assert not counts
        else:
            assert counts
            asked.is_over = True

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), is_other=SELDOM, keys=st.sampled_from(PAIRS), times=st.integers(1, 2))
    def executes(self, data, is_other, keys, times):
        asked = self._one_of(data)
        for key in keys:
            self._approve(asked, key)
        for _ in range(times):
            self._execute(asked, is_other=is_other)

    def _execute(self, asked, *, is_other):
        request = asked.opened.request
        may = self._is_approved(asked) and not asked.is_over and not is_other
        parameters = {"root": -1} if is_other else request.parameters
        try:
            granted = execute(
                self.chain.state, request, asked.opened.approvals, verb=request.verb, parameters=parameters, now=self.now, used=self.used
            )  # fmt: skip
        except ApprovalRefusedError:
            assert not may
        else:
            assert may
            assert {one.officer for one in granted.approvers} == asked.approvers
            asked.is_over = True
            self.executed.append(request.nonce)

    @rule(seconds=st.sampled_from([1, 10, 100, LIFE_S]))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(m=st.sampled_from([1, 2, 2, 3, 4]), role=st.sampled_from([SO, SO, CO]), now=SELDOM)
    def rule_is_set(self, m, role, now):
        signers = self._security_officers()
        if len(signers) < 2 or not now:
            return
        rule_ = QuorumRule(m, role, 3_600, False)
        able = [
            n
            for n in self.roles
            if role in self.roles[n] and n not in self.revoked and n not in self.lost_keys
        ]
        able += ["anna"] if role is SO and "anna" in self.lost_keys and "anna" not in self.revoked else []
        try:
            self._extend(
                "SetQuorumRule", {"verb": "DestroyRoot", "rule": msgspec.to_builtins(rule_)}, *signers[:2]
            )
        except ChainError:
            assert len(able) < m
        else:
            assert len(able) >= m
            self.m, self.role = m, role

    @rule(name=st.sampled_from(sorted(PEOPLE)), now=SELDOM)
    def officer_is_revoked(self, name, now):
        signers = [one for one in self._security_officers() if one != name]
        if len(signers) < 2 or name in self.revoked or not now:
            return
        self._extend("RevokeOfficer", {"officer": name, "reason": "left"}, *signers[:2])
        self.revoked.add(name)

    @precondition(lambda self: "anna" not in self.lost_keys | self.revoked)
    @rule(now=SELDOM)
    def first_key_of_anna_is_revoked(self, now):
        signers = [name for name in self._security_officers() if name != "anna"]
        if len(signers) >= 2 and now:
            key = key_of("anna").public.line
            self._extend("RevokeOfficerKey", {"officer": "anna", "key": key, "reason": "lost"}, *signers[:2])
            self.lost_keys.add("anna")

    @precondition(lambda self: "ivan" not in self.roles)
    @rule()
    def another_officer_comes(self):
        signers = self._security_officers()
        if len(signers) >= 2:
            ivan = json.loads(write_document(person("ivan", (SO,))))
            self._extend("AddOfficer", {"person": ivan}, *signers[:2])
            self.roles["ivan"] = {SO}

    def _is_known(self, who, key):
        return who in self.roles and who not in self.revoked and key not in self.lost_keys

    def _may_approve(self, asked, who, key):
        if who is None or not self._is_known(who, key):
            return False
        return self.role in self.roles[who] and asked.requester not in {f"officer/{who}", f"user/{who}"}

    def _is_alive(self, asked):
        is_rejected = asked.opened.rejected_by is not None
        return asked.sequence == len(self.chain.records) and self.now < asked.expires and not is_rejected

    def _is_approved(self, asked):
        return self._is_alive(asked) and len(asked.approvers) >= self.m

    @invariant()
    def phases_are_those_of_the_model(self):
        for asked in self.asked:
            phase = asked.opened.phase(self.chain.state, now=self.now)
            assert (phase is Phase.APPROVED) == self._is_approved(asked)
            assert (phase is Phase.REJECTED) == (asked.opened.rejected_by is not None)

    @invariant()
    def nothing_was_executed_twice(self):
        assert len(set(self.executed)) == len(self.executed)
        assert set(self.executed) <= self.used.spent

    def teardown(self):
        if hasattr(self, "chain"):  # what came into being step by step verifies from the files alone
            assert Chain.from_documents(signed_genesis(), self.documents).state == self.chain.state


TestQuorums = Quorums.TestCase
TestQuorums.settings = settings(UNHURRIED, max_examples=25, stateful_step_count=25)


class MoreQuorums(Quorums):
    """The same, longer."""


TestMoreQuorums = pytest.mark.slow(pytest.mark.timeout(900)(MoreQuorums.TestCase))
TestMoreQuorums.settings = settings(UNHURRIED, max_examples=200, stateful_step_count=50)


def test_the_reasons_of_refusals_are_words():
    assert all(refusal.value and refusal.value[0].islower() for refusal in Refusal)
