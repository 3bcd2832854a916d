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
    4       length  payload: the entry (see ``_entry``)
    ...     32      chain value: SHA-256(0x02 || chain value before || payload)

A writer's first segment builds on SHA-256(0x03 || name of the writer). The prefixes keep these hashes apart
from each other and from those of a Merkle tree over the payloads (RFC 6962: 0x00 leaves, 0x01 nodes).
"""

import hashlib
import re
from typing import NamedTuple

from strongroom.audit._entry import MAX_PAYLOAD_BYTES
from strongroom.audit._errors import AuditCorruptError

MAGIC = b"SR-AUDIT"
FORMAT_VERSION = 1
HEADER_BYTES = 128
LENGTH_BYTES = 4
CHAIN_BYTES = 32
MAX_FRAME_BYTES = LENGTH_BYTES + MAX_PAYLOAD_BYTES + CHAIN_BYTES
_CHECKED_BYTES = HEADER_BYTES - CHAIN_BYTES
_WRITER_BYTES = 32
_WRITER_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)
_SEGMENT_NAME = re.compile(r"(\d{8})\.wal", re.ASCII)


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


def first_chain(writer: str) -> bytes:
    """Return the chain value that a writer's first entry builds on."""
    return hashlib.sha256(b"\x03" + writer.encode()).digest()


def next_chain(chain: bytes, payload: bytes) -> bytes:
    """Return the chain value after one more entry."""
    return hashlib.sha256(b"\x02" + chain + payload).digest()


def encode_frame(payload: bytes, chain: bytes) -> bytes:
    """Return the frame of an entry; ``chain`` is its own chain value, made by ``next_chain``."""
    return len(payload).to_bytes(LENGTH_BYTES, "big") + payload + chain


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


def _header_check(checked: bytes) -> bytes:
    return hashlib.sha256(b"\x04" + checked).digest()


def _number(data: bytes, offset: int, length: int) -> int:
    return int.from_bytes(data[offset : offset + length], "big")


def is_torn_tail(data: bytes, chain: bytes) -> bool:
    """Whether broken bytes at the end of a segment can be a write that was never finished.

    ``data`` is everything from the first frame that does not fit, ``chain`` what it should have built on. The
    answer is no when a whole, fitting frame stands anywhere behind the break: then what broke had been
    written before, and was changed since. A frame can be recognised without knowing what came before it,
    because the 32 bytes in front of it are the chain value that it builds on.
    """
    length = _number(data, 0, LENGTH_BYTES)
    end = LENGTH_BYTES + length
    if 1 <= length <= MAX_PAYLOAD_BYTES and end + CHAIN_BYTES < len(data):
        mended = next_chain(chain, data[LENGTH_BYTES:end])  # in case only the stored chain value broke
        if _frame_fits(data, end + CHAIN_BYTES, mended):
            return False
    return not any(
        _frame_fits(data, offset, data[offset - CHAIN_BYTES : offset])
        for offset in range(CHAIN_BYTES, len(data) - LENGTH_BYTES - CHAIN_BYTES)
    )


def _frame_fits(data: bytes, offset: int, chain: bytes) -> bool:
    length = _number(data, offset, LENGTH_BYTES)
    end = offset + LENGTH_BYTES + length
    if not 1 <= length <= MAX_PAYLOAD_BYTES or end + CHAIN_BYTES > len(data):
        return False
    return next_chain(chain, data[offset + LENGTH_BYTES : end]) == data[end : end + CHAIN_BYTES]
