"""The header of files: one encoding, bounds on everything, and nothing accepted that would not be written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.envelope import FIRST_BYTES, MAX_HEADER_BYTES, FileHeader, MalformedFileError, header_bytes

CONTEXTS = st.dictionaries(st.text(max_size=9), st.text(max_size=30), max_size=6)
HEADERS = st.builds(FileHeader, st.binary(min_size=1, max_size=300), CONTEXTS)
PREFIX = b"\x89SRF\r\n\x1a\n\x01\x01"


def read_all(data):
    """Read a header as a stream is read: as much as is asked for, and never a byte more."""
    have = data[:FIRST_BYTES]
    while True:
        wanted = header_bytes(have)
        assert wanted <= MAX_HEADER_BYTES
        if wanted == len(have):
            return have
        have = data[:wanted]
        if len(have) < wanted:
            raise MalformedFileError("it ends")


@given(HEADERS, st.binary(max_size=40))
def test_a_header_is_read_back_and_ends_where_it_ends(header, rest):
    encoded = header.encode()
    assert read_all(encoded + rest) == encoded
    assert FileHeader.parse(encoded) == header


@given(CONTEXTS, CONTEXTS)
def test_two_contexts_never_have_one_encoding(first, second):
    encoded = [FileHeader(b"k", context).encode() for context in (first, second)]
    assert (encoded[0] == encoded[1]) == (first == second)


def test_the_order_of_pairs_does_not_matter():
    assert FileHeader(b"k", {"a": "1", "b": "2"}).encode() == FileHeader(b"k", {"b": "2", "a": "1"}).encode()


@given(HEADERS, st.data())
def test_a_changed_byte_gives_another_header_or_none(header, data):
    encoded = bytearray(header.encode())
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        parsed = FileHeader.parse(bytes(encoded))
    except MalformedFileError:
        return
    assert parsed != header
    assert parsed.encode() == encoded


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda rest: PREFIX + rest))
def test_any_bytes_are_a_header_that_encodes_to_them_or_are_refused(data):
    try:
        parsed = FileHeader.parse(data)
    except MalformedFileError:
        return
    assert parsed.encode() == data


@given(HEADERS, st.data())
def test_a_header_that_is_cut_off_or_goes_on_is_refused(header, data):
    encoded = header.encode()
    for wrong in (encoded[: data.draw(st.integers(0, len(encoded) - 1))], encoded + b"\0"):
        with pytest.raises(MalformedFileError):
            FileHeader.parse(wrong)


def _raw(wrapped, context):
    sized = [len(field).to_bytes(2, "big") + field for field in (wrapped, context)]
    return PREFIX + b"".join(sized)


@pytest.mark.parametrize(("name", "data"), [
    ("no wrapped key", _raw(b"", b"")),
    ("too long a wrapped key", _raw(bytes(6145), b"")),
    ("too long a context", _raw(b"k", bytes(8193))),
    ("a key without a value", _raw(b"k", b"\0\1a")),
    ("half a length", _raw(b"k", b"\0\1a\0")),
    ("a value beyond the end", _raw(b"k", b"\0\1a\0\2b")),
    ("a key twice", _raw(b"k", b"\0\1a\0\1b" * 2)),
    ("keys out of order", _raw(b"k", b"\0\1b\0\0\0\1a\0\0")),
    ("no UTF-8", _raw(b"k", b"\0\1\xff\0\0")),
    ("another version", PREFIX[:8] + b"\2\1\0\1k\0\0"),
    ("another algorithm", PREFIX[:8] + b"\1\2\0\1k\0\0"),
    ("line ends converted", b"\x89SRF\n\x1a\n\x01\x01\0\1k\0\0"),
    ("text", b"-----BEGIN AGE ENCRYPTED FILE-----"),
    ("nothing", b""),
])  # fmt: skip
def test_a_header_that_nobody_would_write_is_refused(name, data):
    with pytest.raises(MalformedFileError):
        FileHeader.parse(data)
    if name not in {
        "a key without a value",
        "half a length",
        "a value beyond the end",
        "a key twice",
        "keys out of order",
        "no UTF-8",
    }:
        with pytest.raises(MalformedFileError):
            header_bytes(data)


@pytest.mark.parametrize("header", [
    FileHeader(b"", {}),
    FileHeader(bytes(6145), {}),
    FileHeader(b"k", {"a": "x" * 8188}),
    FileHeader(b"k", {"a": "\ud800"}),
])  # fmt: skip
def test_a_header_that_could_not_be_read_is_not_written(header):
    with pytest.raises(MalformedFileError):
        header.encode()


def test_the_longest_header_is_written_and_read():
    header = FileHeader(bytes(6144), {"a": "x" * 8187})
    assert len(header.encode()) == MAX_HEADER_BYTES
    assert FileHeader.parse(read_all(header.encode())) == header
