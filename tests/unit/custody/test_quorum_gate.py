"""The gate that member workers can ask: an admin verb runs when officers approved just this call, and once."""

import threading

import msgspec
import pytest

from fakes_custody import NOW, MemoryNonces, approve, ask, begun, change, changed
from strongroom.core import (
    ApprovalGate,
    ApprovalRequiredError,
    HsmKey,
    HsmKeyId,
    KeySpec,
    KeyUsage,
    StrongroomError,
)
from strongroom.custody import (
    ApprovalRefusedError,
    ChainError,
    MalformedDocumentError,
    QuorumGate,
    QuorumRule,
    Refusal,
    canonical_json,
    plain_parameters,
)
from strongroom.hsm.wire import DestroyDirect, DestroyRoot, GenerateDirect
from strongroom.testing import FakeClock

CALL = DestroyRoot(bytes(range(16)))
PARAMETERS = msgspec.structs.asdict(CALL)


class Door:
    def __init__(self):
        self.chain = begun()
        self.clock = FakeClock(now=NOW + 5)
        self.used = MemoryNonces()
        self.gate = QuorumGate(self.chain, clock=self.clock, used=self.used)

    def approved(self, parameters=PARAMETERS, *, number=1, names=("anna", "ben"), verb="DestroyRoot"):
        request = ask(self.chain.state, verb, plain_parameters(parameters), number=number)
        self.gate.admit(request, approve(request, *names))
        return request


@pytest.fixture
def door():
    return Door()


def test_it_is_an_approval_gate_and_refuses_what_nobody_approved(door):
    gate: ApprovalGate = door.gate
    with pytest.raises(ApprovalRequiredError, match="no approval covers it"):
        gate.check("DestroyRoot", PARAMETERS)


def test_an_approved_call_runs_once(door):
    request = door.approved()
    door.gate.check("DestroyRoot", PARAMETERS)
    assert door.used.spent == {request.nonce}
    with pytest.raises(ApprovalRequiredError):
        door.gate.check("DestroyRoot", PARAMETERS)
    door.approved()  # the same request again, after it was executed
    with pytest.raises(ApprovalRequiredError, match="executed or rejected already"):
        door.gate.check("DestroyRoot", PARAMETERS)


@pytest.mark.parametrize(
    ("verb", "parameters"),
    [
        ("DestroyRoot", {"root_id": bytes(16)}), ("DestroyRoot", {}), ("DestroyRoot", {**PARAMETERS, "force": True}),
        ("DestroyDirect", PARAMETERS), ("DestroyRoot", {"root_id": object()}), ("DestroyRoot", {"root_id": 1.5}),
    ],
)  # fmt: skip
def test_another_call_does_not_run_and_spends_nothing(door, verb, parameters):
    door.approved()
    with pytest.raises(ApprovalRequiredError):
        door.gate.check(verb, parameters)
    assert door.used.spent == set()
    door.gate.check("DestroyRoot", PARAMETERS)


def test_what_waited_too_long_or_was_approved_under_other_rules_is_void(door):
    door.approved()
    door.clock.advance(3_600)
    with pytest.raises(ApprovalRequiredError, match="expired"):
        door.gate.check("DestroyRoot", PARAMETERS)
    other = Door()
    request = other.approved()
    other.gate.follow(change(other.chain, "RemoveQuorumRule", {"verb": "Backup"}))
    with pytest.raises(ApprovalRequiredError, match="no approval covers it"):
        other.gate.check("DestroyRoot", PARAMETERS)
    with pytest.raises(ApprovalRefusedError) as caught:
        other.gate.admit(request, approve(request, "anna", "ben"))
    assert caught.value.reason is Refusal.POLICY_CHANGED


def test_a_change_that_nobody_approved_is_not_followed(door):
    foreign = changed(begun(cluster="0d" * 16), "RemoveQuorumRule", {"verb": "Backup"})
    record = change(foreign, "RemoveQuorumRule", {"verb": "DestroyRoot"})
    with pytest.raises(ChainError):
        door.gate.follow(record)
    door.approved()
    door.gate.check("DestroyRoot", PARAMETERS)


def test_too_few_approvals_are_not_admitted_and_not_endlessly_many(door):
    with pytest.raises(ApprovalRefusedError):
        door.approved(names=("anna",))
    for number in range(64):
        door.approved({"root_id": bytes([number])}, number=number)
    with pytest.raises(ApprovalRefusedError, match="more than 64"):
        door.approved(number=99)


def test_of_threads_that_race_for_one_approval_one_runs(door):
    door.approved()
    start, ran = threading.Barrier(6), []

    def race():
        start.wait(timeout=60)
        try:
            door.gate.check("DestroyRoot", PARAMETERS)
            ran.append(True)
        except StrongroomError:
            ran.append(False)

    threads = [threading.Thread(target=race) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(ran) == [False] * 5 + [True]


def test_the_calls_of_workers_have_a_plain_form():
    key = HsmKey(HsmKeyId(bytes(16)), KeySpec.AES_256, next(iter(KeyUsage)))
    for call in (CALL, DestroyDirect(key), GenerateDirect(key, "label", may_leave=True)):
        plain = plain_parameters(msgspec.structs.asdict(call))
        assert canonical_json(plain)
        assert plain.keys() == set(call.__struct_fields__)
    assert plain_parameters(PARAMETERS) == {"root_id": "000102030405060708090a0b0c0d0e0f"}
    with pytest.raises(MalformedDocumentError, match="no plain form"):
        plain_parameters({"when": 1.5})


def test_a_rule_is_needed_for_the_verb_of_the_worker(door):
    rule = msgspec.to_builtins(QuorumRule(1, "crypto-officer", 60, False))
    chain = changed(door.chain, "SetQuorumRule", {"verb": "GenerateRoot", "rule": rule})
    assert "GenerateRoot" in chain.state.rules
    with pytest.raises(ApprovalRefusedError, match="no rule"):
        door.approved(verb="GenerateRoot")
