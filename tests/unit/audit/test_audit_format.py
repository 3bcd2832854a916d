"""The bytes of segments, written out a second time by hand."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.audit import AuditCorruptError
from strongroom.audit._format import (
    Header,
    decode_header,
    encode_frame,
    encode_header,
    first_chain,
    is_torn_tail,
    is_writer_name,
    next_chain,
    segment_name,
    segment_number,
)

headers = st.builds(
    Header,
    st.integers(1, 2**32 - 1),
    st.integers(1, 2**64 - 1),
    st.integers(1, 2**64 - 1),
    st.binary(min_size=32, max_size=32),
    st.from_regex(r"[a-z0-9][a-z0-9-]{0,31}", fullmatch=True),
)


def _frames(payloads, chain):
    frames = []
    for payload in payloads:
        chain = next_chain(chain, payload)
        frames.append(encode_frame(payload, chain))
    return frames


def test_a_header_has_the_documented_bytes():
    chain = hashlib.sha256(b"\x03api-0").digest()
    assert first_chain("api-0") == chain
    checked = b"SR-AUDIT" + bytes.fromhex("0000000100000007000000000000000300000000000003e8") + chain
    checked += b"api-0" + bytes(27)
    header = Header(segment=7, boot=3, first_seq=1000, chain=chain, writer="api-0")
    assert encode_header(header) == checked + hashlib.sha256(b"\x04" + checked).digest()


def test_a_frame_has_the_documented_bytes():
    chain = hashlib.sha256(b"\x02" + bytes(32) + b"payload").digest()
    assert _frames([b"payload"], bytes(32)) == [b"\x00\x00\x00\x07payload" + chain]


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


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=2, max_size=5), st.data())
def test_a_changed_byte_in_front_of_a_whole_frame_is_no_torn_tail(payloads, data):
    frames = _frames(payloads, bytes(32))
    broken = bytearray(b"".join(frames))
    offset = data.draw(st.integers(0, len(frames[0]) - 1))
    broken[offset] ^= data.draw(st.integers(1, 255))
    # With only one frame behind it, a changed length hides where the first chain value stands; it is found
    # because the next frame fits the 32 bytes in front of it.
    assert not is_torn_tail(bytes(broken), bytes(32))


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=4), st.data())
def test_any_beginning_of_a_group_with_zeros_behind_it_is_torn(payloads, data):
    frames = _frames(payloads, bytes(32))
    kept = frames[-1][: data.draw(st.integers(0, len(frames[-1]) - 1))]
    tail = kept + bytes(data.draw(st.integers(0, 300)))
    assert tail.startswith(frames[-1]) or is_torn_tail(tail, bytes(32))


@pytest.mark.parametrize("name", ["", "-a", "A", "a" * 33, "a/b", "..", "a\n", "ä"])
def test_names_that_are_no_file_names_are_no_writer_names(name):
    assert not is_writer_name(name)


def test_segment_names_sort_and_read_back():
    assert segment_name(12) == "00000012.wal"
    assert segment_number("00000012.wal") == 12
    assert [segment_number(name) for name in ("12.wal", "00000012.tmp", "lock", "00000012.wal\n")] == [
        None
    ] * 4
