"""Words that are typed: what is read, what is refused and how much the refusal says."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from strongroom.core import Secret
from strongroom.shares import (
    MAX_TEXT_CHARS,
    Share,
    ShareChecksumError,
    ShareError,
    ShareFormatError,
    ShareLengthError,
    UnknownWordError,
    read_share,
)
from strongroom.shares._checksum import checksum
from strongroom.shares._word_list import WORDS

NIBBLES = st.integers(1, 16)


@st.composite
def shares(draw):
    groups = draw(NIBBLES)
    return Share(
        set_identifier=draw(st.integers(0, 2**15 - 1)),
        index=draw(NIBBLES),
        threshold=draw(NIBBLES),
        value=Secret(
            draw(st.sampled_from((16, 18, 24, 32, 64)).flatmap(lambda n: st.binary(min_size=n, max_size=n)))
        ),
        iteration_exponent=draw(st.integers(0, 15)),
        is_extendable=draw(st.booleans()),
        group_index=draw(st.integers(1, groups)),
        group_threshold=draw(st.integers(1, groups)),
        group_count=groups,
    )


SHARE = Share(0x1234, 3, 3, Secret(bytes(range(32))))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 1023), min_size=17, max_size=17))
@example([0, 0, 0x40, 0] + [0] * 13)  # the second group of one
def test_whatever_words_have_a_right_checksum_are_read_or_refused_by_an_error_of_shares(indices):
    customisation = (b"shamir", b"shamir_extendable")[indices[1] >> 4 & 1]
    text = " ".join(WORDS[index] for index in [*indices, *checksum(indices, customisation)])
    try:
        share = read_share(text)
    except ShareFormatError:
        return
    assert share.group_index <= share.group_count
    assert " ".join(share.words) == text


@settings(deadline=None, max_examples=25)
@given(shares())
def test_what_is_written_is_read(share):
    read = read_share(" ".join(share.words))
    assert read.set_parameters == share.set_parameters
    assert (read.index, read.threshold, read.group_index) == (share.index, share.threshold, share.group_index)
    assert read.value.matches(share.value)


def test_case_and_white_space_do_not_matter():
    words = [word.upper() if place % 2 else word.title() for place, word in enumerate(SHARE.words)]
    assert len(words) == 33
    assert read_share("\n ".join(words) + "\r\n").value.matches(SHARE.value)


@settings(deadline=None, max_examples=25)
@given(st.text(max_size=300) | st.lists(st.sampled_from(WORDS), max_size=80).map(" ".join))
def test_any_text_is_read_or_refused_by_an_error_of_shares(text):
    try:
        read_share(text)
    except ShareError:
        return


@settings(deadline=None, max_examples=25)
@given(shares(), st.sets(st.integers(0, 19), min_size=1, max_size=3), st.integers(1, 1023))
def test_up_to_three_wrong_words_are_always_found(share, places, by):
    words = list(share.words)
    for place in places:
        words[place] = WORDS[WORDS.index(words[place]) ^ by]
    with pytest.raises((ShareChecksumError, ShareLengthError)):
        read_share(" ".join(words))


@settings(deadline=None, max_examples=25)
@given(shares(), st.data())
def test_one_wrong_word_is_found_by_its_place(share, data):
    words = list(share.words)
    place = data.draw(st.integers(0, len(words) - 1))
    words[place] = WORDS[WORDS.index(words[place]) ^ data.draw(st.integers(1, 1023))]
    with pytest.raises(ShareChecksumError) as refused:
        read_share(" ".join(words))
    assert refused.value.positions == (place + 1,)
    assert str(refused.value).startswith(f"the checksum of the share is wrong: word {place + 1} is probably")


@pytest.mark.parametrize("place", range(32))
def test_two_neighbours_that_changed_places_are_found(place):
    share = Share(0x7ABC, 1, 3, Secret(bytes(range(100, 132))))
    words = list(share.words)
    assert words[place] != words[place + 1]
    words[place : place + 2] = reversed(words[place : place + 2])
    with pytest.raises(ShareChecksumError) as refused:
        read_share(" ".join(words))
    assert refused.value.positions == (place + 1, place + 2)


def test_more_than_one_wrong_word_is_said_to_be_that():
    words = list(SHARE.words)
    words[5], words[20] = "zero", "academic"
    with pytest.raises(ShareChecksumError, match="more than one word") as refused:
        read_share(" ".join(words))
    assert refused.value.positions == ()


@pytest.mark.parametrize("typed", ["acadmic", "academicc", "acedemic", "accademic", "academics"])
def test_a_mistyped_word_is_told_by_its_place_and_the_nearest_words(typed):
    words = list(SHARE.words)
    words[6] = typed
    with pytest.raises(UnknownWordError) as refused:
        read_share(" ".join(words))
    assert refused.value.position == 7
    assert refused.value.nearest[0] == "academic"


@pytest.mark.parametrize("typed", ["zzzz", "1", "qzqz" * 60, "\N{SNOWMAN}", "ä" * 8, "\ud800"])
def test_a_word_like_none_has_no_nearest(typed):
    with pytest.raises(UnknownWordError) as refused:
        read_share(f"academic {typed}")
    assert (refused.value.position, refused.value.nearest) == (2, ())


@pytest.mark.parametrize("count", [0, 1, 7, 19, 21, 32, 34, 60, 500])
def test_shares_of_other_lengths_are_told_how_many_words_they_have(count):
    with pytest.raises(ShareLengthError) as refused:
        read_share("academic " * count)
    assert refused.value.found == count


def test_a_text_that_is_too_long_is_not_looked_at():
    with pytest.raises(ShareLengthError):
        read_share(" ".join(SHARE.words) + " " * MAX_TEXT_CHARS)


def test_no_error_and_no_repr_holds_a_word_or_a_value():
    words = list(SHARE.words)
    mistyped, replaced = ([*words[:9], word, *words[10:]] for word in ("shipp", "zero"))
    wrong = [mistyped, replaced, words[1:], words[:20]]
    for typed in wrong:
        with pytest.raises(ShareError) as refused:
            read_share(" ".join(typed))
        said = f"{refused.value} {refused.value!r} {refused.value.args}"
        assert not {*said.lower().replace("'", " ").split()} & {*words, "shipp", "ship", "zero"} - {
            "index",
            "secret",
        }
    assert SHARE.value.reveal().hex() not in repr(SHARE)
    assert "Secret(<32 bytes>)" in repr(SHARE)


def test_a_zeroized_share_is_gone():
    share = Share(1, 1, 2, Secret(bytes(range(32))))
    share.zeroize()
    assert share.value.reveal() == bytes(32)


@pytest.mark.parametrize(
    "changes",
    [
        {"set_identifier": 2**15},
        {"set_identifier": -1},
        {"index": 0},
        {"index": 17},
        {"threshold": 17},
        {"iteration_exponent": 16},
        {"group_index": 2},
        {"group_threshold": 2},
        {"group_count": 17},
        {"value": Secret(bytes(14))},
        {"value": Secret(bytes(17))},
        {"value": Secret(bytes(66))},
    ],
)
def test_what_has_no_place_in_the_words_makes_no_share(changes):
    with pytest.raises(ValueError, match="no such fields"):
        Share(**{"set_identifier": 1, "index": 1, "threshold": 2, "value": Secret(bytes(32))} | changes)
