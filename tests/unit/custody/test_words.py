"""What officers read: everything that they sign, and nothing that deceives their terminal."""

import json

from hypothesis import given
from hypothesis import strategies as st

from fakes_custody import RULES, UNHURRIED, ask, begun, changed, person
from strongroom.custody import (
    CUSTODY_VERBS,
    STANDING_VERB,
    VERB_WORDS,
    describe_request,
    document_hash,
    neutral,
    write_document,
)

STATE = begun(rules=RULES | {"RetireRoot": RULES["DestroyRoot"]}).state
PARAMETERS = st.dictionaries(
    st.text(min_size=1, max_size=8),
    st.recursive(
        st.text(max_size=12) | st.integers(-99, 99) | st.booleans() | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)


def test_a_request_reads_as_words():
    request = ask(
        STATE,
        "RetireRoot",
        {"root_id": "ab" * 16, "members": ["alpha", "beta"], "limits": {"s": 5}},
        requester="user/anna",
    )
    lines = describe_request(request, STATE)
    assert lines[0].startswith("DESTROY an old root key on every member")
    assert [line.strip() for line in lines[2:13]] == [
        "act          RetireRoot",
        "parameters",
        '"limits":', '"s": 5',
        '"members":', '- "alpha"', '- "beta"',
        f'"root_id": "{"ab" * 16}"',
        'asked for by "user/anna" = "Anna" (anna)',
        "asked at     2026-09-21 14:13:20 UTC",
        "good until   2026-09-21 15:13:20 UTC",
    ]  # fmt: skip
    assert lines[-2] == f"  SHA-256      {document_hash(write_document(request))}"
    assert lines[-1] == "  needs        2 people who are security-officer, whoever asked not among them"


def test_an_act_without_words_is_shown_with_a_warning():
    rule = {"m": 1, "role": "crypto-officer", "expires_s": 60, "standing": False}
    chain = changed(begun(), "SetQuorumRule", {"verb": "Frobnicate", "rule": rule})
    lines = describe_request(ask(chain.state, "Frobnicate", {}), chain.state)
    assert lines[0].startswith("UNKNOWN ACT")
    assert "  parameters   none" in lines
    assert lines[-1].startswith("  needs        1 person who is crypto-officer")


def test_a_request_that_is_void_or_without_a_rule_says_so():
    request = ask(STATE, "DestroyRoot", {})
    later = changed(begun(), "RemoveQuorumRule", {"verb": "Backup"})
    assert "VOID" in describe_request(request, later.state)[-1]
    without = changed(begun(), "RemoveQuorumRule", {"verb": "DestroyRoot"})
    assert "nothing helps: the policy has no rule" in describe_request(request, without.state)[-1]


def test_every_verb_of_custody_has_words():
    assert {*CUSTODY_VERBS, STANDING_VERB} <= VERB_WORDS.keys()
    assert all(neutral(words) == words for words in VERB_WORDS.values())


def test_people_can_be_told_apart_by_what_is_shown():
    wanted = {
        "person": json.loads(
            write_document(person("ivan", ("operator",), full_name="Ivan\u202egro.liame\x1b[2J"))
        )
    }
    shown = "\n".join(describe_request(ask(STATE, "AddOfficer", wanted), STATE))
    assert '"name": "Ivan\\u202egro.liame\\x1b[2J"' in shown


def test_what_cannot_be_seen_is_shown():
    shown = "\n".join(
        describe_request(
            ask(STATE, "DestroyRoot", {"a": "x" + " " * 70 + "act", "b": "\u3164\ufe0f", "c": "a\xa0b c"})
        )
    )
    assert '"a": "x ' + "\\x20" * 69 + 'act"' in shown
    assert '"b": "\\u3164\\ufe0f"' in shown
    assert '"c": "a\\xa0b c"' in shown


@UNHURRIED
@given(PARAMETERS, st.text(min_size=1, max_size=20))
def test_nothing_that_is_signed_drives_the_terminal(parameters, requester):
    lines = describe_request(ask(STATE, "DestroyRoot", parameters, requester=requester), STATE)
    assert all(line.isprintable() for line in lines)


@UNHURRIED
@given(PARAMETERS, PARAMETERS)
def test_different_parameters_read_differently(one, other):
    shown = [describe_request(ask(STATE, "DestroyRoot", p))[:-1] for p in (one, other)]
    assert (shown[0] == shown[1]) == (json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True))
