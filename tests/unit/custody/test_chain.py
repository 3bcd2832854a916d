"""Genesis and chain: who the officers are at each point, and every way in which a chain does not hold together."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes_custody import (
    AUDITOR,
    CO,
    NOW,
    PEOPLE,
    RULES,
    SO,
    UNHURRIED,
    approve,
    ask,
    begun,
    change,
    changed,
    genesis_body,
    key_of,
    person,
    signed_genesis,
    text_of,
)
from strongroom.custody import (
    CUSTODY_VERBS,
    Chain,
    ChainError,
    Genesis,
    KeyKind,
    OfficerKey,
    QuorumRule,
    Record,
    Role,
    canonical_json,
    document_hash,
    read_document,
    write_document,
)
from strongroom.custody._ssh_wire import wire_string

IVAN = {"person": json.loads(write_document(person("ivan", (SO,))))}


def _rule(m=2, role=SO, *, standing=False):
    return {"m": m, "role": str(role), "expires_s": 3_600, "standing": standing}


@pytest.fixture
def chain():
    return begun()


def _records(chain, *steps):
    """The bytes of several records, one after the other."""
    records = []
    for verb, parameters in steps:
        records.append(change(chain, verb, parameters, now=NOW + 10 * len(chain.states)))
        chain = chain.extended(records[-1])
    return records, chain


STEPS = [
    ("AddOfficer", IVAN),
    ("SetQuorumRule", {"verb": "Restore", "rule": _rule()}),
    ("RevokeOfficer", {"officer": "cleo", "reason": "left"}),
    ("ChangeOfficerRoles", {"officer": "hana", "roles": ["custodian", "operator"]}),
]


def test_a_chain_tells_who_was_who_at_each_record(chain):
    records, whole = _records(chain, *STEPS)
    assert Chain.from_documents(signed_genesis(), records) == whole
    assert [sorted(o.id for o in state.signers(SO)) for state in whole.states] == [
        ["anna", "ben", "cleo"], *2 * [["anna", "ben", "cleo", "ivan"]], *2 * [["anna", "ben", "ivan"]],
    ]  # fmt: skip
    assert whole.state_at(0) == chain.state
    assert "Restore" not in whole.state_at(1).rules
    assert whole.state_at(2).rules["Restore"].m == 2
    assert whole.state.officers["hana"].roles == {Role.OPERATOR, Role.CUSTODIAN}
    assert whole.state.head == document_hash(records[-1])
    assert whole.state_named(document_hash(records[1])) == whole.states[2]
    parts = [read_document(record, Record) for record in records]
    assert Chain.from_parts(read_document(signed_genesis(), Genesis), parts) == whole


def test_a_key_that_was_revoked_and_another_that_came(chain):
    second, first = key_of("anna-2").public, key_of("anna").public
    whole = changed(chain, "AddOfficerKey", {"officer": "anna", "key": second.line})
    assert whole.state.officers["anna"].keys == {first, second}
    whole = changed(
        whole, "RevokeOfficerKey", {"officer": "anna", "key": first.line, "reason": "lost"}, "anna-2", "ben"
    )
    assert whole.state.officers["anna"].keys == {second}
    assert whole.state.officer_of(first).id == "anna"
    with pytest.raises(ChainError, match=r"record 3.*revoked"):
        changed(whole, "AddOfficer", IVAN, "anna", "ben")
    with pytest.raises(ChainError, match="had that key"):
        changed(whole, "AddOfficerKey", {"officer": "anna", "key": first.line}, "anna-2", "ben")
    with pytest.raises(ChainError, match="shares a key"):
        changed(whole, "AddOfficerKey", {"officer": "ben", "key": first.line}, "anna-2", "ben")


def test_one_secret_is_one_key_whatever_kind_it_is_called(chain):
    """Whoever holds the secret of a key in a file makes signatures as of a security key, for any application."""
    mine = key_of("anna").public
    called = [_on_a_security_key(mine, b"ssh:"), _on_a_security_key(mine, b"ssh:other")]
    for line in called:
        with pytest.raises(ChainError, match="had that key"):
            changed(chain, "AddOfficerKey", {"officer": "anna", "key": line})
        with pytest.raises(ChainError, match="shares a key"):
            changed(chain, "AddOfficerKey", {"officer": "ben", "key": line})
    person_of_two = msgspec.structs.replace(person("ivan", (CO,), keys=("x",)), keys=tuple(called))
    with pytest.raises(ChainError, match="stands twice"):
        changed(chain, "AddOfficer", {"person": json.loads(write_document(person_of_two))})


def _on_a_security_key(key, application):
    fields = (KeyKind.SK_ED25519.encode(), key.point, application)
    return OfficerKey.from_blob(b"".join(map(wire_string, fields))).line


CHANGES_THAT_MAY_NOT_BE = {
    "an id that was somebody's": ("AddOfficer", {"person": json.loads(write_document(person("anna", keys=("x",), principals=())))}, "is or was"),
    "somebody else's key": ("AddOfficer", {"person": json.loads(write_document(person("ivan", (CO,), keys=("gus",))))}, "shares a key"),
    "somebody else's principal": ("AddOfficer", {"person": json.loads(write_document(person("ivan", (CO,), principals=("user/gus",))))}, "shares a key or a principal"),
    "an auditor who operates": ("ChangeOfficerRoles", {"officer": "gus", "roles": ["auditor", "operator"]}, "separate"),
    "both kinds of officer": ("ChangeOfficerRoles", {"officer": "anna", "roles": ["crypto-officer", "security-officer"]}, "separate"),
    "no roles": ("ChangeOfficerRoles", {"officer": "hana", "roles": []}, "there are none"),
    "roles out of order": ("ChangeOfficerRoles", {"officer": "hana", "roles": ["operator", "custodian"]}, "not sorted"),
    "a role that is none": ("ChangeOfficerRoles", {"officer": "hana", "roles": ["king"]}, "not those of"),
    "nobody": ("RevokeOfficer", {"officer": "zoe", "reason": "x"}, "no officer zoe"),
    "a key that is not theirs": ("RevokeOfficerKey", {"officer": "anna", "key": key_of("ben").public.line, "reason": "x"}, "no such key"),
    "a key with a comment": ("AddOfficerKey", {"officer": "anna", "key": key_of("y").public.line + " c"}, "without its comment"),
    "a rule that auditors decide": ("SetQuorumRule", {"verb": "Restore", "rule": _rule(1, role=AUDITOR)}, "approved by auditors"),
    "a rule that nobody can reach": ("SetQuorumRule", {"verb": "Restore", "rule": _rule(4)}, "needs 4 people"),
    "a custody rule that nobody can reach": ("SetQuorumRule", {"verb": "AddOfficer", "rule": _rule(4)}, "needs 4 people"),
    "a standing change of officers": ("SetQuorumRule", {"verb": "AddOfficer", "rule": _rule(standing=True)}, "no standing"),
    "a rule for standing approvals": ("SetQuorumRule", {"verb": "AllowStanding", "rule": _rule()}, "no rule of its own"),
    "no custody rule": ("RemoveQuorumRule", {"verb": "AddOfficer"}, "must have"),
    "no such rule": ("RemoveQuorumRule", {"verb": "Restore"}, "has no rule"),
    "a parameter more": ("RemoveQuorumRule", {"verb": "Backup", "x": 1}, "not those of"),
    "a parameter less": ("RevokeOfficer", {"officer": "anna"}, "not those of"),
    "a verb that changes no officers": ("DestroyRoot", {}, "neither officers nor rules"),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES_THAT_MAY_NOT_BE)
def test_a_change_that_may_not_be_is_refused_though_it_was_approved(chain, case):
    verb, parameters, words = CHANGES_THAT_MAY_NOT_BE[case]
    with pytest.raises(ChainError, match=words) as caught:
        changed(chain, verb, parameters)
    assert caught.value.place == "record 1"


def test_the_last_quorum_of_security_officers_cannot_be_revoked(chain):
    two_left = changed(chain, "RevokeOfficer", {"officer": "cleo", "reason": "left"})
    with pytest.raises(ChainError, match="needs 2 people"):
        changed(two_left, "RevokeOfficer", {"officer": "ben", "reason": "left"})
    with pytest.raises(ChainError, match="needs 2 people"):
        changed(two_left, "ChangeOfficerRoles", {"officer": "ben", "roles": ["operator"]})
    lowered = changed(two_left, "RemoveQuorumRule", {"verb": "DestroyRoot"})
    assert "DestroyRoot" not in lowered.state.rules


def test_crypto_officers_can_be_revoked_though_a_rule_becomes_unreachable(chain):
    for name in ("dora", "emil", "finn"):
        chain = changed(chain, "RevokeOfficer", {"officer": name, "reason": "left"})
    assert chain.state.signers(CO) == []


def _without(records, index):
    return [record for at, record in enumerate(records) if at != index]


def test_a_chain_that_was_tampered_with_names_the_place(chain):
    genesis = signed_genesis()
    records, _ = _records(chain, *STEPS)
    other = begun(cluster="0d" * 16)
    foreign = change(other, *STEPS[0])
    tampered = {
        "record 1": [_without(records, 0), [records[1], records[0], *records[2:]], [foreign, *records[1:]], [b"{}"], [records[0][:-1]]],
        "record 2": [_without(records, 1), [records[0], records[0], *records[1:]]],
        "record 3": [_without(records, 2), [*records[:2], records[3], records[2]]],
        "record 5": [[*records, records[3]], [*records, foreign]],
    }  # fmt: skip
    for place, cases in tampered.items():
        for case in cases:
            with pytest.raises(ChainError) as caught:
                Chain.from_documents(genesis, case)
            assert caught.value.place == place
    with pytest.raises(ChainError) as caught:
        Chain.from_documents(signed_genesis(genesis_body(cluster="0d" * 16)), records)
    assert caught.value.place == "record 1"


def test_a_chain_that_was_cut_off_shows_by_whatever_names_a_later_state(chain):
    records, whole = _records(chain, *STEPS)
    cut = Chain.from_documents(signed_genesis(), records[:2])
    with pytest.raises(ChainError, match=r"record 2: the chain ends here"):
        cut.state_named(whole.state.head)
    with pytest.raises(ChainError, match="the chain has 2 records"):
        cut.state_at(3)


@settings(UNHURRIED, max_examples=60)
@given(st.data())
def test_no_byte_of_a_record_can_be_changed(data):
    chain = begun()
    record = bytearray(change(chain, *STEPS[0]))
    at = data.draw(st.integers(0, len(record) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != record[at]))
    following = change(chain.extended(bytes(record)), *STEPS[1])
    record[at] = byte
    with pytest.raises(
        ChainError
    ):  # "at" alone is not signed by officers: then the next record no longer follows
        Chain.from_documents(signed_genesis(), [bytes(record), following])


def test_records_are_dated_in_order_and_approved_in_time(chain):
    record = read_document(change(chain, *STEPS[0]), Record)
    for at, words in ((NOW - 1, "before the document"), (NOW + 10 + 86_400, "expired")):
        moved = Record(
            type=record.type, sequence=1, request=record.request, approvals=record.approvals, at=at
        )
        with pytest.raises(ChainError, match=words):
            chain.extended(write_document(moved))


def test_a_request_changes_the_chain_once_at_most(chain):
    request = ask(chain.state, "RemoveQuorumRule", {"verb": "Backup"})
    signatures = tuple(map(text_of, approve(request, "anna", "ben")))
    records = [Record("strongroom-record-v1", n, request, signatures, NOW) for n in (1, 2)]
    once = chain.extended(write_document(records[0]))
    with pytest.raises(ChainError, match="does not follow"):
        once.extended(write_document(records[1]))


@pytest.mark.parametrize("sequence", [1, 3])
def test_a_record_says_in_which_place_it_stands(chain, sequence):
    second = changed(chain, *STEPS[0])
    record = read_document(change(second, *STEPS[1]), Record)
    with pytest.raises(ChainError, match=f"record {sequence} stands in its place"):
        second.extended(write_document(msgspec.structs.replace(record, sequence=sequence)))


GENESES_THAT_MAY_NOT_BE = {
    "no rule for a custody verb": ({"rules": {k: v for k, v in RULES.items() if k != CUSTODY_VERBS[0]}}, "has no rule"),
    "a rule that nobody can reach": ({"rules": RULES | {"Backup": QuorumRule(9, CO, 60, False)}}, "needs 9 people"),
    "incompatible roles": ({"people": PEOPLE | {"anna": (SO, CO)}}, "separate"),
}  # fmt: skip


@pytest.mark.parametrize("case", GENESES_THAT_MAY_NOT_BE)
def test_a_genesis_that_may_not_be_is_refused(case):
    changes, words = GENESES_THAT_MAY_NOT_BE[case]
    with pytest.raises(ChainError, match=rf"genesis: .*{words}"):
        Chain.from_documents(signed_genesis(genesis_body(**changes), signers=("anna", "ben", "cleo")))


def test_nobody_stands_twice_in_a_genesis():
    people = tuple(person(name) for name in (*PEOPLE, "anna"))
    shared = (*(person(name) for name in PEOPLE), person("ivan", (CO,), keys=("anna",)))
    for case, words in ((people, "id stands twice"), (shared, "shares a key")):
        body = genesis_body()
        body = type(body)(**{name: getattr(body, name) for name in body.__struct_fields__} | {"people": case})
        with pytest.raises(ChainError, match=words):
            Chain.from_documents(signed_genesis(body, signers=("anna", "ben", "cleo")))


@pytest.mark.parametrize(
    "signers",
    [(), ("anna",), ("anna", "ben"), ("anna", "ben", "dora"), ("ben", "anna", "cleo"), ("anna", "ben", "ben"), ("anna", "ben", "cleo", "dora"), ("anna", "ben", "stranger")],
)  # fmt: skip
def test_a_genesis_is_signed_by_all_its_security_officers_and_nobody_else(signers):
    with pytest.raises(ChainError) as caught:
        Chain.from_documents(signed_genesis(signers=signers) if signers else _unsigned())
    assert caught.value.place == "genesis"


def _unsigned():
    document = json.loads(signed_genesis())
    document["signatures"] = []
    return canonical_json(document)


@pytest.mark.parametrize(
    "pair", [(CO, SO), *((AUDITOR, role) for role in Role if role is not AUDITOR)], ids="+".join
)
def test_duties_that_must_be_separate_are(chain, pair):
    with pytest.raises(ChainError, match="separate"):
        changed(chain, "AddOfficer", {"person": json.loads(write_document(person("ivan", sorted(pair))))})
