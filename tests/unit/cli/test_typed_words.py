"""The words of a share as they are typed: in any pieces, each looked up at once, and never said again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.cli._typed_words import TypedWords
from strongroom.core import Secret
from strongroom.shares import Share, read_share

SHARE = Share(0x2BCD, 2, 3, Secret(bytes(range(100, 132))))
WORDS = list(SHARE.words)


def typed(lines, *, is_alone=False):
    """What is whole after these lines, and what was said of each."""
    words = TypedWords(is_alone=is_alone)
    said = []
    for line in lines:
        assert words.prompt is not None
        said.append(words.take(line))
    return words, said


@given(st.lists(st.integers(1, 12), min_size=33, max_size=33))
def test_words_come_in_any_pieces_and_in_any_case(sizes):
    lines, rest = [], WORDS
    for size in sizes:
        if not rest:
            break
        lines.append(" ".join(rest[:size]).upper() + "\n")
        rest = rest[size:]
    words, said = typed(lines)
    assert words.prompt is None
    assert set(said) == {None}
    assert read_share(words.text().reveal().decode()).words == SHARE.words


@pytest.mark.parametrize("is_alone", [True, False])
def test_words_like_a_mistyped_one_are_shown_to_whoever_is_alone_only(is_alone):
    words, said = typed([" ".join(WORDS[:3]), "academik"], is_alone=is_alone)
    assert words.prompt == "Word 4 of 33"
    assert said[1].startswith("Word 4 is not in the list")
    assert ("academic" in said[1]) is is_alone
    assert "academik" not in said[1]


def test_what_the_checksum_finds_wrong_is_asked_for_alone_until_it_is_right_or_given_up():
    wrong = "zero" if WORDS[11] != "zero" else "acid"
    line = " ".join([*WORDS[:11], wrong, *WORDS[12:]])
    words, _ = typed([line])
    assert words.prompt == "Word 12 again"
    assert words.take("acid acid") is None
    assert words.prompt == "Word 12 again"
    assert words.take(WORDS[11]) is None
    assert (words.prompt, words.text().reveal()) == (None, " ".join(WORDS).encode())
    words, _ = typed([line, ""])
    assert (words.prompt, words.text().reveal()) == (None, line.encode())


def test_an_empty_line_ends_what_is_too_short_and_what_is_too_long_ends_by_itself():
    for lines in ([" ".join(WORDS[:5]), ""], [""], [" ".join([*WORDS, *WORDS])]):
        words, _ = typed(lines)
        assert words.prompt is None
        assert words.text().reveal() == " ".join(lines).strip().encode()
