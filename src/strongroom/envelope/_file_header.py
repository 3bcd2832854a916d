"""The header in front of a chunked message: it says how the message was made and which data key opens it."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Final, NamedTuple, Self

from strongroom.envelope._errors import MalformedFileError

MAGIC: Final = b"\x89SRF\r\n\x1a\n"
"""As PNG's: not text, and changed by every transfer that treats it as text."""
FORMAT_VERSION: Final = 1
COBBLESTONE_256: Final = 1
MAX_WRAPPED_KEY_BYTES: Final = 6_144
"""What AWS KMS lets a CiphertextBlob have."""
MAX_CONTEXT_BYTES: Final = 8_192
"""Encoded. AWS KMS takes 8,192 bytes of JSON, which is never shorter than our encoding."""

_FIXED: Final = MAGIC + bytes((FORMAT_VERSION, COBBLESTONE_256))
_LENGTH_BYTES: Final = 2
FIRST_BYTES: Final = len(_FIXED) + _LENGTH_BYTES
"""How much of a header to read before ``header_bytes`` can say how much it has."""
MAX_HEADER_BYTES: Final = FIRST_BYTES + MAX_WRAPPED_KEY_BYTES + _LENGTH_BYTES + MAX_CONTEXT_BYTES


class FileHeader(NamedTuple):
    r"""What stands in front of the chunked message.

    ======  ======  ==================================================================================
    Offset  Length  Field (numbers are big endian)
    ======  ======  ==================================================================================
    0       8       magic: 89 53 52 46 0d 0a 1a 0a
    8       1       format version, 0x01
    9       1       algorithm: 0x01 is C2SP chunked encryption, Cobblestone-256
    10      2       length *n* of the wrapped data key, 1 to 6,144
    12      n       wrapped data key: the CiphertextBlob of GenerateDataKey
    12+n    2       length *c* of the encryption context, 0 to 8,192
    14+n    c       encryption context: for each pair key length (2), key, value length (2), value;
                    UTF-8, sorted by the bytes of the keys, no key twice
    ======  ======  ==================================================================================

    The chunked message follows at 14+n+c: salt, commitment, chunks. The whole header is the context of its
    key derivation, so nothing of it can be changed or put before another message.
    """

    wrapped_data_key: bytes
    encryption_context: Mapping[str, str]

    def encode(self) -> bytes:
        """Return the bytes. Raises MalformedFileError when a field is longer than the layout allows."""
        if not 1 <= len(self.wrapped_data_key) <= MAX_WRAPPED_KEY_BYTES:
            raise MalformedFileError("the wrapped data key has an impossible length")
        context = encode_context(self.encryption_context)
        return b"".join((_FIXED, _sized(self.wrapped_data_key), _sized(context)))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a header and nothing beyond it. Raises MalformedFileError on all that ``encode`` would not write."""
        if len(data) < FIRST_BYTES or len(data) != header_bytes(data):
            raise MalformedFileError("its header has another length than it says")
        wrapped_end = FIRST_BYTES + _number(data, FIRST_BYTES - _LENGTH_BYTES)
        return cls(data[FIRST_BYTES:wrapped_end], _parse_context(data[wrapped_end + _LENGTH_BYTES :]))


def header_bytes(beginning: bytes) -> int:
    """Return how much of a header one must have to know more of it; call it again with that much.

    Starts with 12 bytes (``FIRST_BYTES``). What it returns is never over 14,350, and once it is the length of
    what it was given, that is the whole header. Raises MalformedFileError as soon as it cannot be one.
    """
    if beginning[: len(MAGIC)] != MAGIC:
        raise MalformedFileError("it does not begin as one")
    if len(beginning) < FIRST_BYTES:
        raise MalformedFileError("it ends within its header")
    if beginning[: len(_FIXED)] != _FIXED:
        version, algorithm = beginning[len(MAGIC) : len(_FIXED)]
        raise MalformedFileError(f"unknown format version {version} or algorithm {algorithm}")
    wrapped_bytes = _number(beginning, FIRST_BYTES - _LENGTH_BYTES)
    if not 1 <= wrapped_bytes <= MAX_WRAPPED_KEY_BYTES:
        raise MalformedFileError("its wrapped data key has an impossible length")
    context_at = FIRST_BYTES + wrapped_bytes + _LENGTH_BYTES
    if len(beginning) < context_at:
        return context_at
    context_bytes = _number(beginning, context_at - _LENGTH_BYTES)
    if context_bytes > MAX_CONTEXT_BYTES:
        raise MalformedFileError("its encryption context is too long")
    return context_at + context_bytes


def encode_context(context: Mapping[str, str]) -> bytes:
    """Encode an encryption context, injectively. Raises MalformedFileError when it is over 8,192 bytes or no UTF-8."""
    try:
        pairs = sorted((key.encode(), value.encode()) for key, value in context.items())
    except UnicodeEncodeError:
        raise MalformedFileError("the encryption context holds what is no text") from None
    parts = [part for pair in pairs for part in pair]
    if sum(map(len, parts)) + _LENGTH_BYTES * len(parts) > MAX_CONTEXT_BYTES:
        raise MalformedFileError(f"the encryption context is over {MAX_CONTEXT_BYTES} bytes long")
    return b"".join(map(_sized, parts))


def _parse_context(data: bytes) -> dict[str, str]:
    parts: list[bytes] = []
    at = 0
    while at < len(data):
        begin = at + _LENGTH_BYTES
        at = begin + _number(data, at) if begin <= len(data) else begin
        if at > len(data):
            raise MalformedFileError("its encryption context does not hold what it says")
        parts.append(data[begin:at])
    keys, values = parts[::2], parts[1::2]
    if len(keys) != len(values) or any(first >= second for first, second in pairwise(keys)):
        raise MalformedFileError("its encryption context is not in order")
    try:
        return {key.decode(): value.decode() for key, value in zip(keys, values, strict=True)}
    except UnicodeDecodeError:
        raise MalformedFileError("its encryption context holds what is no text") from None


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + _LENGTH_BYTES], "big")


def _sized(field: bytes) -> bytes:
    return len(field).to_bytes(_LENGTH_BYTES, "big") + field
