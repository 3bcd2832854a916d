"""Injective encodings: two different inputs never give the same bytes.

They are used where bytes are authenticated (AAD, hash chains). Glueing strings together without their
lengths would let ``{"a": "bc"}`` stand for ``{"ab": "c"}``.
"""

from collections.abc import Iterable, Mapping

_LENGTH_BYTES = 4


def _sized(field: bytes) -> bytes:
    return len(field).to_bytes(_LENGTH_BYTES, "big") + field


def encode_fields(label: str, fields: Iterable[bytes]) -> bytes:
    """Encode a label and a list of byte strings: count, then each with its length (4 bytes, big endian).

    The label separates uses, so that the same fields under another label give other bytes.
    """
    listed = [label.encode(), *fields]
    return len(listed).to_bytes(_LENGTH_BYTES, "big") + b"".join(map(_sized, listed))


def encode_pairs(label: str, pairs: Mapping[str, str]) -> bytes:
    """Encode string pairs, sorted by the UTF-8 bytes of their keys. Raises UnicodeEncodeError on a lone surrogate."""
    encoded = sorted((key.encode(), value.encode()) for key, value in pairs.items())
    return encode_fields(label, (part for pair in encoded for part in pair))
