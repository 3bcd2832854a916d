"""One audit entry: its fields, their limits, and the bytes that are stored, chained and hashed.

The stored bytes are the msgpack map of the fields (fields that hold their default are left out, ``version``
never is). They are never encoded again: readers, chains and trees all use the bytes as they lie in the file,
so an entry is an RFC 6962 leaf as it is: leaf hash = SHA-256(0x00 || payload).
"""

import hashlib
from collections.abc import Mapping
from typing import Literal

import msgspec

from strongroom.audit._errors import AuditCorruptError

ENTRY_VERSION = 1
MAX_PAYLOAD_BYTES = 8 * 1024
MAX_TEXT_BYTES = 512
"""Of each text field, in UTF-8; longer texts are cut and end in a mark that says how long they were."""
MAX_DETAIL_BYTES = 2 * 1024
"""Of all names and values of ``detail`` together; what does not fit is left out and counted under ``DETAIL_CUT``."""
DETAIL_CUT = "left_out"

Kind = Literal["intent", "outcome", "event", "refusal"]


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What happened, who did it, when, and how it ended. Never holds plaintext, keys, PINs or tokens."""

    version: int
    """Of this schema: 1."""
    writer: str
    """Name of the process's log, such as ``main`` or ``api-0``."""
    seq: int
    """Position in the writer's log: 1, 2, 3 ... without gaps, across segments and boots."""
    boot: int
    """How often this writer has been opened, from 1."""
    at: int
    """Microseconds since the Unix epoch, UTC, when the entry was appended."""
    kind: Kind
    """``intent`` before an effect, ``outcome`` after a call, ``refusal`` of one, ``event`` for all else."""
    event: str
    """Such as ``kms.Decrypt``, ``service.started``, ``member.failed``, ``log.recovered``."""
    principal: str = ""
    access_key_id: str = ""
    source_address: str = ""
    request_id: str = ""
    key_id: str = ""
    key_version: str = ""
    """Number or material id of the key version."""
    outcome: str = ""
    """``ok``, an error code, or empty where there is no outcome (intents, events)."""
    member: str = ""
    """HSM member that did the work, where one did."""
    detail: dict[str, str] = {}  # msgspec copies an empty default for each instance
    """A few names and values, such as the keys (never the values) of an encryption context."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


def encode_entry(entry: Entry) -> bytes:
    """Encode an entry, cutting what is over its limit. Always at most MAX_PAYLOAD_BYTES long."""
    try:
        payload = _encoder.encode(entry)
    except UnicodeEncodeError:  # a lone surrogate, from bytes that were no UTF-8
        payload = None
    # No text can be over its limit where the whole entry is not: the usual entry passes here.
    if payload is not None and len(payload) <= MAX_TEXT_BYTES:
        return payload
    return _encoder.encode(_within_limits(entry))


def decode_entry(payload: bytes) -> Entry:
    """Decode stored bytes. Raises AuditCorruptError for everything that is not an entry of version 1."""
    try:
        entry = _decoder.decode(payload)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise AuditCorruptError(f"not an entry of version {ENTRY_VERSION}: {error}") from error
    if entry.version != ENTRY_VERSION:
        raise AuditCorruptError(f"entry version {entry.version} is not known to this program")
    return entry


def leaf_hash(payload: bytes) -> bytes:
    """Return the RFC 6962 section 2.1 leaf hash of an entry's stored bytes."""
    return hashlib.sha256(b"\x00" + payload).digest()


def _within_limits(entry: Entry) -> Entry:
    texts = {
        name: _cut(value)
        for name in ("event", *_TEXT_FIELDS)
        if (value := getattr(entry, name)) and _cut(value) != value
    }
    return msgspec.structs.replace(entry, **texts, detail=_cut_detail(entry.detail))


_TEXT_FIELDS = (
    "principal",
    "access_key_id",
    "source_address",
    "request_id",
    "key_id",
    "key_version",
    "outcome",
    "member",
)


def _cut(text: str) -> str:
    encoded = text.encode("utf-8", "backslashreplace")
    if len(encoded) <= MAX_TEXT_BYTES:
        return encoded.decode()
    mark = f"[cut: {len(encoded)} bytes]"
    return encoded[: MAX_TEXT_BYTES - len(mark)].decode("utf-8", "ignore") + mark


def _cut_detail(detail: Mapping[str, str]) -> dict[str, str]:
    kept: dict[str, str] = {}
    left = MAX_DETAIL_BYTES - 64  # room for the count of what was left out and for the lengths
    for name, value in detail.items():
        short_name, short_value = _cut(name), _cut(value)
        left -= len(short_name.encode()) + len(short_value.encode()) + 6
        if left < 0:
            kept[DETAIL_CUT] = str(len(detail) - len(kept))
            break
        kept[short_name] = short_value
    return kept
