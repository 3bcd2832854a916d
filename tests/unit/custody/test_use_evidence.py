"""Evidence of a use of a standing approval: it proves what was allowed, and nothing else passes for it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes_custody import NOW, UNHURRIED, approve, ask, begun, changed
from strongroom.custody import (
    ApprovalRefusedError,
    ChainError,
    CustodyError,
    MalformedDocumentError,
    Refusal,
    canonical_json,
    make_use_evidence,
    verify_evidence,
)

TERMS = {
    "verb": "GenerateDirect", "fixed": {"usage": "sign"}, "free": ["spec"], "uses": 3, "rate_uses": 2, "rate_s": 60,
    "begins": NOW + 100, "ends": NOW + 10_000,
}  # fmt: skip
PARAMETERS = {"usage": "sign", "spec": "EC"}
CHAIN = begun()
REQUEST = ask(CHAIN.state, "AllowStanding", TERMS)
SIGNATURES = approve(REQUEST, "dora", "emil")
LATER = changed(CHAIN, "RevokeOfficer", {"officer": "hana", "reason": "left"})
WITHOUT_DORA = changed(LATER, "RevokeOfficer", {"officer": "dora", "reason": "left"})


def made(chain=LATER, **changes):
    values = {"parameters": PARAMETERS, "use": 2, "used": NOW + 200, "sequence": len(chain.records)} | changes
    return make_use_evidence(chain, REQUEST, SIGNATURES, **values)


EVIDENCE = made()


def test_it_tells_who_allowed_what_under_which_rules():
    proved = verify_evidence(EVIDENCE)
    assert [one.officer for one in proved.approvers] == ["dora", "emil"]
    assert (proved.use, proved.executed, dict(proved.parameters or {})) == (2, NOW + 200, PARAMETERS)
    assert (proved.state.sequence, proved.request) == (1, REQUEST)
    assert verify_evidence(EVIDENCE, genesis_sha256=proved.genesis_sha256) == proved
    with pytest.raises(ChainError, match="not the one that was expected"):
        verify_evidence(EVIDENCE, genesis_sha256="0" * 64)


def test_it_stays_true_under_the_rules_of_its_time():
    assert verify_evidence(made(WITHOUT_DORA, sequence=1)).state.sequence == 1
    with pytest.raises(ApprovalRefusedError) as refused:
        made(WITHOUT_DORA)
    assert refused.value.reason is Refusal.REVOKED


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"parameters": {"usage": "encrypt", "spec": "EC"}}, Refusal.NOT_COVERED),
        ({"parameters": {**PARAMETERS, "more": 1}}, Refusal.NOT_COVERED),
        ({"parameters": {}}, Refusal.NOT_COVERED),
        ({"used": NOW + 99}, Refusal.NOT_YET),
        ({"used": NOW + 10_000}, Refusal.EXPIRED),
        ({"use": 4}, Refusal.USED_UP),
    ],
)
def test_what_the_terms_do_not_allow_is_proved_by_nothing(changes, reason):
    with pytest.raises(ApprovalRefusedError) as refused:
        made(**changes)
    assert refused.value.reason is reason
    document = json.loads(EVIDENCE) | changes
    with pytest.raises(ApprovalRefusedError) as refused:
        verify_evidence(canonical_json(document))
    assert refused.value.reason is reason


@pytest.mark.parametrize(
    "changes",
    [
        {"use": 0}, {"use": True}, {"used": -1}, {"parameters": {"a": 1.5}}, {"parameters": []}, {"more": 1}, {"approvals": []},
        {"type": "strongroom-evidence-v1"},
    ],
)  # fmt: skip
def test_other_documents_are_no_evidence(changes):
    with pytest.raises(MalformedDocumentError):
        verify_evidence(canonical_json(json.loads(EVIDENCE) | changes))


def test_a_use_does_not_pass_for_an_act_that_was_approved_itself():
    document = json.loads(EVIDENCE)
    for name in ("use", "used", "parameters"):
        document.pop(name)
    document |= {"type": "strongroom-evidence-v1", "executed": NOW + 200}
    with pytest.raises(ChainError, match="does not end in the state"):
        verify_evidence(canonical_json(document))


@UNHURRIED
@given(at=st.integers(0, len(EVIDENCE) - 1), flip=st.integers(1, 255))
def test_a_byte_that_was_changed_never_proves_anything_else(at, flip):
    damaged = bytearray(EVIDENCE)
    damaged[at] ^= flip
    try:
        proved = verify_evidence(bytes(damaged), genesis_sha256=verify_evidence(EVIDENCE).genesis_sha256)
    except CustodyError:
        return
    assert (proved.request, proved.approvers, proved.state.head) == (
        REQUEST,
        verify_evidence(EVIDENCE).approvers,
        LATER.state.head,
    )


@UNHURRIED
@given(st.binary(max_size=300))
def test_no_bytes_are_more_than_refused(data):
    with pytest.raises(CustodyError):
        verify_evidence(data)
    with pytest.raises(CustodyError):
        verify_evidence(EVIDENCE[: len(data)])
