"""What custodians sign and answer: each for one purpose, one set and one person, and nothing else is taken for it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes_custody import UNHURRIED, key_of
from held_sets import make_set
from strongroom.custody import NAMESPACE_APPROVAL, CustodyError, canonical_json
from strongroom.shares import PossessionError
from strongroom.wiring.custodian_documents import (
    CHALLENGE_VALID_S,
    MAX_DOCUMENT_BYTES,
    NAMESPACE_CUSTODIAN,
    Acknowledgement,
    Challenge,
    CustodianDocumentError,
    Duty,
    Proof,
    answer_challenge,
    check_proof,
    make_challenge,
    paper_acknowledgement,
    read_custodian_document,
    signed_acknowledgement,
    verify_acknowledgement,
    write_custodian_document,
)
from strongroom.wiring.custodian_duty import duty_in_words, duty_of

NOW = 1_800_000_000
KINDS = (Duty, Acknowledgement, Challenge, Proof)


@pytest.fixture(scope="module")
def made():
    return make_set()


def challenge_of(made, name="anna", now=NOW):
    holder = next(one for one in made.document.custodians if one.id == name)
    challenge = make_challenge(
        set_id=made.set_id, custodian=name, name=holder.name, share=holder.share_index, now=now
    )
    return write_custodian_document(challenge), holder.possession_key


def answer(data, share):
    return write_custodian_document(answer_challenge(data, share))


def duty(**changes):
    values = {
        "set_id": bytes(16),
        "custodian": "anna",
        "name": "Anna",
        "share": 1,
        "threshold": 3,
        "count": 5,
    }
    return duty_of(**(values | changes))


def test_every_custodian_can_answer_their_challenge(made):
    for name, share in made.shares.items():
        data, key = challenge_of(made, name)
        assert check_proof(answer(data, share), data, key, now=NOW + 1).custodian == name


def test_a_share_answers_no_challenge_for_another_one(made):
    data, _ = challenge_of(made, "anna")
    with pytest.raises(CustodianDocumentError, match="is share 2"):
        answer_challenge(data, made.shares["ben"])


def test_the_same_number_of_another_set_proves_nothing(made):
    data, key = challenge_of(made)
    other = make_set("ab" * 16)
    with pytest.raises(PossessionError):
        check_proof(answer(data, other.shares["anna"]), data, key, now=NOW)


def test_an_answer_to_an_earlier_challenge_is_refused(made):
    first, key = challenge_of(made)
    second, _ = challenge_of(made)
    with pytest.raises(CustodianDocumentError, match="another challenge"):
        check_proof(answer(first, made.shares["anna"]), second, key, now=NOW)


def test_an_answer_counts_until_the_last_second_and_no_longer(made):
    data, key = challenge_of(made)
    proof = answer(data, made.shares["anna"])
    check_proof(proof, data, key, now=NOW + CHALLENGE_VALID_S)
    with pytest.raises(CustodianDocumentError, match="expired"):
        check_proof(proof, data, key, now=NOW + CHALLENGE_VALID_S + 1)


@UNHURRIED
@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_an_altered_proof_is_refused_whichever_bit_it_is(made, at, bit):
    data, key = challenge_of(made)
    proof = bytearray(answer(data, made.shares["anna"]))
    proof[at % len(proof)] ^= 1 << bit
    with pytest.raises((CustodianDocumentError, PossessionError)):
        check_proof(bytes(proof), data, key, now=NOW)


@pytest.mark.parametrize("kind", KINDS)
@UNHURRIED
@given(data=st.binary(max_size=200) | st.recursive(st.text(max_size=5) | st.integers(0, 99), lambda inner: st.dictionaries(st.text(max_size=8), inner, max_size=5)).map(canonical_json))  # fmt: skip
def test_whatever_comes_is_a_document_or_refused(kind, data):
    with pytest.raises(CustodianDocumentError):
        read_custodian_document(data, kind)


def test_a_document_is_read_in_its_one_spelling_and_within_bounds(made):
    data, _ = challenge_of(made)
    assert write_custodian_document(read_custodian_document(data, Challenge)) == data
    for other in (data + b"\n", data.replace(b":", b": ", 1), data[:-1] + b',"more":1}'):
        with pytest.raises(CustodianDocumentError):
            read_custodian_document(other, Challenge)
    with pytest.raises(CustodianDocumentError, match="longer"):
        read_custodian_document(b"[" + b"0," * MAX_DOCUMENT_BYTES + b"0]", Challenge)


def test_a_duty_is_the_same_whenever_it_is_made_and_says_everything_in_words():
    words = "\n".join(duty_in_words(duty()))
    assert duty() == duty()
    assert "Anna (anna)" in words
    assert "share 1 of 5" in words
    assert "Any 3 of" in words
    assert all(text in words for text in duty().duties)


def test_an_acknowledgement_holds_the_signature_and_the_key_that_made_it():
    signature = key_of("anna").sign(write_custodian_document(duty()), NAMESPACE_CUSTODIAN)
    found = signed_acknowledgement(duty(), signature, recorded_by="local/1000", now=NOW)
    assert found.key == key_of("anna").public.line
    assert verify_acknowledgement(write_custodian_document(found)) == found


@pytest.mark.parametrize(
    "changes", [{"share": 2}, {"threshold": 2}, {"custodian": "ben"}, {"set_id": b"x" * 16}]
)
def test_a_signature_of_another_duty_is_refused(changes):
    signature = key_of("anna").sign(write_custodian_document(duty(**changes)), NAMESPACE_CUSTODIAN)
    with pytest.raises(CustodyError):
        signed_acknowledgement(duty(), signature, recorded_by="local/1000", now=NOW)


def test_a_signature_for_another_purpose_is_refused():
    signature = key_of("anna").sign(write_custodian_document(duty()), NAMESPACE_APPROVAL)
    with pytest.raises(CustodyError, match="another purpose"):
        signed_acknowledgement(duty(), signature, recorded_by="local/1000", now=NOW)


def test_what_was_signed_on_paper_says_who_saw_it():
    found = paper_acknowledgement(duty(), seen_by="Gus", recorded_by="local/1000", now=NOW)
    assert verify_acknowledgement(write_custodian_document(found)).seen_by == "Gus"
    for nobody in ("", "  ", "Gus\x1b[2J"):
        with pytest.raises(CustodianDocumentError, match="who saw"):
            paper_acknowledgement(duty(), seen_by=nobody, recorded_by="local/1000", now=NOW)


@pytest.mark.parametrize("changes", [{"seen_by": "Gus"}, {"signature": ""}, {"key": "ssh-ed25519 other"}, {"duty": duty(share=2)}])  # fmt: skip
def test_a_stored_acknowledgement_that_was_altered_does_not_verify(changes):
    signature = key_of("anna").sign(write_custodian_document(duty()), NAMESPACE_CUSTODIAN)
    found = signed_acknowledgement(duty(), signature, recorded_by="local/1000", now=NOW)
    with pytest.raises((CustodianDocumentError, CustodyError)):
        verify_acknowledgement(write_custodian_document(msgspec.structs.replace(found, **changes)))
