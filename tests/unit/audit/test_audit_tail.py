"""Unfinished write or damage: what stands behind a break decides, and bytes that a caller chose do not."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.audit._format import encode_group, next_chain
from strongroom.audit._tail import Missing, proves_damage
from unit.audit.audit_fakes import payload_of

_SEQ = 70
_MISSING = Missing("main", boot=3, seq=_SEQ, chain=bytes(32))


def _groups(*sizes, seq=_SEQ, chain=bytes(32), **fields):
    """Frames of some groups of entries from ``seq`` on, one after another; returns the bytes of each group."""
    written = []
    for size in sizes:
        payloads = [payload_of(seq + i, boot=3, **fields) for i in range(size)]
        frames, chain = encode_group(payloads, group=seq, chain=chain)
        written.append(frames)
        seq += size
    return written


def _broken(data, offset, change=1):
    return data[:offset] + bytes([data[offset] ^ change]) + data[offset + 1 :]


def _first_frame_length(data):
    return 12 + int.from_bytes(data[:4], "big") + 32


@given(st.integers(1, 3), st.integers(1, 3), st.data())
def test_a_break_in_front_of_a_later_group_is_damage_whichever_byte_broke(before, behind, data):
    first, second = _groups(before, behind)
    offset = data.draw(st.integers(0, _first_frame_length(first) - 1))
    assert proves_damage(_broken(first + second, offset, data.draw(st.integers(1, 255))), _MISSING)


@given(st.integers(2, 5), st.data())
def test_a_break_in_front_of_whole_frames_of_the_same_group_is_an_unfinished_write(size, data):
    (group,) = _groups(size)
    offset = data.draw(st.integers(0, _first_frame_length(group) - 1))
    assert not proves_damage(_broken(group, offset, data.draw(st.integers(1, 255))), _MISSING)


@given(st.integers(1, 4), st.data())
def test_any_beginning_of_a_group_with_zeros_behind_it_is_an_unfinished_write(size, data):
    (group,) = _groups(size)
    kept = group[: data.draw(st.integers(0, len(group) - 1))]
    assert not proves_damage(kept + bytes(data.draw(st.integers(0, 300))), _MISSING)


@given(st.binary(max_size=600))
def test_arbitrary_bytes_prove_nothing(tail):
    assert not proves_damage(tail, _MISSING)


def _behind_a_break(payload, group, *, chain=b"\xaa" * 32):
    """A frame that fits the chain value in front of it, behind bytes that are no frame."""
    frame, _ = encode_group([payload], group=group, chain=chain)
    return bytes(100) + chain + frame


def test_a_fitting_frame_of_a_later_group_is_damage_wherever_it_stands():
    assert proves_damage(_behind_a_break(payload_of(_SEQ + 2, boot=3), _SEQ + 1), _MISSING)


@pytest.mark.parametrize(
    ("payload", "group"),
    [
        (b"x", _SEQ + 1),
        (b"\x81\xa7version\x02", _SEQ + 1),
        (payload_of(_SEQ + 1, boot=3, writer="api-0"), _SEQ + 1),
        (payload_of(_SEQ + 1, boot=2), _SEQ + 1),
        (payload_of(_SEQ + 1, boot=4), _SEQ + 1),
        (payload_of(_SEQ - 1, boot=3), _SEQ - 1),
        (payload_of(_SEQ, boot=3), _SEQ),
        (payload_of(_SEQ + 1, boot=3), _SEQ),
        (payload_of(_SEQ + 1, boot=3), _SEQ + 2),
        (payload_of(_SEQ + 1_000_000, boot=3), _SEQ + 1_000_000),
        (payload_of(2**63, boot=3), _SEQ + 1),
    ],
    ids=[
        "no entry",
        "entry of another version",
        "other writer",
        "earlier boot",
        "later boot",
        "earlier entry",
        "the missing entry itself",
        "same group",
        "group behind its own entry",
        "more entries between than fit",
        "impossible number",
    ],
)
def test_a_frame_that_fits_but_cannot_stand_there_proves_nothing(payload, group):
    assert not proves_damage(_behind_a_break(payload, group), _MISSING)


def test_a_frame_that_does_not_fit_what_stands_in_front_of_it_proves_nothing():
    tail = bytearray(_behind_a_break(payload_of(_SEQ + 2, boot=3), _SEQ + 1))
    tail[100] ^= 1
    assert not proves_damage(bytes(tail), _MISSING)


def test_bytes_of_a_frame_in_a_text_are_not_stored_as_such():
    frame = _behind_a_break(payload_of(_SEQ + 1, boot=3), _SEQ + 1).decode("latin-1")
    (group,) = _groups(1, detail={"context": frame, frame: "x"})
    assert not proves_damage(group[:-1], _MISSING)
    assert b"\x00\x00" not in group[12:-32]


def test_a_mebibyte_is_judged_in_reasonable_time():
    filler = b"\x00\x00\x10\x00" + (_SEQ + 1).to_bytes(8, "big") + b"\x87" * 100
    for tail in (bytes(1 << 20), (filler * ((1 << 20) // len(filler) + 1))[: 1 << 20]):
        started = time.process_time()
        assert not proves_damage(tail, _MISSING)
        assert time.process_time() - started < 2


def test_chain_and_group_are_both_under_the_hash():
    assert (
        len(
            {
                next_chain(bytes(32), 1, b"x"),
                next_chain(b"\x01" * 32, 1, b"x"),
                next_chain(bytes(32), 2, b"x"),
            }
        )
        == 3
    )
