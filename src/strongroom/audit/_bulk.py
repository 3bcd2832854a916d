"""Many entries of a segment at once, for whoever needs nothing of them but their leaves.

What is taken here is what ``SegmentReader`` reads, checked alike, which a test compares; only the objects between are left out.
"""

import struct
from hashlib import sha256

from strongroom.audit._cursor import Position, SegmentReader
from strongroom.audit._entry import MAX_PAYLOAD_BYTES, decode_entry
from strongroom.audit._errors import AuditCorruptError
from strongroom.audit._format import CHAIN_BYTES, PREFIX_BYTES, Header

_unpack_prefix = struct.Struct(">IQ").unpack_from
_LENGTH_BYTES = 4


class BulkLeaves:
    """Leaf hashes of one segment from a position on."""

    def __init__(self, header: Header, position: Position) -> None:
        self._header = header
        self.position = position
        """Behind what was taken."""
        self.hashes: list[bytes] = []
        self.groups: list[tuple[Position, int]] = []
        """Where each group begins, and how many leaves stand before it."""

    def take(self, data: bytes, most: int) -> None:
        """Take whole entries from the start of ``data``, which stands behind ``position``, until there are ``most``.

        Stops in front of whatever is not whole or does not fit: ``SegmentReader`` tells what that is.
        """
        first_offset, seq, chain, group = self.position
        writer, boot = self._header.writer, self._header.boot
        at, size, hashes = 0, len(data), self.hashes
        while len(hashes) < most and at + PREFIX_BYTES < size:
            length, of_group = _unpack_prefix(data, at)
            end = at + PREFIX_BYTES + length
            if not 1 <= length <= MAX_PAYLOAD_BYTES or end + CHAIN_BYTES > size:
                break
            # What the chain covers of a frame lies in one piece: the number of its group and the payload.
            expected = sha256(b"\x02" + chain + data[at + _LENGTH_BYTES : end]).digest()
            if data[end : end + CHAIN_BYTES] != expected:
                break
            payload = data[at + PREFIX_BYTES : end]
            try:
                entry = decode_entry(payload)
            except AuditCorruptError:
                break
            if entry.seq != seq or entry.writer != writer or entry.boot != boot:
                break
            if of_group != group:
                if of_group != seq:
                    break
                self.groups.append((Position(first_offset + at, seq, chain, group), len(hashes)))
                group = of_group
            elif not self.groups:
                self.groups.append((Position(first_offset + at, seq, chain, group), len(hashes)))
            hashes.append(sha256(b"\x00" + payload).digest())
            chain, seq, at = expected, seq + 1, end + CHAIN_BYTES
        self.position = Position(first_offset + at, seq, chain, group)


def read_leaves(reader: SegmentReader, most: int) -> BulkLeaves:
    """Take what is there and whole, at most so many entries; the reader goes on behind them. Raises OSError."""
    found = BulkLeaves(reader.header, reader.position)
    while len(found.hashes) < most:
        before = found.position
        found.take(reader.block(), most)
        if found.position == before:
            break
        reader.resume(found.position)
    return found
