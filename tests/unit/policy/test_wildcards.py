"""``*`` and ``?`` mean what they mean everywhere, and no pattern takes long."""

import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from strongroom.policy import Pattern

few = st.text(alphabet="ab*?", max_size=10)


def reference(pattern, value):
    """What the pattern means, by a matcher that may go back as often as it likes."""
    parts = {"*": ".*", "?": "."}
    return re.fullmatch("".join(parts.get(c) or re.escape(c) for c in pattern), value, re.DOTALL) is not None


@given(few, st.text(alphabet="ab\n", max_size=10))
@example("a?*b", "ab")
@example("?", "")
@example("*??*", "a")
@example("a*ab?b*b", "aababbb")
@example("**a**", "a")
@example("*a?b*", "aaab")
def test_a_pattern_matches_what_a_backtracking_reference_matches(pattern, value):
    assert Pattern(pattern).matches(value) is reference(pattern, value)


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_text_can_be_a_pattern_and_a_value(pattern, value):
    assert Pattern(pattern).matches(value) is reference(pattern, value)


@given(st.text(max_size=50))
def test_a_text_matches_itself_and_a_star_matches_everything(text):
    assert Pattern("*").matches(text)
    assert Pattern(text).matches(text)


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        ("*a" * 16_000, "a" * 15_999 + "b"),
        ("*" * 32_000 + "b", "a" * 8_000),
        ("?" * 32_000, "a" * 31_999),
        ("*" + "a" * 4_000 + "b*", "a" * 8_000),
        ("*a*a*a*a*a*a*a*a*a*a*a*a*b", "a" * 8_000),
    ],
)
def test_a_hostile_pattern_takes_no_longer_than_its_length(pattern, value):
    prepared = Pattern(pattern)
    began = time.process_time()
    assert not prepared.matches(value)
    assert time.process_time() - began < 0.5  # going back would take longer than the universe has lasted


@given(few.filter(lambda text: "?" in text), st.text(alphabet="ab", max_size=10))
def test_what_a_match_may_cost_is_known_beforehand(pattern, value):
    prepared = Pattern(pattern)
    assert prepared.fixed_cost >= 100
    assert prepared.per_char_cost >= 0
    assert prepared.per_char_cost == 0 or pattern.count("*") >= 2
