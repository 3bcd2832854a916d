"""Enrolments: signed by every key that is enrolled, and by nothing else."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes_custody import CO, NOW, UNHURRIED, key_of, text_of
from strongroom.custody import (
    NAMESPACE_APPROVAL,
    NAMESPACE_ENROLMENT,
    CustodyError,
    MalformedDocumentError,
    Person,
    SignatureRefusedError,
    StateRefusedError,
    canonical_json,
    describe_enrolment,
    make_enrolment,
    person_enrolled,
    verify_enrolment,
    write_document,
)

AGE = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"


def enrolled(*keys, officer_id="anna", name="Anna Ash", recipient=AGE):
    return make_enrolment(
        officer_id, name, [key_of(key) for key in keys or ("anna",)], recipient=recipient, now=NOW
    )


def _changed(data, **members):
    document = json.loads(data)
    document["body"] |= members
    return canonical_json(document)


def _resigned(data, *signatures):
    return canonical_json(json.loads(data) | {"signatures": [text_of(blob) for blob in signatures]})


def _body_bytes(data):
    return canonical_json(json.loads(data)["body"])


def test_an_enrolment_gives_a_person_and_others_give_the_roles():
    body = verify_enrolment(enrolled("anna", "anna-2"))
    assert person_enrolled(body, [CO], ["user/anna"]) == Person(
        id="anna", name="Anna Ash", roles=(CO,), keys=(key_of("anna").public.line, key_of("anna-2").public.line),
        principals=("user/anna",), recipient=AGE,
    )  # fmt: skip
    lines = describe_enrolment(body)
    assert lines[0] == '"Anna Ash" (anna) says that these keys are theirs, and has signed with each of them.'
    assert f"  key        {key_of('anna-2').public.fingerprint} (ssh-ed25519)" in lines


@pytest.mark.parametrize(
    "change",
    [
        {"id": "ben"},
        {"name": "Anna Birch"},
        {"recipient": ""},
        {"created": NOW + 1},
        {"keys": [key_of("ben").public.line]},
    ],
)
def test_nothing_of_it_can_be_changed(change):
    with pytest.raises(SignatureRefusedError):
        verify_enrolment(_changed(enrolled(), **change))


def test_each_key_has_signed_in_its_place_and_for_this_purpose():
    data = enrolled("anna", "anna-2")
    first, second = (key_of(name).sign(_body_bytes(data), NAMESPACE_ENROLMENT) for name in ("anna", "anna-2"))
    assert verify_enrolment(_resigned(data, first, second)).id == "anna"
    approval = key_of("anna-2").sign(_body_bytes(data), NAMESPACE_APPROVAL)
    other = key_of("ben").sign(_body_bytes(data), NAMESPACE_ENROLMENT)
    for wrong in ((first,), (second, first), (first, first), (first, approval), (first, other), (first, second, first)):  # fmt: skip
        with pytest.raises(SignatureRefusedError):
            verify_enrolment(_resigned(data, *wrong))


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"officer_id": "Anna"}, MalformedDocumentError),
        ({"officer_id": "anna\n"}, MalformedDocumentError),
        ({"name": ""}, MalformedDocumentError),
        ({"name": "x" * 201}, MalformedDocumentError),
        ({"name": "Anna\nAsh"}, StateRefusedError),
        ({"name": "Anna\u202eAsh"}, StateRefusedError),
        ({"recipient": "anna@example.com"}, StateRefusedError),
    ],
)
def test_what_no_officer_may_have_is_refused_before_any_key_signs(arguments, kind):
    class NeverSigns:
        public = key_of("anna").public

    with pytest.raises(kind):
        make_enrolment(
            **{"officer_id": "anna", "name": "Anna", "recipient": "", "now": NOW, "signers": [NeverSigns()]}
            | arguments
        )


def test_a_key_stands_once_and_there_are_eight_at_most():
    with pytest.raises(StateRefusedError, match="twice"):
        enrolled("anna", "anna")
    for keys in ([], [f"key-{n}" for n in range(9)]):
        with pytest.raises(MalformedDocumentError):
            make_enrolment("anna", "Anna", [key_of(key) for key in keys], recipient="", now=NOW)


def test_other_documents_are_no_enrolments():
    body = verify_enrolment(enrolled())
    for data in (write_document(body), b"{}", b"[]", b"", enrolled() + b"\n", bytes(70_000)):
        with pytest.raises(MalformedDocumentError):
            verify_enrolment(data)


@settings(UNHURRIED, max_examples=60)
@given(st.data())
def test_no_byte_can_be_changed(data):
    document = bytearray(enrolled())
    at = data.draw(st.integers(0, len(document) - 1))
    document[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != document[at]))
    with pytest.raises(CustodyError):
        verify_enrolment(bytes(document))


@UNHURRIED
@given(
    st.binary(max_size=300)
    | st.dictionaries(
        st.sampled_from(["body", "signatures", "type"]), st.lists(st.text(max_size=5), max_size=3)
    ).map(canonical_json)
)
def test_hostile_bytes_are_refused(data):
    with pytest.raises(CustodyError):
        verify_enrolment(data)
