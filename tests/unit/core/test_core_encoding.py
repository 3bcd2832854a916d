"""Encodings of authenticated bytes are injective: different inputs never give the same bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.core import encode_fields, encode_pairs

# Few different letters and lengths, so that unequal inputs are often nearly equal.
text = st.text(st.sampled_from("ab\0é,=\U0001f511"), max_size=4)
fields = st.lists(st.binary(max_size=5) | st.sampled_from([b"\0\0\0\1a", b"\0\0\0\0"]), max_size=4)
pairs = st.dictionaries(text, text, max_size=3)


def parse(encoded: bytes) -> tuple[str, list[bytes]]:
    """A reader written apart from the writer: what can be read back in one way only is injective."""
    count, rest = int.from_bytes(encoded[:4], "big"), encoded[4:]
    found = []
    for _ in range(count):
        length = int.from_bytes(rest[:4], "big")
        found.append(rest[4 : 4 + length])
        assert len(found[-1]) == length
        rest = rest[4 + length :]
    assert rest == b""
    return found[0].decode(), found[1:]


@given(text, fields)
def test_fields_can_be_read_back(label, listed):
    assert parse(encode_fields(label, listed)) == (label, listed)


@given(st.tuples(text, fields), st.tuples(text, fields))
def test_different_fields_or_labels_give_different_bytes(left, right):
    assert (encode_fields(*left) == encode_fields(*right)) == (left == right)


@given(st.tuples(text, pairs), st.tuples(text, pairs))
def test_different_pairs_or_labels_give_different_bytes(left, right):
    assert (encode_pairs(*left) == encode_pairs(*right)) == (left == right)


@given(pairs)
def test_the_order_of_pairs_does_not_matter(given_pairs):
    backwards = dict(reversed(given_pairs.items()))
    assert encode_pairs("x", backwards) == encode_pairs("x", given_pairs)


def test_pairs_are_sorted_by_their_bytes_and_not_by_utf_16():
    names = ["\uffee", "\U0001f511"]  # by UTF-16 code units the second comes first
    expected = encode_fields("x", [part for name in names for part in (name.encode(), b"")])
    assert encode_pairs("x", dict.fromkeys(names, "")) == expected


def test_what_glueing_would_confuse_is_kept_apart():
    assert encode_pairs("x", {"a": "bc"}) != encode_pairs("x", {"ab": "c"})
    assert encode_pairs("x", {"a": ""}) != encode_pairs("x", {})


def test_the_layout_is_what_stored_data_was_bound_to():
    assert encode_pairs("v1", {"b": "2", "a": ""}).hex() == (
        "00000005" "000000027631" "0000000161" "00000000" "0000000162" "0000000132"
    )  # fmt: skip


@pytest.mark.parametrize("bad", [{"\ud800": "x"}, {"x": "\udfff"}])
def test_a_lone_surrogate_is_refused(bad):
    with pytest.raises(UnicodeEncodeError):
        encode_pairs("x", bad)
