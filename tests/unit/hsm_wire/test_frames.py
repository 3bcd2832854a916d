"""The frame codec: any chunking, bounded, and garbage never does more than end the connection."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.hsm.wire import MAX_FRAME_BYTES, FrameBuffer, FrameError, frame

PAYLOADS = st.lists(st.binary(max_size=300), max_size=8)


def chunks_of(data, cuts):
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(edges)]


@given(PAYLOADS, st.lists(st.integers(0, 4000), max_size=30))
def test_payloads_come_out_whole_however_the_bytes_were_cut(payloads, cuts):
    stream = b"".join(map(frame, payloads))
    buffer = FrameBuffer()
    assert [found for chunk in chunks_of(stream, cuts) for found in buffer.feed(chunk)] == payloads


@given(PAYLOADS, st.binary(min_size=1, max_size=50), st.data())
def test_an_unfinished_frame_gives_nothing_until_its_rest_is_there(payloads, last, data):
    buffer = FrameBuffer()
    unfinished = data.draw(st.integers(0, len(last) + 3))
    stream = b"".join(map(frame, payloads)) + frame(last)[:unfinished]
    assert list(buffer.feed(stream)) == payloads
    assert list(buffer.feed(frame(last)[unfinished:])) == [last]


@given(st.lists(st.binary(max_size=200), max_size=10))
def test_garbage_gives_payloads_of_it_or_a_frame_error_and_nothing_else(chunks):
    buffer, seen = FrameBuffer(), b""
    try:
        for chunk in chunks:
            for payload in buffer.feed(chunk):
                seen += frame(payload)
    except FrameError:
        return
    assert b"".join(chunks).startswith(seen)


@given(st.integers(MAX_FRAME_BYTES + 1, 2**32 - 1))
def test_a_length_over_the_limit_is_refused_before_its_bytes_arrive(length):
    with pytest.raises(FrameError, match="over the limit"):
        list(FrameBuffer().feed(length.to_bytes(4, "big")))


def test_a_frame_of_exactly_the_limit_passes_and_one_byte_more_does_not():
    longest = bytes(MAX_FRAME_BYTES)
    assert list(FrameBuffer().feed(frame(longest))) == [longest]
    with pytest.raises(FrameError, match="over the limit"):
        frame(longest + b"\0")
