"""The bytes of segments, written out a second time by hand."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.audit import AuditCorruptError
from strongroom.audit._format import (
    Header,
    decode_header,
    encode_group,
    encode_header,
    first_chain,
    is_writer_name,
    next_chain,
    segment_name,
    segment_number,
    torn_name,
    torn_number,
)

headers = st.builds(
    Header,
    st.integers(1, 2**32 - 1),
    st.integers(1, 2**64 - 1),
    st.integers(1, 2**64 - 1),
    st.binary(min_size=32, max_size=32),
    st.from_regex(r"[a-z0-9][a-z0-9-]{0,31}", fullmatch=True),
)


def test_a_header_has_the_documented_bytes():
    chain = hashlib.sha256(b"\x03api-0").digest()
    assert first_chain("api-0") == chain
    checked = b"SR-AUDIT" + bytes.fromhex("0000000100000007000000000000000300000000000003e8") + chain
    checked += b"api-0" + bytes(27)
    header = Header(segment=7, boot=3, first_seq=1000, chain=chain, writer="api-0")
    assert encode_header(header) == checked + hashlib.sha256(b"\x04" + checked).digest()


def test_a_group_has_the_documented_bytes():
    number = (1000).to_bytes(8, "big")
    first = hashlib.sha256(b"\x02" + bytes(32) + number + b"payload").digest()
    second = hashlib.sha256(b"\x02" + first + number + b"next").digest()
    frames = (
        b"\x00\x00\x00\x07" + number + b"payload" + first + b"\x00\x00\x00\x04" + number + b"next" + second
    )
    assert encode_group([b"payload", b"next"], group=1000, chain=bytes(32)) == (frames, second)
    assert next_chain(first, 1000, b"next") == second


@given(headers)
def test_a_header_reads_back(header):
    assert decode_header(encode_header(header)) == header


@given(headers, st.integers(0, 127), st.integers(1, 255))
def test_a_header_with_a_changed_byte_is_corrupt(header, offset, change):
    data = bytearray(encode_header(header))
    data[offset] ^= change
    with pytest.raises(AuditCorruptError):
        decode_header(bytes(data))


@given(st.binary(max_size=200) | st.binary(min_size=128, max_size=128))
def test_arbitrary_bytes_are_no_header(data):
    with pytest.raises(AuditCorruptError):
        decode_header(data)


@pytest.mark.parametrize("name", ["", "-a", "A", "a" * 33, "a/b", "..", "a\n", "ä"])
def test_names_that_are_no_file_names_are_no_writer_names(name):
    assert not is_writer_name(name)


def test_segment_names_sort_and_read_back():
    assert segment_name(12) == "00000012.wal"
    assert segment_number("00000012.wal") == 12
    assert [segment_number(name) for name in ("12.wal", "00000012.tmp", "lock", "00000012.wal\n")] == [
        None
    ] * 4
    assert torn_name(12) == "00000012.torn"
    assert torn_number("00000012.torn") == 12
    assert torn_number("00000012.torn.tmp") is None
