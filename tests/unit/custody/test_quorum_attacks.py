"""Attacks on a quorum, one a row: each is refused by the rule that is there for it, and spends nothing."""

import dataclasses
import threading

import msgspec
import pytest

from fakes_custody import (
    CO,
    NOW,
    RULES,
    SO,
    MemoryNonces,
    approve,
    ask,
    begun,
    changed,
    key_of,
    nonce_of,
    person,
)
from strongroom.custody import (
    ApprovalRefusedError,
    MalformedDocumentError,
    OpenRequest,
    Phase,
    QuorumRule,
    Refusal,
    execute,
    new_request,
    write_document,
)

VERB, PARAMETERS = "DestroyRoot", {"root_id": "ab" * 16}


@dataclasses.dataclass
class Attempt:
    """What somebody hands to whoever executes: honest, until a row of the table changes it."""

    chain: object
    request: object
    signatures: list
    verb: str = VERB
    parameters: dict = dataclasses.field(default_factory=lambda: dict(PARAMETERS))
    now: int = NOW + 60

    def execute(self, used):
        return execute(
            self.chain.state, self.request, self.signatures, verb=self.verb, parameters=self.parameters, now=self.now, used=used
        )  # fmt: skip

    def signed_by(self, *names, kind="approval"):
        self.signatures = approve(self.request, *names, kind=kind)

    def asked(self, **changes):
        self.request = msgspec.structs.replace(self.request, **changes)
        self.signed_by("anna", "ben")


@pytest.fixture
def attempt():
    chain = begun()
    request = ask(chain.state, VERB, PARAMETERS)
    return Attempt(chain, request, approve(request, "anna", "ben"))


def test_what_is_honest_is_granted_once(attempt):
    used = MemoryNonces()
    granted = attempt.execute(used)
    assert [(one.officer, one.role, one.key) for one in granted.approvers] == [
        (name, SO, key_of(name).public.fingerprint) for name in ("anna", "ben")
    ]
    with pytest.raises(ApprovalRefusedError) as caught:
        attempt.execute(used)
    assert caught.value.reason is Refusal.ALREADY_USED


def _self_approval(attempt):
    attempt.asked(requester="officer/anna")


def _self_approval_as_a_user_of_the_service(attempt):
    attempt.asked(requester="user/ben")


def _another_parameter(attempt):
    attempt.parameters["root_id"] = "cd" * 16


def _one_parameter_more(attempt):
    attempt.parameters["force"] = True


def _one_parameter_less(attempt):
    attempt.parameters.clear()


def _another_type_of_parameter(attempt):
    attempt.asked(parameters={"count": 1})
    attempt.parameters = {"count": True}


def _a_parameter_changed_in_the_request(attempt):
    attempt.parameters["root_id"] = "cd" * 16
    attempt.request = msgspec.structs.replace(attempt.request, parameters=attempt.parameters)


def _a_later_expiry_in_the_request(attempt):
    attempt.request = msgspec.structs.replace(attempt.request, created=NOW + 30, expires=NOW + 60 + 1_800)


def _a_fresh_nonce_in_the_request(attempt):
    attempt.request = msgspec.structs.replace(attempt.request, nonce=nonce_of(99).hex())


def _expired(attempt):
    attempt.now = attempt.request.expires


def _dated_in_the_future(attempt):
    attempt.now = attempt.request.created - 301


def _longer_than_its_rule(attempt):
    attempt.asked(expires=attempt.request.expires + 1)


def _never_ending(attempt):
    attempt.asked(created=attempt.request.expires + 10)


def _revoked_officer(attempt):
    chain = changed(attempt.chain, "RevokeOfficer", {"officer": "cleo", "reason": "left"})
    attempt.chain = chain
    attempt.asked(state=chain.state.head)
    attempt.signed_by("anna", "cleo")


def _revoked_key(attempt):
    chain = changed(attempt.chain, "AddOfficerKey", {"officer": "anna", "key": key_of("anna-2").public.line})
    chain = changed(
        chain,
        "RevokeOfficerKey",
        {"officer": "anna", "key": key_of("anna").public.line, "reason": "lost"},
        "anna-2",
        "ben",
    )
    attempt.chain = chain
    attempt.asked(state=chain.state.head)


def _role_taken_away(attempt):
    chain = changed(
        attempt.chain, "ChangeOfficerRoles", {"officer": "anna", "roles": ["operator"]}, "ben", "cleo"
    )
    attempt.chain = chain
    attempt.asked(state=chain.state.head)


def _same_person_with_one_key_twice(attempt):
    attempt.signed_by("anna", "anna")


def _same_person_with_two_keys(attempt):
    chain = changed(attempt.chain, "AddOfficerKey", {"officer": "anna", "key": key_of("anna-2").public.line})
    attempt.chain = chain
    attempt.asked(state=chain.state.head)
    attempt.signed_by("anna", "anna-2")


def _policy_changed_meanwhile(attempt):
    rule = msgspec.to_builtins(QuorumRule(2, CO, 3_600, False))
    attempt.chain = changed(attempt.chain, "SetQuorumRule", {"verb": "Restore", "rule": rule})


def _rolled_back_to_an_older_policy(attempt):
    """The request names a state that was, under which it would have sufficed."""
    rule = msgspec.to_builtins(QuorumRule(3, SO, 3_600, False))
    attempt.chain = changed(attempt.chain, "SetQuorumRule", {"verb": VERB, "rule": rule})


def _wrong_verb(attempt):
    attempt.verb = "Backup"


def _approval_of_a_lesser_verb(attempt):
    attempt.asked(verb="Backup")


def _verb_without_a_rule(attempt):
    attempt.asked(verb="ExportRoot")
    attempt.verb = "ExportRoot"


def _rule_removed(attempt):
    attempt.chain = changed(attempt.chain, "RemoveQuorumRule", {"verb": VERB})
    attempt.asked(state=attempt.chain.state.head)


def _another_cluster(attempt):
    other = begun(cluster="0d" * 16)
    attempt.request = ask(other.state, VERB, PARAMETERS)
    attempt.signed_by("anna", "ben")


def _another_cluster_with_the_state_of_this_one(attempt):
    attempt.asked(cluster="0d" * 16)


def _signature_cut_off(attempt):
    attempt.signatures[1] = attempt.signatures[1][:-1]


def _signature_empty(attempt):
    attempt.signatures[1] = b""


def _signature_of_another_request(attempt):
    attempt.signatures[1] = approve(ask(attempt.chain.state, VERB, PARAMETERS, number=2), "ben")[0]


def _signature_that_rejects(attempt):
    attempt.signatures[1] = approve(attempt.request, "ben", kind="rejection")[0]


def _signature_under_a_genesis(attempt):
    attempt.signatures[1] = approve(attempt.request, "ben", kind="genesis")[0]


def _stranger(attempt):
    attempt.signed_by("anna", "stranger")


def _auditor(attempt):
    attempt.signed_by("anna", "gus")


def _officer_of_another_kind(attempt):
    attempt.signed_by("anna", "dora")


def _one_too_few(attempt):
    attempt.signed_by("anna")


def _nobody(attempt):
    attempt.signatures = []


def _a_thousand_signatures(attempt):
    attempt.signatures *= 500


def _a_bad_signature_beside_good_ones(attempt):
    attempt.signatures.append(bytes(100))


ATTACKS = {
    _self_approval: Refusal.OWN_REQUEST,
    _self_approval_as_a_user_of_the_service: Refusal.OWN_REQUEST,
    _another_parameter: Refusal.OTHER_PARAMETERS,
    _one_parameter_more: Refusal.OTHER_PARAMETERS,
    _one_parameter_less: Refusal.OTHER_PARAMETERS,
    _another_type_of_parameter: Refusal.OTHER_PARAMETERS,
    _a_parameter_changed_in_the_request: Refusal.BAD_SIGNATURE,
    _a_later_expiry_in_the_request: Refusal.BAD_SIGNATURE,
    _a_fresh_nonce_in_the_request: Refusal.BAD_SIGNATURE,
    _expired: Refusal.EXPIRED,
    _dated_in_the_future: Refusal.NOT_YET,
    _longer_than_its_rule: Refusal.TOO_LONG,
    _never_ending: Refusal.TOO_LONG,
    _revoked_officer: Refusal.REVOKED,
    _revoked_key: Refusal.REVOKED,
    _role_taken_away: Refusal.WRONG_ROLE,
    _same_person_with_one_key_twice: Refusal.TWICE,
    _same_person_with_two_keys: Refusal.TWICE,
    _policy_changed_meanwhile: Refusal.POLICY_CHANGED,
    _rolled_back_to_an_older_policy: Refusal.POLICY_CHANGED,
    _wrong_verb: Refusal.OTHER_VERB,
    _approval_of_a_lesser_verb: Refusal.OTHER_VERB,
    _verb_without_a_rule: Refusal.NO_RULE,
    _rule_removed: Refusal.NO_RULE,
    _another_cluster: Refusal.OTHER_CLUSTER,
    _another_cluster_with_the_state_of_this_one: Refusal.OTHER_CLUSTER,
    _signature_cut_off: Refusal.BAD_SIGNATURE,
    _signature_empty: Refusal.BAD_SIGNATURE,
    _signature_of_another_request: Refusal.BAD_SIGNATURE,
    _signature_that_rejects: Refusal.BAD_SIGNATURE,
    _signature_under_a_genesis: Refusal.BAD_SIGNATURE,
    _stranger: Refusal.UNKNOWN_KEY,
    _auditor: Refusal.WRONG_ROLE,
    _officer_of_another_kind: Refusal.WRONG_ROLE,
    _one_too_few: Refusal.TOO_FEW,
    _nobody: Refusal.TOO_FEW,
    _a_thousand_signatures: Refusal.MALFORMED,
    _a_bad_signature_beside_good_ones: Refusal.BAD_SIGNATURE,
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__.strip("_"))
def test_an_attack_is_refused_by_its_rule_and_spends_nothing(attempt, attack):
    attack(attempt)
    used = MemoryNonces()
    with pytest.raises(ApprovalRefusedError) as caught:
        attempt.execute(used)
    assert caught.value.reason is ATTACKS[attack]
    assert used.spent == set()


def test_of_many_who_race_one_executes(attempt):
    used, start, outcomes = MemoryNonces(), threading.Barrier(8), []

    def race():
        start.wait(timeout=60)
        try:
            outcomes.append(attempt.execute(used))
        except ApprovalRefusedError as error:
            outcomes.append(error.reason)

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(outcomes) == 8
    assert outcomes.count(Refusal.ALREADY_USED) == 7


def test_approvals_are_taken_in_one_by_one_and_only_those_that_count(attempt):
    state, now = attempt.chain.state, attempt.now
    opened = OpenRequest(attempt.request)
    assert opened.phase(state, now=now) is Phase.PENDING
    for name in ("dora", "stranger"):
        with pytest.raises(ApprovalRefusedError):
            opened.approved(state, *approve(attempt.request, name), now=now)
    opened = opened.approved(state, *approve(attempt.request, "anna"), now=now)
    with pytest.raises(ApprovalRefusedError, match="one person counts once"):
        opened.approved(state, *approve(attempt.request, "anna"), now=now)
    opened = opened.approved(state, *approve(attempt.request, "cleo"), now=now)
    assert opened.phase(state, now=now) is Phase.APPROVED
    assert opened.phase(state, now=attempt.request.expires) is Phase.VOID
    later = changed(attempt.chain, "RemoveQuorumRule", {"verb": "Backup"})
    assert opened.phase(later.state, now=now) is Phase.VOID


@pytest.mark.parametrize("name", ["anna", "hana"])
def test_a_rejection_is_final_and_comes_from_an_approver_or_whoever_asked(attempt, name):
    attempt.asked(requester="officer/hana")
    state, used = attempt.chain.state, MemoryNonces()
    opened = OpenRequest(attempt.request).approved(state, attempt.signatures[0], now=attempt.now)
    for other in ("dora", "gus"):
        with pytest.raises(ApprovalRefusedError, match="does not hold the role"):
            opened.rejected(
                state, *approve(attempt.request, other, kind="rejection"), now=attempt.now, used=used
            )
    with pytest.raises(ApprovalRefusedError, match="does not verify"):
        opened.rejected(state, *approve(attempt.request, name), now=attempt.now, used=used)
    rejected = opened.rejected(
        state, *approve(attempt.request, name, kind="rejection"), now=attempt.now, used=used
    )
    assert rejected.rejected_by == name
    assert rejected.phase(state, now=attempt.now) is Phase.REJECTED
    with pytest.raises(ApprovalRefusedError, match="was rejected"):
        rejected.approved(state, attempt.signatures[1], now=attempt.now)
    with pytest.raises(ApprovalRefusedError, match="executed or rejected already"):
        attempt.execute(used)


@pytest.mark.parametrize(
    "parameters", [{"x": 1.5}, {"x": 2**53}, {"x": b"bytes"}, {"x": "a" * 70_000}, {"x": "\ud800"}]
)
def test_what_cannot_be_signed_cannot_be_asked_for(attempt, parameters):
    with pytest.raises(MalformedDocumentError):
        ask(attempt.chain.state, VERB, parameters)
    deep = "x"
    for _ in range(10):
        deep = [deep]
    with pytest.raises(MalformedDocumentError, match="levels"):
        ask(attempt.chain.state, VERB, {"x": deep})


def test_a_request_needs_a_rule_a_nonce_of_16_bytes_and_an_end(attempt):
    state = attempt.chain.state
    with pytest.raises(ApprovalRefusedError, match="no rule"):
        ask(state, "ExportRoot", {})
    with pytest.raises(ApprovalRefusedError, match="longer than its rule"):
        ask(state, VERB, {}, lifetime_s=RULES[VERB].expires_s + 1)
    with pytest.raises(MalformedDocumentError, match="16 bytes"):
        new_request(state, VERB, {}, requester="x", nonce=b"short", now=NOW)


def test_a_person_is_written_as_it_is_read():
    assert b'"id":"anna"' in write_document(person("anna"))
