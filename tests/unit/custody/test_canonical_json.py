"""RFC 8785 with the vectors of the RFC and of its author, and the refusals of the strict reader."""

import json
import math
import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes_custody import UNHURRIED
from strongroom.custody import MAX_DEPTH, MalformedDocumentError, canonical_json, parse_canonical

# RFC 8785 appendix B, with a few lines of es6testfile100m of github.com/cyberphone/json-canonicalization.
NUMBERS = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
    "4340000000000001": "9007199254740994",
    "4340000000000002": "9007199254740996",
}
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not x.is_integer() or abs(x) < 2**53)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(("bits", "text"), NUMBERS.items())
def test_numbers_are_written_as_the_rfc_has_them(bits, text):
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical_json(number) == text.encode()


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 2**53, -(2**53), 10**400])
def test_numbers_without_a_canonical_form_are_refused(number):
    with pytest.raises(MalformedDocumentError):
        canonical_json(number)


def test_the_example_of_the_rfc_comes_out_byte_for_byte():
    """Sections 3.2.2 and 3.2.4."""
    value = json.loads(
        r'{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],'
        r'"string": "\u20ac$\u000F\u000aA\u0027\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}'
    )
    expected = bytes.fromhex(
        "7b226c69746572616c73223a5b6e756c6c2c747275652c66616c73655d2c226e756d62657273223a5b33333333333333"
        "33332e333333333333332c31652b33302c342e352c302e3030322c31652d32375d2c22737472696e67223a22e282ac24"
        "5c75303030665c6e4127425c225c5c5c5c5c222f227d"
    )
    assert canonical_json(value) == expected
    assert canonical_json(parse_canonical(expected)) == expected


def test_members_are_sorted_by_utf_16():
    """Section 3.2.3: U+1F600 comes before U+FB33, since its first UTF-16 unit is smaller."""
    value = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    written = canonical_json(value)
    assert [*json.loads(written).values()] == [
        "Carriage Return", "One", "Control", "Latin Small Letter O With Diaeresis", "Euro Sign",
        "Emoji: Grinning Face", "Hebrew Letter Dalet With Dagesh",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("input_", "output"),
    [
        ('{"peach": "x", "péché": "y", "pêche": "z", "sin": "a"}', '{"peach":"x","péché":"y","pêche":"z","sin":"a"}'),
        ('[56, {"d": true, "10": null, "1": []}]', '[56,{"1":[],"10":null,"d":true}]'),
        (
            '{"1": {"f": {"f": "hi","F": 5} ,"\\n": 56.0}, "10": { }, "": "empty", "a": { }, "111": [ {"e": "yes","E": "no" } ], "A": { }}',
            '{"":"empty","1":{"\\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{"E":"no","e":"yes"}],"A":{},"a":{}}',
        ),
        ('{"Unnormalized Unicode":"A\\u030a"}', '{"Unnormalized Unicode":"A\u030a"}'),
    ],
)  # fmt: skip
def test_the_vectors_of_its_author_come_out(input_, output):
    """After testdata/ of github.com/cyberphone/json-canonicalization."""
    assert canonical_json(json.loads(input_)).decode() == output


@UNHURRIED
@given(JSON_VALUES)
def test_what_is_written_reads_back_and_is_written_alike(value):
    written = canonical_json(value)
    assert canonical_json(parse_canonical(written)) == written
    assert parse_canonical(written) == value


@pytest.mark.parametrize(
    "text",
    [
        "", " {}", "{} ", "{}\n", '{"a": 1}', '{"b":1,"a":2}', '{"a":1,"a":1}', '{"a":1,"a":2}', "1.0", "-0", "1e2", "01", "+1",
        "1E2", '"\\u0041"', '"\\/"', '"\\ud800"', '"\\udc00\\ud800"', '{"\\ud800":1}', "NaN", "Infinity", "-Infinity", "9007199254740993", "1e400",
        "[1,]", "[1", "{}{}", "'a'", "tru", "\ufeff{}", '"\x01"',
        "9" * 5000,
    ],
)  # fmt: skip
def test_other_spellings_are_refused(text):
    with pytest.raises(MalformedDocumentError):
        parse_canonical(text.encode())


@pytest.mark.parametrize("data", [b"\xff", b'"\xc0\x80"', b'"\xed\xa0\x80"', b'"\xf5\x80\x80\x80"'])
def test_what_is_not_utf_8_is_refused(data):
    with pytest.raises(MalformedDocumentError):
        parse_canonical(data)


def test_size_and_depth_have_bounds():
    parse_canonical(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        with pytest.raises(MalformedDocumentError, match="levels"):
            parse_canonical(opening * 100_000 + closing * 10, max_bytes=10**6)
    with pytest.raises(MalformedDocumentError, match="longer"):
        parse_canonical(b'"' + b"a" * 100 + b'"', max_bytes=101)
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(MalformedDocumentError, match="levels"):
        canonical_json(nested)


def test_brackets_in_texts_are_no_depth():
    assert parse_canonical(b'["[[[[[[[[[[[[[[[[[[[[[[\\"[[[[[["]') == ['[[[[[[[[[[[[[[[[[[[[[["[[[[[[']


@UNHURRIED
@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:\\ud8e+-.019 ntf\n', max_size=40).map(str.encode))
def test_any_bytes_are_either_canonical_or_refused(data):
    try:
        value = parse_canonical(data)
    except MalformedDocumentError:
        return
    assert canonical_json(value) == data


@pytest.mark.parametrize("piece", [b'"', b'\\"', b"\\", b'"\\', b'["', b"[", b'{"a":'])
def test_no_input_makes_the_reader_slow(piece):
    """Each would take minutes if the look for brackets went over what it has seen again."""
    with pytest.raises(MalformedDocumentError):
        parse_canonical(b'"' + piece * (250_000 // len(piece)))


@pytest.mark.parametrize("inside", ["a", '\\"', "\\\\", "\\n"])
def test_a_long_text_costs_little_memory_to_refuse(inside):
    data = f'"{inside * (2**20 // len(inside))}'.encode()  # never ends, so no parser makes anything of it
    tracemalloc.start()
    try:
        with pytest.raises(MalformedDocumentError):
            parse_canonical(data, max_bytes=2**22)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 * len(data)
