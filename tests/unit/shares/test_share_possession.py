"""Proofs that a share is held: bound to share, set and challenge, and nothing else passes."""

import hashlib
import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.core import Secret
from strongroom.shares import (
    PossessionError,
    Share,
    SharePlan,
    check_possession,
    possession_public_key,
    prove_possession,
    read_share,
    split,
)

SET, OTHER_SET = bytes(range(16)), bytes(range(1, 17))
CHALLENGE, OTHER_CHALLENGE = bytes(range(32)), bytes(range(1, 33))
SHARES = split(Secret(bytes(range(32))), SharePlan(2, 3))
KEYS = [possession_public_key(share, SET) for share in SHARES]


def test_whoever_has_the_words_proves_it():
    typed = read_share(" ".join(SHARES[1].words))
    check_possession(KEYS[1], SET, CHALLENGE, prove_possession(typed, SET, CHALLENGE))


def test_a_proof_holds_for_its_share_set_and_challenge_alone():
    made = [
        (key, set_id, challenge)
        for key in range(3)
        for set_id in (SET, OTHER_SET)
        for challenge in (CHALLENGE, OTHER_CHALLENGE)
    ]
    for proved, asked in itertools.product(made, made):
        share, set_id, challenge = proved
        proof = prove_possession(SHARES[share], set_id, challenge)
        key = possession_public_key(SHARES[asked[0]], asked[1])
        if proved == asked:
            check_possession(key, asked[1], asked[2], proof)
        else:
            with pytest.raises(PossessionError):
                check_possession(key, asked[1], asked[2], proof)


@pytest.mark.parametrize(
    "other", [{"set_identifier": 4712}, {"index": 1}, {"threshold": 2}, {"group_index": 2}], ids=str
)
def test_one_value_that_says_something_else_of_itself_has_another_key(other):
    share = Share(4711, 2, 3, Secret(bytes(range(32))), group_count=2)
    assert possession_public_key(replace(share, **other), SET) != possession_public_key(share, SET)


def test_one_share_has_another_key_in_another_set():
    assert possession_public_key(SHARES[0], OTHER_SET) != KEYS[0]


def test_keys_and_proofs_stay_what_they_are():
    """Documents of sets that were made once hold these keys: custodians could prove nothing any more under other ones."""
    share = Share(4711, 2, 3, Secret(bytes(range(32))))
    assert possession_public_key(share, SET).hex() == (
        "3acaee985c0d3c314a846b4002bd7b66608a72a05223481225093fd7141cbc8d"
    )
    assert hashlib.sha256(prove_possession(share, SET, CHALLENGE)).hexdigest() == (
        "a1972ca64e825e0e55ae16555a84b7887540e78b74a7da75b0470db9a881d2b7"
    )


@given(st.binary(max_size=100))
def test_no_other_bytes_are_a_proof(proof):
    with pytest.raises(PossessionError):
        check_possession(KEYS[0], SET, CHALLENGE, proof)


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), b"\xff" * 32, bytes(32)])
def test_a_key_that_is_none_checks_nothing(key):
    with pytest.raises(PossessionError):
        check_possession(key, SET, CHALLENGE, prove_possession(SHARES[0], SET, CHALLENGE))


@pytest.mark.parametrize(
    ("set_id", "challenge"), [(b"", CHALLENGE), (bytes(17), CHALLENGE), (SET, bytes(15)), (SET, bytes(1025))]
)
def test_sets_and_challenges_of_other_lengths_are_refused(set_id, challenge):
    with pytest.raises(PossessionError):
        prove_possession(SHARES[0], set_id, challenge)
    with pytest.raises(PossessionError):
        check_possession(KEYS[0], set_id, challenge, bytes(64))
