"""Acts of backups at the gate of a member: which workers do them, under which set, for how long, and how standing approvals count."""

import pytest

from fakes_act_gate import ROOT, Member, MemoryActs
from fakes_custody import NOW, approve
from strongroom.core import (
    HsmKey,
    HsmKeyId,
    KeySpec,
    KeyUsage,
    TransportKind,
    new_backup_transport_id,
    new_transport_id,
)
from strongroom.custody import (
    SESSION_S,
    ApprovalRefusedError,
    canonical_json,
    write_document,
)
from strongroom.hsm.wire import (
    DestroyTransportKey,
    GenerateDirect,
    MakeBackupPair,
    MakeTransportKeys,
    OfferBackup,
    TakeTransportKeys,
    TransportName,
    WrapOut,
)

SET_ID, OTHER_SET = bytes(range(16)), bytes(range(16, 32))
OF_SET = new_backup_transport_id(SET_ID)
MAKE = {"threshold": 3, "count": 5, "members": ["alpha", "beta"]}
CREATE = {"set_id": SET_ID.hex()}
STANDING = {
    "verb": "CreateBackup", "fixed": CREATE, "free": [], "uses": 3, "rate_uses": 1, "rate_s": 20_000,
    "begins": NOW, "ends": NOW + 200_000,
}  # fmt: skip
SIGNING = GenerateDirect(
    HsmKey(HsmKeyId(ROOT), KeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY), "k", may_leave=True
)


def out(under=OF_SET):
    return WrapOut(ROOT, TransportKind.AES, under)


def transports(*names):
    return MakeTransportKeys([TransportName(name, TransportKind.AES) for name in names], "x", 1, [b"spki"])


@pytest.fixture
def serving():
    return Member()


@pytest.fixture
def ceremony():
    return Member(sessions=True)


def test_whoever_holds_mains_place_takes_no_key_out_without_officers(serving):
    serving.run(out(new_transport_id()))  # a copy between members
    for call in (out(), MakeBackupPair(bytes(32)), OfferBackup(ROOT, bytes(32), b"x", 1), transports(OF_SET)):
        serving.refused(call, "no approval covers it")
    serving.approved("CreateBackup", CREATE)
    serving.refused(out(new_backup_transport_id(OTHER_SET)), "other parameters: CreateBackup")
    serving.refused(DestroyTransportKey(OF_SET), "another verb: CreateBackup")


def test_a_backup_takes_as_many_keys_as_there_are_for_an_hour_on_a_member_that_serves(serving):
    request = serving.approved("CreateBackup", CREATE)
    for _ in range(20):
        serving.run(out())
    serving.clock.advance(SESSION_S - 1)
    serving.run(out())
    serving.clock.advance(2)
    serving.refused(out(), "its hour is over")
    again = Member(used=serving.used)
    again.clock.advance(SESSION_S + 31)
    again.admit(request, "dora", "emil")
    again.refused(out(), "its hour is over")


def test_of_a_standing_approval_each_backup_is_one_use_however_many_keys_it_takes(serving):
    request = serving.ask("AllowStanding", STANDING)
    parts = (write_document(request), approve(request, "dora", "emil"))
    with pytest.raises(ApprovalRefusedError, match="does not cover"):
        serving.gate.admit(*parts, parameters=canonical_json({"set_id": OTHER_SET.hex()}))
    serving.gate.admit(*parts, parameters=canonical_json(CREATE))
    for number in range(1, 4):
        for _ in range(5):
            serving.run(out())
        assert serving.used.uses[request.nonce].total == number
        serving.clock.advance(SESSION_S + 1)
        serving.refused(out(), "so soon|as often as it allows")
        serving.clock.advance(20_000)
    serving.refused(out(), "as often as it allows")


def test_the_use_that_a_standing_approval_counted_holds_after_a_restart_and_not_before_its_time(serving):
    request = serving.ask("AllowStanding", STANDING)
    parts = (write_document(request), approve(request, "dora", "emil"))
    serving.gate.admit(*parts, parameters=canonical_json(CREATE))
    serving.run(out())
    fresh = Member(used=serving.used)
    fresh.gate.admit(*parts, parameters=canonical_json(CREATE))
    fresh.run(out())
    assert fresh.used.uses[request.nonce].total == 1
    fresh.clock.set_wall_clock(NOW + 20)
    fresh.refused(out(), "so soon")  # the clock went back


def test_a_set_is_made_in_workers_of_the_ceremony_and_is_all_that_is_made(ceremony, serving):
    for member in (ceremony, serving):
        member.approved("MakeBackupSet", MAKE, "anna", "ben")
    serving.refused(MakeBackupPair(bytes(32)), "this member serves")
    for call in (MakeBackupPair(bytes(32)), transports(OF_SET), SIGNING, DestroyTransportKey(OF_SET)):
        ceremony.run(call)
    for call in (transports(new_transport_id()), DestroyTransportKey(new_transport_id())):
        ceremony.refused(call, "other parameters: MakeBackupSet")
    ceremony.refused(out(), "another verb: MakeBackupSet")
    ceremony.clock.advance(SESSION_S + 1)
    ceremony.refused(MakeBackupPair(bytes(32)), "its hour is over")


def test_a_member_that_the_officers_did_not_name_makes_nothing_of_a_set(ceremony):
    ceremony.approved("MakeBackupSet", {**MAKE, "members": ["beta", "gamma"]}, "anna", "ben")
    for call in (MakeBackupPair(bytes(32)), transports(OF_SET), SIGNING, DestroyTransportKey(OF_SET)):
        ceremony.refused(call, "other parameters")


def test_a_backup_is_opened_in_workers_that_serve_nobody(ceremony, serving):
    take = TakeTransportKeys(ROOT, [TransportName(OF_SET, TransportKind.AES)], "x", 1, [b"w"])
    for member in (ceremony, serving):
        member.approved("RestoreBackup", {"bundle_sha256": "5a" * 32}, "anna", "ben")
    for call in (OfferBackup(ROOT, bytes(32), b"x", 1), take):
        ceremony.run(call)
        serving.refused(call, "this member serves")


def test_a_retired_set_loses_its_own_keys_and_no_other_set(serving):
    serving.approved("RetireBackupSet", CREATE, "anna", "ben")
    serving.run(DestroyTransportKey(OF_SET))
    for other in (new_backup_transport_id(OTHER_SET), new_transport_id()):
        serving.refused(DestroyTransportKey(other), "other parameters")


def test_no_use_was_counted_where_none_was_noted():
    assert MemoryActs().last_use("5a" * 16) is None
