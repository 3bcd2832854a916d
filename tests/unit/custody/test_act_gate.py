"""The gate of a member: a call runs when an approved act covers it, as often as that allows, and nothing else does."""

import threading

import msgspec
import pytest

from fakes_act_gate import ACT_RULES, CREATE, ROOT, Member, destroy, destroying, generate, key
from fakes_custody import NOW, begun, change, changed
from strongroom.core import (
    ApprovalGate,
    ApprovalRequiredError,
    HsmError,
    HsmKey,
    HsmKeyId,
    HsmKeyNotFoundError,
    KeySpec,
    KeyUsage,
)
from strongroom.custody import UNDO_S, ApprovalRefusedError, ChainError, Pin, Refusal
from strongroom.hsm.wire import DestroyRoot, GenerateRoot, OfferTransport, TakeInKey, WrapOut


@pytest.fixture
def member():
    return Member()


def test_it_is_an_approval_gate_that_lets_copies_through_and_nothing_else(member):
    gate: ApprovalGate = member.gate
    gate.check("WrapOut", msgspec.structs.asdict(WrapOut(ROOT, "aes", ROOT)))
    for call in (generate(), destroy(), GenerateRoot(ROOT, "root"), DestroyRoot(ROOT), OfferTransport(ROOT)):
        member.refused(call, "no approval covers it")


def test_an_approved_key_is_made_once_whatever_its_name(member):
    request = member.approved("CreateHsmKey", CREATE)
    member.run(generate(5))
    assert member.used.spent == {(request.nonce, "")}
    member.refused(generate(6), "executed or rejected already")
    with pytest.raises(ApprovalRefusedError, match="executed or rejected already"):
        member.admit(request, "dora", "emil")


def test_two_approvals_make_two_keys(member):
    for _ in range(2):
        member.approved("CreateHsmKey", CREATE)
    member.run(generate(1))
    member.run(generate(2))
    member.refused(generate(3), "executed or rejected already")


def test_what_was_not_approved_is_refused_by_what_differs(member):
    member.approved("DestroyHsmKey", destroying(1, 2))
    member.refused(destroy(3), "other parameters: DestroyHsmKey")
    member.refused(generate(1), "other verb: DestroyHsmKey|another verb: DestroyHsmKey")
    assert member.used.spent == set()


def test_each_key_is_destroyed_once_and_again_only_while_that_failed(member):
    member.approved("DestroyHsmKey", destroying(1, 2))
    member.run(destroy(1), failure=HsmError("the HSM did not answer"))
    member.run(destroy(1))
    member.refused(destroy(1), "executed or rejected already")
    member.run(destroy(2), failure=HsmKeyNotFoundError("it is not there"))
    member.refused(destroy(2), "executed or rejected already")


def test_a_destruction_that_is_under_way_is_not_begun_again(member):
    member.approved("DestroyHsmKey", destroying(1))
    name, values = "DestroyDirect", msgspec.structs.asdict(destroy(1))
    member.gate.check(name, values)
    member.refused(destroy(1), "under way")
    member.gate.ended(name, values, None)
    member.refused(destroy(1), "executed or rejected already")


def test_on_a_full_disk_nothing_is_made_and_what_was_destroyed_stays_spent(member):
    member.approved("CreateHsmKey", CREATE)
    member.approved("DestroyHsmKey", destroying(1))
    member.used.is_full = True
    with pytest.raises(HsmError, match="full"):
        member.run(generate(4))
    member.run(destroy(1))
    member.refused(destroy(1), "executed or rejected already")


def test_what_the_member_made_or_took_in_it_may_destroy_again_for_a_while(member):
    member.approved("CreateHsmKey", CREATE)
    member.run(generate(1))
    member.run(TakeInKey(key(2), "x", ROOT, b"wrapped", b""))
    member.clock.advance(UNDO_S)
    member.run(destroy(1))
    member.run(destroy(2))
    member.clock.advance(1)
    member.refused(destroy(1), "approval|verb")
    member.clock.set_wall_clock(NOW)
    member.refused(destroy(1), "approval|verb")


def test_a_key_that_was_there_is_not_made_ones_own_by_taking_it_in_again(member):
    member.held.add(("key", bytes(key(1).key_id)))
    member.run(TakeInKey(key(1), "x", ROOT, b"wrapped", b""), failure=HsmError("it is there already"))
    member.refused(destroy(1), "no approval")
    member.approved("CreateHsmKey", CREATE)
    member.run(generate(1), failure=HsmError("it is there already"))
    member.refused(destroy(1), "approval|verb")


def test_one_may_not_undo_as_a_root_what_was_taken_in_as_a_key(member):
    taken = HsmKey(HsmKeyId(ROOT), KeySpec.AES_256, KeyUsage.ENCRYPT_DECRYPT)
    member.run(TakeInKey(taken, "x", ROOT, b"wrapped", b""))
    member.refused(DestroyRoot(ROOT), "no approval")


def test_a_change_of_officers_voids_what_waits(member):
    request = member.approved("CreateHsmKey", CREATE)
    record = change(member.chain, "RemoveQuorumRule", {"verb": "Backup"})
    member.gate.follow([record])
    member.refused(generate(), "no approval")
    with pytest.raises(ApprovalRefusedError, match="have changed"):
        member.admit(request, "dora", "emil")
    member.gate.follow([record])  # what it knows already
    assert member.gate.reached.sequence == 1


def test_a_member_that_is_shown_an_older_end_of_the_chain_lets_nothing_be_done():
    chain = changed(begun(rules=ACT_RULES), "RevokeOfficer", {"officer": "finn", "reason": "left"})
    genesis = chain.states[0].head
    member = Member(pinned=Pin(genesis, 1, chain.state.head))
    with pytest.raises(ApprovalRefusedError) as caught:
        member.approved("CreateHsmKey", CREATE, "dora", "finn")
    assert caught.value.reason is Refusal.BEHIND
    member.refused(generate(), "ends before a record")
    member.run(WrapOut(ROOT, "aes", ROOT))
    record = change(begun(rules=ACT_RULES), "RevokeOfficer", {"officer": "finn", "reason": "left"})
    member.gate.follow([record])
    member.chain = chain
    member.approved("CreateHsmKey", CREATE)
    member.run(generate())


def test_a_chain_that_is_another_one_from_the_pinned_record_on_is_not_followed():
    chain = changed(begun(rules=ACT_RULES), "RevokeOfficer", {"officer": "finn", "reason": "left"})
    member = Member(pinned=Pin(chain.states[0].head, 1, chain.state.head))
    with pytest.raises(ChainError, match="another one in its place"):
        member.gate.follow([change(begun(rules=ACT_RULES), "RemoveQuorumRule", {"verb": "Backup"})])
    with pytest.raises(ChainError, match="not JSON"):
        member.gate.follow([b"{"])
    assert member.gate.reached.sequence == 0
    with pytest.raises(ChainError, match="not the one that the member pinned"):
        Member(pinned=Pin("ab" * 32, 0, "ab" * 32))


def test_another_record_in_the_place_of_one_that_was_followed_is_refused(member):
    member.gate.follow([change(member.chain, "RemoveQuorumRule", {"verb": "Backup"})])
    with pytest.raises(ChainError, match="another one in its place"):
        member.gate.follow([change(member.chain, "RemoveQuorumRule", {"verb": "Backup"}, now=NOW + 11)])


def test_of_threads_that_race_for_one_approval_one_runs(member):
    member.approved("CreateHsmKey", CREATE)
    start, ran = threading.Barrier(6), []

    def race(number):
        start.wait(timeout=60)
        try:
            member.run(generate(number))
            ran.append(True)
        except ApprovalRequiredError:
            ran.append(False)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(ran) == [False] * 5 + [True]
