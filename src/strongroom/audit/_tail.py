"""Judging what stands behind the last whole entry of a segment: an unfinished write, or damage.

A power loss can keep any part of the last write: its beginning, but also a later page without an earlier one.
All of it is nothing that anybody was promised. Damage to entries that were durable looks the same where it
happened; what tells them apart stands behind it. A frame names, under the chain hash, the group in which it was
written, and a group is written only when everything before its first entry is durable. So a frame behind the
break whose group began after the entry that is missing proves that this entry was durable once, and a frame of
the same group proves nothing of the kind.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from strongroom.audit._entry import MAX_PAYLOAD_BYTES, decode_entry
from strongroom.audit._errors import AuditCorruptError
from strongroom.audit._format import CHAIN_BYTES, PREFIX_BYTES, decode_prefix, next_chain

_FRAME_START = re.compile(rb"(?=\x00\x00(?!\x00\x00)[\x00-\x20])")
"""Where the length of a payload, 1 to 8,192, may stand."""
_MIN_FRAME_BYTES = PREFIX_BYTES + CHAIN_BYTES + 1


class Missing(NamedTuple):
    """The entry that should stand where a segment breaks."""

    writer: str
    boot: int
    seq: int
    chain: bytes
    """Chain value before it."""


def proves_damage(tail: bytes, missing: Missing) -> bool:
    """Whether a frame in ``tail`` shows that the entry in front of it, which is missing, was durable once.

    ``tail`` is everything from where the segment breaks. Only frames count that hold an entry of the same
    writer and boot with a number that can stand there, and that fit the 32 bytes in front of them, which are
    the chain value that they build on. Bytes that a caller chose cannot pass for such a frame: their control
    characters were escaped, and the length of a frame begins with two zero bytes.
    """
    return any(_is_later(tail, offset, chain, missing) for offset, chain in _places(tail, missing))


def _places(tail: bytes, missing: Missing) -> Iterator[tuple[int, bytes]]:
    """Yield where a frame may begin, and the chain value that it would build on."""
    length, group = decode_prefix(tail)
    end = PREFIX_BYTES + length
    if end + CHAIN_BYTES <= len(tail):  # in case only the chain value that is stored there broke
        yield end + CHAIN_BYTES, next_chain(missing.chain, group, tail[PREFIX_BYTES:end])
    for found in _FRAME_START.finditer(tail, CHAIN_BYTES):
        offset = found.start()
        yield offset, tail[offset - CHAIN_BYTES : offset]


def _is_later(tail: bytes, offset: int, chain: bytes, missing: Missing) -> bool:
    """Whether a whole frame of a later group than the missing entry's stands at ``offset``."""
    length, group = decode_prefix(tail[offset : offset + PREFIX_BYTES])
    start, end = offset + PREFIX_BYTES, offset + PREFIX_BYTES + length
    if not 1 <= length <= MAX_PAYLOAD_BYTES or end + CHAIN_BYTES > len(tail):
        return False
    last_seq = missing.seq + 1 + offset // _MIN_FRAME_BYTES
    if not missing.seq < group <= last_seq:
        return False
    payload = tail[start:end]
    try:
        entry = decode_entry(payload)
    except AuditCorruptError:
        return False
    return (
        (entry.writer, entry.boot) == (missing.writer, missing.boot)
        and group <= entry.seq <= last_seq
        and next_chain(chain, group, payload) == tail[end : end + CHAIN_BYTES]
    )
