"""Entries of uses that went well, encoded out of parts that many of them share.

The bytes are those of ``encode_entry``, which a test compares; only the way to them is shorter. What one writer, one caller
or one key version has the same in all its entries is encoded once and kept.
"""

from collections.abc import Hashable
from itertools import islice
from typing import Final, TypeVar

import msgspec

from strongroom.audit._entry import ENTRY_VERSION, MAX_TEXT_BYTES, Entry, encode_entry
from strongroom.audit._values import UseEntry

_K = TypeVar("_K", bound=Hashable)

_OUTCOME: Final = "ok"
_MAX_CALLERS: Final = 4_096
_MAX_KEYS: Final = 65_536

_encode = msgspec.msgpack.Encoder().encode


def _field(name: str, value: object) -> bytes:
    return _encode(name) + _encode(value)


_SEQ: Final = _encode("seq")
_REQUEST_ID: Final = _encode("request_id")
_ENDING: Final = _field("outcome", _OUTCOME)
_DETAIL: Final = _encode("detail")


class UseEncoder:
    """Encodes the entries of one writer and boot. Belongs to the holder of the log's lock."""

    def __init__(self, writer: str, boot: int) -> None:
        self._writer = writer
        self._boot = boot
        self._start = self._start_of({})
        self._start_with_detail = self._start_of({"x": "x"})
        self._boot_part = _field("boot", boot) + _encode("at")
        self._callers: dict[tuple[str, str, str, str], bytes | None] = {}
        self._keys: dict[tuple[str, str], bytes | None] = {}

    def _start_of(self, detail: dict[str, str]) -> bytes:
        """Return the bytes before the sequence number: how many fields there are, version and writer."""
        payload = self._encode_any(UseEntry("x", "x", "x", "x", "x", "x", "x", detail), 1, 1)
        return payload[: payload.index(_SEQ) + len(_SEQ)]

    def at_part(self, at: int) -> bytes:
        """Return what the entries of one moment (microseconds since the epoch) share."""
        return self._boot_part + _encode(at)

    def encode(self, use: UseEntry, seq: int, at: int, at_part: bytes) -> bytes:
        """Return the stored bytes of an entry; ``at_part`` is that of ``at``."""
        caller_key = (use.event, use.principal, use.access_key_id, use.source_address)
        key_key = (use.key_id, use.key_version)
        caller = self._callers.get(caller_key) or self._caller_part(caller_key)
        key = self._keys.get(key_key) or self._key_part(key_key)
        request_id, detail = use.request_id, use.detail
        if caller is None or key is None or not request_id.isprintable() or not request_id:
            return self._encode_any(use, seq, at)
        head = (self._start, _encode(seq), at_part, caller, _encode(request_id), key, _ENDING)
        if not detail:
            payload = b"".join(head)
        elif "".join((*detail, *detail.values())).isprintable():
            payload = b"".join((self._start_with_detail, *head[1:], _DETAIL, _encode(detail)))
        else:
            return self._encode_any(use, seq, at)
        return payload if len(payload) <= MAX_TEXT_BYTES else self._encode_any(use, seq, at)

    def _encode_any(self, use: UseEntry, seq: int, at: int) -> bytes:
        return encode_entry(
            Entry(
                version=ENTRY_VERSION,
                writer=self._writer,
                seq=seq,
                boot=self._boot,
                at=at,
                kind="outcome",
                event=use.event,
                principal=use.principal,
                access_key_id=use.access_key_id,
                source_address=use.source_address,
                request_id=use.request_id,
                key_id=use.key_id,
                key_version=use.key_version,
                outcome=_OUTCOME,
                detail=use.detail,
            )
        )

    def _caller_part(self, texts: tuple[str, str, str, str]) -> bytes | None:
        names = ("event", "principal", "access_key_id", "source_address")
        part = None
        if _is_plain(texts):
            fields = (_field(name, text) for name, text in zip(names, texts, strict=True))
            part = b"".join((_field("kind", "outcome"), *fields, _REQUEST_ID))
        return _kept(self._callers, texts, part, _MAX_CALLERS)

    def _key_part(self, texts: tuple[str, str]) -> bytes | None:
        part = None
        if _is_plain(texts):
            part = _field("key_id", texts[0]) + _field("key_version", texts[1])
        return _kept(self._keys, texts, part, _MAX_KEYS)


def _is_plain(texts: tuple[str, ...]) -> bool:
    """Whether texts are stored as they are, and none is left out for being empty."""
    return all(texts) and "".join(texts).isprintable()


def _kept(parts: dict[_K, bytes | None], key: _K, part: bytes | None, most: int) -> bytes | None:
    if len(parts) >= most:  # the oldest go, some at a time; all at once would make all of them anew
        for old in list(islice(parts, most // 16)):
            del parts[old]
    parts[key] = part
    return part
