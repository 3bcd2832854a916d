"""Injective encodings: two different inputs never give the same bytes.

They are used where bytes are authenticated (AAD, hash chains). Glueing strings together without their
lengths would let ``{"a": "bc"}`` stand for ``{"ab": "c"}``.
"""

import struct
from collections.abc import Iterable, Mapping

_pack_length = struct.Struct(">I").pack


def encode_fields(label: str, fields: Iterable[bytes]) -> bytes:
    """Encode a label and a list of byte strings: count, then each with its length (4 bytes, big endian).

    The label separates uses, so that the same fields under another label give other bytes.
    """
    listed = list(fields)
    parts = _start(label, 1 + len(listed))
    for field in listed:
        parts += (_pack_length(len(field)), field)
    return b"".join(parts)


def encode_pairs(label: str, pairs: Mapping[str, str]) -> bytes:
    """Encode string pairs, sorted by the UTF-8 bytes of their keys. Raises UnicodeEncodeError on a lone surrogate."""
    encoded = [(key.encode(), value.encode()) for key, value in pairs.items()]
    if len(encoded) > 1:
        encoded.sort()
    parts = _start(label, 1 + 2 * len(encoded))
    for key, value in encoded:
        parts += (_pack_length(len(key)), key, _pack_length(len(value)), value)
    return b"".join(parts)


def _start(label: str, count: int) -> list[bytes]:
    """Return the parts that come first: how many fields there are, and the label, which is one of them."""
    encoded = label.encode()
    return [_pack_length(count), _pack_length(len(encoded)), encoded]
