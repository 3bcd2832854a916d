"""A ciphertext in a line of JSON is found and replaced, and nothing else in the line changes."""

import contextlib
import json
from base64 import b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.cli._ciphertext_lines import LineShape, UnusableLineError, path_of

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=4), JSON, max_size=4)
SHAPE = LineShape(("c",))


@settings(max_examples=60)
@given(
    before=OBJECTS, after=OBJECTS, old=st.binary(max_size=30), new=st.binary(max_size=30),
    layout=st.sampled_from([{}, {"separators": (",", ":")}, {"ensure_ascii": False}]), is_nested=st.booleans(),
)  # fmt: skip
def test_only_the_ciphertext_is_replaced(before, after, old, new, layout, is_nested):
    def line(data):
        members = {**before, "c": b64encode(data).decode(), **{name: value for name, value in after.items() if name != "c"}}  # fmt: skip
        return {"row": members, "x": 1} if is_nested else members

    shape = LineShape(path_of("row.c")) if is_nested else SHAPE
    text = json.dumps(line(old), **layout).encode("utf-8", "surrogatepass")
    found = shape.find(text)
    assert found.ciphertext == old
    replaced = shape.replaced(text, found, new)
    assert json.loads(replaced) == line(new)
    assert shape.is_same(text, replaced)
    if text.count(found.literal) == 1:
        assert replaced == json.dumps(line(new), **layout).encode("utf-8", "surrogatepass")


def test_numbers_spaces_and_doubles_stay_as_they_are_written():
    line = b'{ "n": 1.10e400, "n": 12345678901234567890.0 , "c" : "eA==" }\r'
    replaced = SHAPE.replaced(line, SHAPE.find(line), b"y")
    assert replaced == line.replace(b"eA==", b"eQ==")


def test_where_the_same_string_stands_twice_only_the_field_changes():
    line = b'{"a": "eA==", "c": "eA==", "eA==": 1.10}'
    assert SHAPE.replaced(line, SHAPE.find(line), b"y") == b'{"a":"eA==","c":"eQ==","eA==":1.10}'


def test_escaped_slashes_are_read():
    line = rb'{"c": "\/\/\/\/"}'
    found = SHAPE.find(line)
    assert found.ciphertext == b"\xff\xff\xff"
    assert SHAPE.replaced(line, found, b"y") == b'{"c": "eQ=="}'


@pytest.mark.parametrize("line", [b"", b"  \r", b'{"c": null}'])
def test_lines_without_a_ciphertext_are_none(line):
    assert SHAPE.find(line) is None


@pytest.mark.parametrize(
    "line",
    [b"{", b"[]", b"{}", b'{"c": 7}', b'{"c": "no base64!"}', b'{"c": "eA"}', b'"eA=="', b"\xff", b'{"c": {"d": "eA=="}}', b"[" * 100_000],
)  # fmt: skip
def test_what_holds_no_ciphertext_is_told_without_a_quotation(line):
    with pytest.raises(UnusableLineError) as caught:
        SHAPE.find(line)
    assert "eA" not in str(caught.value)
    assert "no base64!" not in str(caught.value)


@given(
    line=st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass"))
)
def test_any_line_is_found_or_refused(line):
    for shape in (SHAPE, LineShape(("c", "d")), LineShape(("c",), ("k",))):
        with contextlib.suppress(UnusableLineError):
            shape.find(line)


def test_each_line_may_bring_its_encryption_context():
    shape = LineShape(("c",), ("k",))
    assert shape.find(b'{"c": "eA==", "k": {"tenant": "7"}}').context == {"tenant": "7"}
    assert shape.find(b'{"c": "eA==", "k": null}').context == {}
    for bad in (b'{"c": "eA=="}', b'{"c": "eA==", "k": {"tenant": 7}}', b'{"c": "eA==", "k": []}'):
        with pytest.raises(UnusableLineError, match="'k'"):
            shape.find(bad)
