"""A token is erased under the officers' approval of just that: judged from the signatures alone."""

import os

import pytest

from fakes_custody import NOW, RULES, SO, approve, ask, begun, genesis_body, signed_genesis
from strongroom.core import ApprovalRequiredError
from strongroom.custody import QuorumRule, write_document
from strongroom.wiring.bootstrap import ApprovedReset, MemberBootstrap
from strongroom.wiring.reset_approval import require_approved_reset

WITH_RESET = {**RULES, "ResetMember": QuorumRule(m=2, role=SO, expires_s=3_600, standing=False)}
MEANT = {"member": "gamma", "token_serial": "0123"}


def bootstrap(request=None, *names, serial="0123", genesis=None):
    reset = (
        None
        if request is None
        else ApprovedReset(serial, [], write_document(request), approve(request, *names))
    )
    genesis = signed_genesis(genesis_body(rules=WITH_RESET)) if genesis is None else genesis
    return MemberBootstrap(
        "reset-token", "gamma", "softhsm2", os.getpid(), bytearray(), genesis=genesis, reset=reset
    )


def asked(verb="ResetMember", parameters=MEANT, **more):
    return ask(begun(rules=WITH_RESET).state, verb, parameters, **more)


def test_two_officers_let_the_token_be_erased_that_they_named():
    require_approved_reset(bootstrap(asked(), "anna", "ben"), now=NOW + 60)


@pytest.mark.parametrize(
    ("tried", "now"),
    [
        (bootstrap, NOW),
        (lambda: bootstrap(asked(), "anna"), NOW),
        (lambda: bootstrap(asked(), "anna", "anna"), NOW),
        (lambda: bootstrap(asked(requester="user/anna"), "anna", "ben"), NOW),
        (lambda: bootstrap(asked(), "anna", "dora"), NOW),
        (lambda: bootstrap(asked(), "anna", "ben"), NOW + 4_000),
        (lambda: bootstrap(asked(), "anna", "ben", serial="4567"), NOW),
        (lambda: bootstrap(asked(parameters={**MEANT, "member": "beta"}), "anna", "ben"), NOW),
        (lambda: bootstrap(asked(parameters={**MEANT, "also": "beta"}), "anna", "ben"), NOW),
        (lambda: bootstrap(asked("DestroyRoot"), "anna", "ben"), NOW),
        (lambda: bootstrap(asked(), "anna", "ben", genesis=b""), NOW),
        (lambda: bootstrap(asked(), "anna", "ben", genesis=signed_genesis(genesis_body(cluster="1d" * 16, rules=WITH_RESET))), NOW),
    ],
    ids=["none", "one", "one twice", "their own", "wrong role", "expired", "another token", "another member", "more",
         "another verb", "no officers", "another cluster"],
)  # fmt: skip
def test_anything_else_leaves_the_token_alone(tried, now):
    with pytest.raises(ApprovalRequiredError):
        require_approved_reset(tried(), now=now)
