"""What an approved act covers inside a member: just the calls of the table, by their parameters."""

from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes_custody import UNHURRIED
from strongroom.core import (
    HsmKey,
    HsmKeyId,
    KeySpec,
    KeyUsage,
    TransportKind,
    new_backup_transport_id,
)
from strongroom.custody import (
    ACTS,
    VERB_WORDS,
    ApprovalRefusedError,
    Often,
    Part,
    acts_covering,
    is_free,
    part_covered,
    read_act,
)
from strongroom.hsm import wire
from strongroom.hsm.worker._performer import READ_ONLY_ADMIN_CALLS

AES, P256 = KeySpec.AES_256, KeySpec.ECC_NIST_P256
CRYPT, SIGN = KeyUsage.ENCRYPT_DECRYPT, KeyUsage.SIGN_VERIFY
IDS = [number.to_bytes(16, "big") for number in range(4)]
CREATE = {"spec": "AES_256", "usage": "ENCRYPT_DECRYPT", "may_leave": True}
SET_ID = bytes(range(64, 80))
OF_SET, OF_ANOTHER = new_backup_transport_id(SET_ID), new_backup_transport_id(IDS[1])
MAKE_SET = {"threshold": 3, "count": 5, "members": ["alpha", "beta"]}
SET = {"set_id": SET_ID.hex()}
BUNDLE = {"bundle_sha256": "5a" * 32}
DESTROY = {"key_id": "a-key", "hsm_keys": [IDS[1].hex(), IDS[2].hex()]}


def key(number, spec=AES, usage=CRYPT):
    return HsmKey(HsmKeyId(IDS[number]), spec, usage)


def transports(*cka_ids, targets=(b"spki",)):
    names = [wire.TransportName(cka_id, TransportKind.AES) for cka_id in cka_ids]
    return wire.MakeTransportKeys(names, "label", 1, list(targets))


def part(verb, parameters, call, *, member="alpha"):
    return part_covered(verb, parameters, type(call).__name__, msgspec.structs.asdict(call), member=member)


@pytest.mark.parametrize(
    ("verb", "parameters", "call", "covered"),
    [
        ("CreateHsmKey", CREATE, wire.GenerateDirect(key(0), "any label", True), Part(Often.ONCE)),
        ("CreateHsmKey", CREATE, wire.GenerateDirect(key(3), "other", True), Part(Often.ONCE)),
        ("CreateHsmKey", CREATE, wire.GenerateDirect(key(0), "any label", False), None),
        ("CreateHsmKey", CREATE, wire.GenerateDirect(key(0, P256, SIGN), "any label", True), None),
        ("CreateHsmKey", CREATE, wire.DestroyDirect(key(0)), None),
        ("CreateHsmKey", CREATE, wire.GenerateRoot(IDS[0], "root"), None),
        ("DestroyHsmKey", DESTROY, wire.DestroyDirect(key(1)), Part(Often.EACH_ONCE, IDS[1].hex())),
        ("DestroyHsmKey", DESTROY, wire.DestroyDirect(key(2, P256, SIGN)), Part(Often.EACH_ONCE, IDS[2].hex())),
        ("DestroyHsmKey", DESTROY, wire.DestroyDirect(key(3)), None),
        ("DestroyHsmKey", DESTROY, wire.DestroyRoot(IDS[1]), None),
        ("ReplaceHsmKey", {"member": "alpha", "hsm_keys": [IDS[1].hex()]}, wire.DestroyDirect(key(1)), Part(Often.EACH_ONCE, IDS[1].hex())),
        ("ReplaceHsmKey", {"member": "beta", "hsm_keys": [IDS[1].hex()]}, wire.DestroyDirect(key(1)), None),
        ("RotateRoot", {"root_id": IDS[0].hex()}, wire.GenerateRoot(IDS[3], "root"), Part(Often.ONCE)),
        ("RotateRoot", {"root_id": IDS[0].hex()}, wire.DestroyRoot(IDS[0]), None),
        ("RetireRoot", {"root_id": IDS[0].hex()}, wire.DestroyRoot(IDS[0]), Part(Often.EACH_ONCE, IDS[0].hex())),
        ("RetireRoot", {"root_id": IDS[0].hex()}, wire.DestroyRoot(IDS[1]), None),
        ("AddMember", {"member": "gamma", "token_serial": "1"}, wire.OfferTransport(IDS[0]), Part(Often.SESSION)),
        ("AddMember", {"member": "gamma", "token_serial": "1"}, wire.GenerateDirect(key(0), "x", True), None),
        ("AddMember", {"member": "gamma", "token_serial": "1"}, wire.DestroyRoot(IDS[0]), None),
        ("ResetMember", {"member": "gamma", "token_serial": "1"}, wire.DestroyRoot(IDS[0]), None),
        ("ScheduleKeyDeletion", {"key_id": "a-key"}, wire.DestroyDirect(key(1)), None),
        ("AddMember", {"member": "gamma", "token_serial": "1"}, transports(IDS[0]), Part(Often.SESSION)),
        ("AddMember", {"member": "gamma", "token_serial": "1"}, transports(IDS[0], OF_SET), None),
        ("AddMember", {"member": "gamma", "token_serial": "1"}, wire.DestroyTransportKey(IDS[0]), Part(Often.SESSION)),
        ("AddMember", {"member": "gamma", "token_serial": "1"}, wire.DestroyTransportKey(OF_SET), None),
        ("AddMember", {"member": "gamma", "token_serial": "1"}, wire.WrapOut(IDS[0], TransportKind.AES, OF_SET), None),
        ("AddMember", {"member": "gamma", "token_serial": "1"}, wire.MakeBackupPair(bytes(32)), None),
        ("MakeAuditKey", {"spec": "ECC_NIST_P256"}, wire.GenerateDirect(key(0, P256, SIGN), "audit-checkpoint", True), Part(Often.ONCE)),
        ("MakeAuditKey", {"spec": "ECC_NIST_P256"}, wire.GenerateDirect(key(0, P256, SIGN), "another", True), None),
        ("MakeAuditKey", {"spec": "ECC_NIST_P256"}, wire.GenerateDirect(key(0, P256, SIGN), "audit-checkpoint", False), None),
        ("MakeAuditKey", {"spec": "ECC_NIST_EDWARDS25519"}, wire.GenerateDirect(key(0, P256, SIGN), "audit-checkpoint", True), None),
        ("MakeAuditKey", {"spec": "ECC_NIST_P256"}, wire.DestroyDirect(key(0, P256, SIGN)), None),
        ("MakeBackupSet", MAKE_SET, wire.MakeBackupPair(bytes(32)), Part(Often.SESSION)),
        ("MakeBackupSet", {**MAKE_SET, "members": ["beta"]}, wire.MakeBackupPair(bytes(32)), None),
        ("MakeBackupSet", MAKE_SET, transports(OF_SET), Part(Often.SESSION)),
        ("MakeBackupSet", MAKE_SET, transports(OF_SET, IDS[0]), None),
        ("MakeBackupSet", MAKE_SET, transports(OF_SET, targets=(b"one", b"two")), None),
        ("MakeBackupSet", MAKE_SET, wire.GenerateDirect(key(0, P256, SIGN), "x", True), Part(Often.SESSION)),
        ("MakeBackupSet", MAKE_SET, wire.GenerateDirect(key(0, P256, SIGN), "x", False), None),
        ("MakeBackupSet", MAKE_SET, wire.GenerateDirect(key(0), "x", True), None),
        ("MakeBackupSet", MAKE_SET, wire.DestroyTransportKey(OF_SET), Part(Often.SESSION)),
        ("MakeBackupSet", MAKE_SET, wire.DestroyTransportKey(IDS[0]), None),
        ("MakeBackupSet", MAKE_SET, wire.WrapOut(IDS[0], TransportKind.AES, OF_SET), None),
        ("MakeBackupSet", MAKE_SET, wire.OfferBackup(IDS[0], bytes(32), b"x", 1), None),
        ("CreateBackup", SET, wire.WrapOut(IDS[0], TransportKind.AES, OF_SET), Part(Often.RUN)),
        ("CreateBackup", SET, wire.WrapOut(IDS[0], TransportKind.AES, OF_ANOTHER), None),
        ("CreateBackup", SET, wire.DestroyTransportKey(OF_SET), None),
        ("RestoreBackup", BUNDLE, wire.OfferBackup(IDS[0], bytes(32), b"x", 1), Part(Often.SESSION)),
        ("RestoreBackup", BUNDLE, wire.TakeTransportKeys(IDS[0], [wire.TransportName(OF_SET, TransportKind.AES)], "x", 1, []), Part(Often.SESSION)),
        ("RestoreBackup", BUNDLE, wire.TakeTransportKeys(IDS[0], [wire.TransportName(IDS[0], TransportKind.AES)], "x", 1, []), None),
        ("RestoreBackup", BUNDLE, wire.DestroyTransportKey(OF_ANOTHER), Part(Often.SESSION)),
        ("RestoreBackup", BUNDLE, wire.DestroyTransportKey(IDS[0]), None),
        ("RestoreBackup", BUNDLE, wire.WrapOut(IDS[0], TransportKind.AES, OF_SET), None),
        ("RetireBackupSet", SET, wire.DestroyTransportKey(OF_SET), Part(Often.RUN)),
        ("RetireBackupSet", SET, wire.DestroyTransportKey(OF_ANOTHER), None),
        ("RetireBackupSet", SET, wire.DestroyTransportKey(IDS[0]), None),
    ],
)  # fmt: skip
def test_an_act_covers_the_calls_of_its_row_and_no_other(verb, parameters, call, covered):
    assert part(verb, parameters, call) == covered


@pytest.mark.parametrize(
    ("role", "member", "is_covered"),
    [("user", "alpha", True), ("so", "alpha", False), ("user", "beta", False)],
)
def test_a_rotation_of_a_pin_covers_that_role_on_that_member(role, member, is_covered):
    values = {
        "role": role,
        "change": "c1" * 8,
        "new_pin": object(),
    }  # what is no business of the table is not looked at
    found = part_covered("RotatePin", {"member": "alpha", "role": "user"}, "SetPin", values, member=member)
    assert (found == Part(Often.CHANGE, "c1" * 8)) is is_covered


def test_every_call_that_changes_something_is_free_or_covered_by_some_act():
    calls = {one.__name__ for one in get_args(wire.AdminCall)}
    judged = {one.__name__ for one in get_args(wire.CustodyCall)} | {"Ping"}
    unjudged = calls - judged - {one.__name__ for one in READ_ONLY_ADMIN_CALLS}
    assert {call for call in unjudged if not acts_covering(call)} == {"TakeInRoot", "TakeInKey"}
    assert {call for call in unjudged if is_free(call, {"transport_id": IDS[0]})} == {
        "TakeInRoot", "TakeInKey", "WrapOut"
    }  # fmt: skip
    assert not is_free("WrapOut", {"transport_id": OF_SET})
    assert acts_covering("Wrap") == acts_covering("NoSuchCall") == frozenset()


@pytest.mark.parametrize(
    ("verb", "parameters"),
    [
        ("CreateHsmKey", {}), ("CreateHsmKey", {**CREATE, "label": "x"}), ("CreateHsmKey", {**CREATE, "may_leave": 1}),
        ("DestroyHsmKey", {**DESTROY, "hsm_keys": []}), ("DestroyHsmKey", {**DESTROY, "hsm_keys": ["AB" * 16]}),
        ("DestroyHsmKey", {**DESTROY, "hsm_keys": [IDS[2].hex(), IDS[1].hex()]}),
        ("DestroyHsmKey", {**DESTROY, "hsm_keys": [IDS[1].hex(), IDS[1].hex()]}),
        ("RetireRoot", {"root_id": "ab" * 15}), ("RetireRoot", {"root_id": "ab" * 16 + "\n"}),
        ("RotatePin", {"member": "alpha", "role": "root"}), ("AddMember", {"member": "", "token_serial": "1"}),
        ("MakeBackupSet", {**MAKE_SET, "threshold": 1}), ("MakeBackupSet", {**MAKE_SET, "threshold": 6}),
        ("MakeBackupSet", {**MAKE_SET, "members": ["beta", "alpha"]}), ("MakeBackupSet", {**MAKE_SET, "members": []}),
        ("CreateBackup", {"set_id": "5a" * 8}), ("RestoreBackup", {"bundle_sha256": "5a" * 16}),
    ],
)  # fmt: skip
def test_parameters_of_an_act_that_have_not_its_form_are_refused(verb, parameters):
    with pytest.raises(ApprovalRefusedError, match="malformed"):
        read_act(verb, parameters)


def test_acts_have_words_and_what_is_no_act_has_no_form():
    assert ACTS.keys() <= VERB_WORDS.keys()
    assert read_act("ScheduleKeyDeletion", {"anything": 1}) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@UNHURRIED
@given(
    verb=st.sampled_from([*sorted(ACTS), "ScheduleKeyDeletion"]),
    parameters=st.dictionaries(
        st.sampled_from(["spec", "usage", "may_leave", "key_id", "hsm_keys", "root_id", "member", "role", "set_id"]), VALUES
    ),
    call=st.sampled_from(
        [
            wire.GenerateDirect(key(0), "x", True), wire.DestroyDirect(key(1)), wire.GenerateRoot(IDS[0], "x"), wire.DestroyRoot(IDS[0]),
            wire.WrapOut(IDS[0], TransportKind.AES, IDS[1]), wire.OfferTransport(IDS[0]),
        ]
    ),
)  # fmt: skip
def test_whatever_the_parameters_it_is_a_part_or_none_or_refused(verb, parameters, call):
    try:
        found = part(verb, parameters, call)
    except ApprovalRefusedError:
        return
    assert found is None or verb in acts_covering(type(call).__name__)


@UNHURRIED
@given(
    approved=st.sets(st.integers(0, 3), min_size=1),
    called=st.integers(0, 3),
)
def test_of_keys_exactly_those_that_are_named_may_be_destroyed(approved, called):
    parameters = {"key_id": "", "hsm_keys": sorted(IDS[number].hex() for number in approved)}
    found = part("DestroyHsmKey", parameters, wire.DestroyDirect(key(called)))
    assert (found is not None) is (called in approved)
