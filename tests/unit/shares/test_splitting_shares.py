"""Splitting and combining: every subset, both directions against the reference, and each way in which it fails."""

import dataclasses
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shamir_mnemonic import combine_mnemonics, generate_mnemonics

from strongroom.core import Secret
from strongroom.shares import (
    DuplicateShareError,
    ForeignShareError,
    SharePlan,
    SharePlanError,
    TooFewSharesError,
    TooManyIterationsError,
    WrongSharesError,
    combine,
    read_share,
    split,
    split_groups,
)
from strongroom.shares._field import interpolate

SECRET = Secret(bytes(range(7, 39)))
SECRETS = st.integers(8, 32).flatmap(lambda half: st.binary(min_size=2 * half, max_size=2 * half)).map(Secret)
PLANS = st.integers(2, 16).flatmap(lambda count: st.builds(SharePlan, st.integers(2, count), st.just(count)))
PASSPHRASES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20).map(str.encode)


def _texts(shares):
    return [" ".join(share.words) for share in shares]


def _forged(share, **changes):
    kept = {
        "set_identifier": share.set_identifier,
        "index": share.index,
        "threshold": share.threshold,
        "value": Secret(share.value.reveal()),
    }
    return type(share)(**kept | changes)


@pytest.mark.parametrize("plan", [SharePlan(2, 3), SharePlan(3, 5), SharePlan(4, 6), SharePlan(5, 5)])
def test_each_subset_of_enough_shares_makes_the_secret_and_none_of_fewer(plan):
    shares = split(SECRET, plan)
    for size in range(1, plan.count + 1):
        for subset in (
            itertools.permutations(shares, size) if size == 2 else itertools.combinations(shares, size)
        ):
            if size >= plan.threshold:
                assert combine(subset).matches(SECRET)
            else:
                with pytest.raises(TooFewSharesError) as refused:
                    combine(subset)
                assert (refused.value.have, refused.value.need) == (size, plan.threshold)


@settings(max_examples=10, deadline=None)
@given(secret=SECRETS, plan=PLANS, passphrase=PASSPHRASES, data=st.data())
def test_the_reference_makes_the_secret_of_our_shares(secret, plan, passphrase, data):
    shares = split(secret, plan, passphrase=passphrase)
    some = data.draw(st.permutations(shares))[: plan.threshold]
    assert combine_mnemonics(_texts(some), passphrase) == secret.reveal()
    assert combine(some, passphrase=passphrase).matches(secret)


@settings(max_examples=10, deadline=None)
@given(secret=SECRETS, plan=PLANS, passphrase=PASSPHRASES, extendable=st.booleans(), data=st.data())
def test_we_make_the_secret_of_the_references_shares(secret, plan, passphrase, extendable, data):
    (texts,) = generate_mnemonics(
        1, [(plan.threshold, plan.count)], secret.reveal(), passphrase, extendable, iteration_exponent=0
    )
    some = data.draw(st.permutations(texts))[: plan.threshold]
    assert combine([read_share(text) for text in some], passphrase=passphrase).matches(secret)


def test_two_levels_go_both_ways():
    groups = split_groups(
        SECRET, 2, [SharePlan(2, 3), SharePlan(1, 1), SharePlan(3, 5)], passphrase=b"p", iteration_exponent=0
    )
    for first, second in itertools.combinations(groups, 2):
        some = [*first[-first[0].threshold :], *second[-second[0].threshold :]]
        assert combine_mnemonics(_texts(some), b"p") == SECRET.reveal()
        assert combine(some, passphrase=b"p").matches(SECRET)
    theirs = generate_mnemonics(2, [(2, 3), (1, 1), (3, 5)], SECRET.reveal(), b"p", iteration_exponent=0)
    some = [read_share(text) for text in (*theirs[2][2:], *theirs[0][:2])]
    assert combine(some, passphrase=b"p").matches(SECRET)
    assert combine([*some, read_share(theirs[1][0])], passphrase=b"p").matches(SECRET)
    with pytest.raises(TooFewSharesError, match="2 complete groups are needed, and there is 1"):
        combine([*groups[0][:1], *groups[2][:3]])


def test_another_passphrase_makes_another_secret_and_nobody_is_told():
    shares = split(SECRET, SharePlan(2, 2), passphrase=b"right")
    assert not combine(shares, passphrase=b"wrong").matches(SECRET)
    assert not combine(shares).matches(SECRET)


def test_no_two_splits_are_alike():
    one, other = split(SECRET, SharePlan(2, 2)), split(SECRET, SharePlan(2, 2))
    assert not one[0].value.matches(other[0].value)
    assert not one[1].value.matches(other[1].value)


def test_shares_of_another_set_are_told_apart_by_their_place():
    ours, theirs = split(SECRET, SharePlan(3, 5)), split(SECRET, SharePlan(3, 5))
    theirs = [_forged(share, set_identifier=ours[0].set_identifier ^ 1) for share in theirs]
    for given_, positions in (
        ([ours[0], ours[1], theirs[2]], (3,)),
        ([theirs[4], ours[0], ours[1]], (1,)),
        ([ours[0], theirs[1], theirs[2]], (1,)),
        ([ours[0], theirs[1]], (2,)),
        ([ours[0], theirs[1], ours[3], theirs[2], ours[4]], (2, 4)),
    ):
        with pytest.raises(ForeignShareError) as refused:
            combine(given_)
        assert refused.value.positions == positions


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"threshold": 2}, "2 shares are needed"),
        ({"iteration_exponent": 2}, "iterations"),
        ({"is_extendable": False}, "passphrase"),
        ({"group_count": 2}, "number of groups"),
        ({"value": Secret(bytes(16))}, "length"),
    ],
)
def test_a_share_that_says_something_else_of_the_set_is_refused(change, words):
    shares = split(SECRET, SharePlan(3, 3))
    with pytest.raises(ForeignShareError, match=words) as refused:
        combine([shares[0], shares[1], _forged(shares[2], **change)])
    assert refused.value.positions == (3,)


def test_a_share_that_comes_twice_is_not_two():
    shares = split(SECRET, SharePlan(3, 5))
    with pytest.raises(DuplicateShareError, match="share 2 came twice") as refused:
        combine([shares[1], shares[0], shares[1]])
    assert (refused.value.index, refused.value.positions, refused.value.is_same) == (2, (1, 3), True)


def test_two_shares_of_one_number_are_not_the_same():
    shares = split(SECRET, SharePlan(2, 3))
    with pytest.raises(DuplicateShareError, match="both say that they are share 1") as refused:
        combine([shares[0], _forged(shares[0], value=Secret(bytes(32)))])
    assert not refused.value.is_same


@pytest.mark.parametrize("wrong", range(5))
def test_a_share_that_was_made_up_is_found_out_also_among_more_than_are_needed(wrong):
    shares = list(split(SECRET, SharePlan(3, 5)))
    altered = bytearray(shares[wrong].value.reveal())
    altered[3] ^= 1
    shares[wrong] = _forged(shares[wrong], value=Secret(altered))
    with pytest.raises(WrongSharesError):
        combine(shares)
    with pytest.raises(WrongSharesError):
        combine([shares[wrong], shares[(wrong + 1) % 5], shares[(wrong + 2) % 5]])


@pytest.mark.parametrize("plan", [SharePlan(2, 3), SharePlan(3, 5), SharePlan(4, 6), SharePlan(5, 5)])
def test_one_share_fewer_lies_on_no_polynomial_through_the_secret_or_the_other_shares(plan):
    """What a share says of itself stops nobody: so many values are not enough, whoever computes."""
    values = {share.index - 1: int.from_bytes(share.value.reveal(), "big") for share in split(SECRET, plan)}
    secret = interpolate(dict(list(values.items())[: plan.threshold]), 255)
    for few in itertools.combinations(values.items(), plan.threshold - 1):
        assert interpolate(dict(few), 255) != secret
        for index in values.keys() - dict(few).keys():
            assert interpolate(dict(few), index) != values[index]


def test_groups_of_which_one_would_do_and_that_make_different_secrets_are_found_out():
    plans = (SharePlan(2, 2), SharePlan(2, 2))
    ours, theirs = split_groups(SECRET, 1, plans), split_groups(Secret(bytes(32)), 1, plans)
    identifier = ours[0][0].set_identifier
    other = [dataclasses.replace(share, set_identifier=identifier) for share in theirs[1]]
    assert combine(ours[0]).matches(SECRET)
    with pytest.raises(WrongSharesError):
        combine([*ours[0], *other])


@pytest.mark.parametrize("exponent", [6, 15])
def test_shares_that_ask_for_minutes_of_computing_are_refused_at_once(exponent):
    shares = [_forged(share, iteration_exponent=exponent) for share in split(SECRET, SharePlan(2, 2))]
    with pytest.raises(TooManyIterationsError, match="iterations"):
        combine(shares)


def test_no_share_at_all_is_too_few():
    with pytest.raises(TooFewSharesError):
        combine([])


@pytest.mark.parametrize(
    ("secret", "threshold", "groups", "passphrase", "exponent"),
    [
        (bytes(14), 1, [SharePlan(2, 3)], b"", 0),
        (bytes(33), 1, [SharePlan(2, 3)], b"", 0),
        (bytes(66), 1, [SharePlan(2, 3)], b"", 0),
        (bytes(32), 0, [SharePlan(2, 3)], b"", 0),
        (bytes(32), 2, [SharePlan(2, 3)], b"", 0),
        (bytes(32), 1, [], b"", 0),
        (bytes(32), 1, [SharePlan(1, 1)] * 17, b"", 0),
        (bytes(32), 1, [SharePlan(0, 3)], b"", 0),
        (bytes(32), 1, [SharePlan(1, 3)], b"", 0),
        (bytes(32), 1, [SharePlan(4, 3)], b"", 0),
        (bytes(32), 1, [SharePlan(2, 17)], b"", 0),
        (bytes(32), 1, [SharePlan(2, 3)], "ü".encode(), 0),
        (bytes(32), 1, [SharePlan(2, 3)], b"\n", 0),
        (bytes(32), 1, [SharePlan(2, 3)], b"", 6),
        (bytes(32), 1, [SharePlan(2, 3)], b"", 16),
        (bytes(32), 1, [SharePlan(2, 3)], b"", -1),
    ],
)
def test_what_the_standard_does_not_have_is_refused(secret, threshold, groups, passphrase, exponent):
    with pytest.raises(SharePlanError):
        split_groups(Secret(secret), threshold, groups, passphrase=passphrase, iteration_exponent=exponent)


def test_one_person_alone_never_holds_the_secret():
    with pytest.raises(SharePlanError):
        split(SECRET, SharePlan(1, 1))
