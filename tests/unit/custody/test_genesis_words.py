"""What security officers read before they sign a genesis, and what they are asked to think about."""

from hypothesis import given
from hypothesis import strategies as st

from fakes_custody import CO, NOW, PEOPLE, RULES, SO, UNHURRIED, genesis_body, key_of, person
from strongroom.custody import (
    ACTS,
    CUSTODY_VERBS,
    DEFAULT_RULES,
    VERB_WORDS,
    GenesisBody,
    QuorumRule,
    Role,
    check_genesis_body,
    describe_genesis,
    describe_hash,
    genesis_warnings,
    hash_of_body,
    rule_in_words,
    spoken,
)

AGE = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"


def _body(*people, rules=None):
    return GenesisBody(
        type="strongroom-genesis-v1",
        cluster="0c" * 16,
        name="test",
        created=NOW,
        people=people or tuple(person(name, recipient="") for name in PEOPLE),
        rules=dict(DEFAULT_RULES if rules is None else rules),
    )


def test_everything_that_is_signed_is_shown():
    body = genesis_body()
    shown = "\n".join(describe_genesis(body))
    assert '"test cluster"' in shown
    assert body.cluster in shown
    for one in body.people:
        assert f"    {one.id}: " in shown
        assert key_of(one.id).public.fingerprint in shown
        assert f'calls as   "user/{one.id}"' in shown
    for verb, rule in RULES.items():
        assert any(verb in line and line.endswith(rule_in_words(rule)) for line in describe_genesis(body))
    assert "2026-09-21 14:13:20 UTC" in shown


def test_rules_have_words():
    assert rule_in_words(QuorumRule(1, SO, 3_600, True)) == (
        "1 person who is security-officer, within 1 hour; may be allowed beforehand, within bounds"
    )
    assert (
        rule_in_words(QuorumRule(2, CO, 172_800, False)) == "2 people who are crypto-officer, within 2 days"
    )
    assert rule_in_words(QuorumRule(2, CO, 61, False)).endswith("within 61 seconds")


def test_a_hash_is_shown_in_hex_and_in_words():
    hashed = hash_of_body(genesis_body())
    lines = describe_hash(hashed)
    assert hashed in lines[0]
    assert tuple(" ".join(lines[1:]).split()) == spoken(hashed)
    assert len(spoken(hashed)) == 32


def test_the_default_rules_make_a_genesis_and_every_act_of_custody_has_one():
    assert {*CUSTODY_VERBS, *ACTS} <= DEFAULT_RULES.keys() <= VERB_WORDS.keys()
    check_genesis_body(_body())
    assert {rule.m for rule in DEFAULT_RULES.values()} == {2}


def test_an_act_without_a_rule_and_a_rule_without_an_act_are_named():
    rules = {verb: rule for verb, rule in DEFAULT_RULES.items() if verb != "RotatePin"} | {
        "RotatePins": DEFAULT_RULES["RotatePin"]
    }
    warnings = genesis_warnings(_body(rules=rules))
    assert any(one.startswith("RotatePin has no rule") for one in warnings)
    assert any(one.startswith("RotatePins is no act") for one in warnings)


def test_rules_that_one_person_meets_or_that_need_everybody_are_named():
    people = (person("anna", recipient=AGE), person("ben", (SO,)), person("dora", principals=()), person("emil"), person("finn"))  # fmt: skip
    rules = DEFAULT_RULES | {"CreateHsmKey": QuorumRule(1, CO, 60, False)}
    warnings = "\n".join(genesis_warnings(_body(*people, rules=rules)))
    assert "one person alone is enough for CreateHsmKey" in warnings
    assert "all 2 people who are security-officer are needed for AddMember, " in warnings
    assert "all 3" not in warnings
    assert "ben has no recipient" in warnings
    assert "anna has no recipient" not in warnings
    assert "dora has no principal" in warnings


def test_a_genesis_without_a_worry_has_no_warning():
    people = tuple(
        person(name, recipient=key_of(name).public.line)
        for name in PEOPLE
        if Role.AUDITOR not in PEOPLE[name]
    )
    assert genesis_warnings(_body(*people)) == []


@UNHURRIED
@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_no_name_drives_the_terminal(name, principal):
    body = _body(person("anna", full_name=name, principals=(principal,)), rules=DEFAULT_RULES)
    assert all(line.isprintable() for line in describe_genesis(body))
