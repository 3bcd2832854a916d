"""The bytes of a segment file: header, frames and the hash chain. Pure functions, no files.

Numbers are big endian. A segment is one header and then frames until the end of the file.

Header, 128 bytes:

    offset  length  what
    0       8       magic: the ASCII letters ``SR-AUDIT``
    8       4       format version: 1
    12      4       number of the segment in its writer's log, from 1
    16      8       boot counter of the writer, from 1
    24      8       sequence number of the first entry that goes into this segment
    32      32      chain value that the first frame builds on
    64      32      name of the writer, ASCII, filled up with zero bytes
    96      32      SHA-256(0x04 || bytes 0 to 95)

Frame:

    0       4       length of the payload, 1 to 8,192
    4       8       group: sequence number of the first entry of the group commit that wrote this frame
    12      length  payload: the entry (see ``_entry``)
    ...     32      chain value: SHA-256(0x02 || chain value before || group || payload)

A group is one write and one sync, and lies in one segment. It is written when all before it is durable, so its
number tells which entries were durable when the frame was written: all below it.

A writer's first segment builds on SHA-256(0x03 || name of the writer). The prefixes keep these hashes apart
from each other and from those of a Merkle tree over the payloads (RFC 6962: 0x00 leaves, 0x01 nodes).
"""

import hashlib
import re
from collections.abc import Iterable
from typing import NamedTuple

from strongroom.audit._errors import AuditCorruptError

MAGIC = b"SR-AUDIT"
FORMAT_VERSION = 1
HEADER_BYTES = 128
_LENGTH_BYTES = 4
_GROUP_BYTES = 8
PREFIX_BYTES = _LENGTH_BYTES + _GROUP_BYTES
CHAIN_BYTES = 32
FRAME_EXTRA_BYTES = PREFIX_BYTES + CHAIN_BYTES
"""What a frame has besides its payload."""
_CHECKED_BYTES = HEADER_BYTES - CHAIN_BYTES
_WRITER_BYTES = 32
_WRITER_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)
_SEGMENT_NAME = re.compile(r"(\d{8})\.wal", re.ASCII)
_TORN_NAME = re.compile(r"(\d{8})\.torn", re.ASCII)


class Header(NamedTuple):
    """What the header of a segment says."""

    segment: int
    boot: int
    first_seq: int
    chain: bytes
    writer: str


def is_writer_name(name: str) -> bool:
    """Whether a name may stand for a writer: 1 to 32 of a-z, 0-9 and ``-``, not starting with ``-``."""
    return _WRITER_NAME.fullmatch(name) is not None


def segment_name(number: int) -> str:
    """Return the file name of a segment."""
    return f"{number:08d}.wal"


def segment_number(name: str) -> int | None:
    """Return the number in a segment's file name, None for any other name."""
    match = _SEGMENT_NAME.fullmatch(name)
    return int(match[1]) if match else None


def torn_name(number: int) -> str:
    """Return the name of the file that keeps what was cut off a segment."""
    return f"{number:08d}.torn"


def torn_number(name: str) -> int | None:
    """Return the number of the segment in the name of a file with what was cut off it, None for any other name."""
    match = _TORN_NAME.fullmatch(name)
    return int(match[1]) if match else None


def first_chain(writer: str) -> bytes:
    """Return the chain value that a writer's first entry builds on."""
    return hashlib.sha256(b"\x03" + writer.encode()).digest()


def next_chain(chain: bytes, group: int, payload: bytes) -> bytes:
    """Return the chain value after one more entry."""
    return _next_chain(chain, group.to_bytes(_GROUP_BYTES, "big") + payload)


def encode_group(payloads: Iterable[bytes], *, group: int, chain: bytes) -> tuple[bytes, bytes]:
    """Return the frames of a group commit, joined, and the chain value after the last of them.

    ``group`` is the sequence number of its first entry, ``chain`` the chain value before it.
    """
    number = group.to_bytes(_GROUP_BYTES, "big")
    parts: list[bytes] = []
    for payload in payloads:
        grouped = number + payload
        chain = _next_chain(chain, grouped)
        parts += (len(payload).to_bytes(_LENGTH_BYTES, "big"), grouped, chain)
    return b"".join(parts), chain


def decode_prefix(data: bytes) -> tuple[int, int]:
    """Return length and group from the first 12 bytes of a frame; the caller checks what they may be."""
    return _number(data, 0, _LENGTH_BYTES), _number(data, _LENGTH_BYTES, _GROUP_BYTES)


def encode_header(header: Header) -> bytes:
    """Return the 128 bytes that start a segment."""
    checked = b"".join(
        (
            MAGIC,
            FORMAT_VERSION.to_bytes(4, "big"),
            header.segment.to_bytes(4, "big"),
            header.boot.to_bytes(8, "big"),
            header.first_seq.to_bytes(8, "big"),
            header.chain,
            header.writer.encode("ascii").ljust(_WRITER_BYTES, b"\x00"),
        )
    )
    return checked + _header_check(checked)


def decode_header(data: bytes) -> Header:
    """Read the 128 bytes that start a segment. Raises AuditCorruptError when they are not a header."""
    if len(data) != HEADER_BYTES:
        raise AuditCorruptError(f"the header has {len(data)} bytes instead of {HEADER_BYTES}")
    if not data.startswith(MAGIC):
        raise AuditCorruptError("the file does not start like an audit segment")
    if data[_CHECKED_BYTES:] != _header_check(data[:_CHECKED_BYTES]):
        raise AuditCorruptError("the header does not match its own hash")
    if (version := _number(data, 8, 4)) != FORMAT_VERSION:
        raise AuditCorruptError(f"format version {version} is not known to this program")
    name = data[64:_CHECKED_BYTES].rstrip(b"\x00").decode("ascii", "replace")
    header = Header(_number(data, 12, 4), _number(data, 16, 8), _number(data, 24, 8), data[32:64], name)
    if not is_writer_name(name) or 0 in header[:3]:
        raise AuditCorruptError("the header holds values that no writer uses")
    return header


def _next_chain(chain: bytes, grouped: bytes) -> bytes:
    return hashlib.sha256(b"\x02" + chain + grouped).digest()


def _header_check(checked: bytes) -> bytes:
    return hashlib.sha256(b"\x04" + checked).digest()


def _number(data: bytes, offset: int, length: int) -> int:
    return int.from_bytes(data[offset : offset + length], "big")
