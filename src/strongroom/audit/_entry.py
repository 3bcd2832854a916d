"""One audit entry: its fields, their limits, and the bytes that are stored, chained and hashed.

The stored bytes are the msgpack map of the fields (fields that hold their default are left out, ``version``
never is). They are never encoded again: readers, chains and trees all use the bytes as they lie in the file,
so an entry is an RFC 6962 leaf as it is: leaf hash = SHA-256(0x00 || payload).

Callers choose some of the texts (names in an encryption context, for one). Control characters are stored
escaped, so that no text drives a terminal, and so that none can hold the bytes of a frame, whose length field
always begins with two zero bytes.
"""

import hashlib
import re
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


_UNSTORABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters (Unicode category Cc), and lone surrogates, which have no UTF-8."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


def encode_entry(entry: Entry) -> bytes:
    """Encode an entry, escaping control characters, cutting what is over its limit: at most MAX_PAYLOAD_BYTES."""
    # The usual entry passes here. What is printable holds nothing to escape, and no text can be over its limit
    # where the whole entry is not.
    if _is_printable(entry):
        payload = _encoder.encode(entry)
        if len(payload) <= MAX_TEXT_BYTES:
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


class _When(msgspec.Struct, frozen=True):
    at: int


_when_decoder = msgspec.msgpack.Decoder(_When)


def decode_at(payload: bytes) -> int:
    """Return when an entry was appended, without looking at the rest of it. Raises AuditCorruptError where its bytes do not tell."""
    try:
        return _when_decoder.decode(payload).at
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise AuditCorruptError(f"no time is in the entry: {error}") from error


def leaf_hash(payload: bytes) -> bytes:
    """Return the RFC 6962 section 2.1 leaf hash of an entry's stored bytes."""
    return hashlib.sha256(b"\x00" + payload).digest()


def _is_printable(entry: Entry) -> bool:
    detail = entry.detail
    texts = (
        entry.event,
        entry.principal,
        entry.access_key_id,
        entry.source_address,
        entry.request_id,
        entry.key_id,
        entry.key_version,
        entry.outcome,
        entry.member,
        *detail,
        *detail.values(),
    )
    return "".join(texts).isprintable()


def _within_limits(entry: Entry) -> Entry:
    texts = {
        name: _storable(value)
        for name in ("event", *_TEXT_FIELDS)
        if (value := getattr(entry, name)) and _storable(value) != value
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


def _storable(text: str) -> str:
    encoded = _UNSTORABLE.sub(lambda found: ascii(found[0])[1:-1], text).encode()
    if len(encoded) <= MAX_TEXT_BYTES:
        return encoded.decode()
    mark = f"[cut: {len(encoded)} bytes]"
    return encoded[: MAX_TEXT_BYTES - len(mark)].decode("utf-8", "ignore") + mark


def _cut_detail(detail: Mapping[str, str]) -> dict[str, str]:
    kept: dict[str, str] = {}
    left = MAX_DETAIL_BYTES - 64  # room for the count of what was left out and for the lengths
    for name, value in detail.items():
        short_name, short_value = _storable(name), _storable(value)
        left -= len(short_name.encode()) + len(short_value.encode()) + 6
        if left < 0:
            kept[DETAIL_CUT] = str(len(detail) - len(kept))
            break
        kept[short_name] = short_value
    return kept
