"""Leaves that are taken many at a time are those that reading one by one gives, of whole logs and of damaged ones."""

import asyncio
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.audit._bulk import read_leaves
from strongroom.audit._cursor import SegmentReader
from strongroom.audit._entry import leaf_hash
from strongroom.audit._errors import AuditCorruptError
from strongroom.audit._format import HEADER_BYTES


def one_by_one(folder, number=1):
    """Leaves, where groups begin, and where reading ended, as ``SegmentReader`` has them."""
    leaves, groups = [], []
    with SegmentReader(folder, number) as reader:
        before, group = reader.position, -1
        try:
            for located in reader:
                if reader.position.group != group:
                    group = reader.position.group
                    groups.append((before, len(leaves)))
                leaves.append(leaf_hash(located.payload))
                before = reader.position
        except AuditCorruptError:
            pass
        return leaves, groups, reader.position


def in_bulk(folder, most=10**9):
    with SegmentReader(folder, 1) as reader:
        found = read_leaves(reader, most)
        assert reader.position == found.position
        return found.hashes, found.groups, found.position


@pytest.fixture
def filled(open_log, wal):
    async def fill(log):
        for size in (1, 3, 2, 10):
            tickets = [
                log.append("event", f"e{number}", detail={"x": "y" * number}) for number in range(size)
            ]
            await log.commit(tickets[-1])

    log = open_log()
    asyncio.run(fill(log))
    log.close()
    return wal


def test_a_whole_segment_gives_the_same_leaves_and_groups(filled):
    assert in_bulk(filled) == one_by_one(filled)
    assert len(in_bulk(filled)[0]) == 16


def test_no_more_is_taken_than_was_asked_for(filled):
    leaves, _, _ = one_by_one(filled)
    assert in_bulk(filled, most=5)[0] == leaves[:5]
    assert in_bulk(filled, most=0)[0] == []


def test_zeros_that_were_written_ahead_end_it(filled):
    expected = one_by_one(filled)
    with (filled / "00000001.wal").open("ab") as file:
        file.write(bytes(70_000))
    assert in_bulk(filled) == expected


def test_whatever_byte_is_damaged_both_stop_in_front_of_the_same_entry(filled):
    segment = filled / "00000001.wal"
    whole = segment.read_bytes()

    @settings(max_examples=40, deadline=None)
    @given(at=st.integers(HEADER_BYTES, len(whole) - 1), flip=st.integers(1, 255), cut=st.booleans())
    def check(at, flip, cut):
        damaged = whole[:at] if cut else whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :]
        with segment.open("r+b") as file:
            file.write(damaged)
            os.ftruncate(file.fileno(), len(damaged))
        assert in_bulk(filled) == one_by_one(filled)

    check()
