"""Plain attribute values to bytes, as they lie in memory, and back."""

import sys
from datetime import date, datetime
from typing import Final

from strongroom.hsm.cryptoki._attributes import VALUE_KINDS, Attribute, PlainValue, ValueKind
from strongroom.hsm.cryptoki._declarations import ULONG_MAX, ffi
from strongroom.hsm.cryptoki._errors import ModuleContractError, ParameterError
from strongroom.hsm.cryptoki._limits import MAX_ATTRIBUTE_BYTES

ULONG_BYTES: Final = ffi.sizeof("CK_ULONG")


def wrong_type(attribute: Attribute, wanted: str) -> ParameterError:
    """Make the error for a value that is not what is ``wanted``."""
    return ParameterError(f"CKA_{attribute.name} must be {wanted}")


def _encode_bool(attribute: Attribute, value: object) -> bytes:
    if not isinstance(value, bool):
        raise wrong_type(attribute, "a bool")
    return b"\x01" if value else b"\x00"


def _encode_ulong(attribute: Attribute, value: object) -> bytes:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= ULONG_MAX:
        raise wrong_type(attribute, f"an integer from 0 to {ULONG_MAX}")
    return value.to_bytes(ULONG_BYTES, sys.byteorder)


def _encode_ulongs(attribute: Attribute, value: object) -> bytes:
    if not isinstance(value, tuple):
        raise wrong_type(attribute, "a tuple of integers")
    return b"".join(_encode_ulong(attribute, item) for item in value)


def _encode_text(attribute: Attribute, value: object) -> bytes:
    try:
        if isinstance(value, str):
            return value.encode()
    except UnicodeEncodeError:
        pass
    raise wrong_type(attribute, "a str that UTF-8 can encode")


def _encode_date(attribute: Attribute, value: object) -> bytes:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise wrong_type(attribute, "a date")
    return f"{value.year:04d}{value.month:02d}{value.day:02d}".encode()


def _encode_bytes(attribute: Attribute, value: object) -> bytes:
    if not isinstance(value, bytes):
        raise wrong_type(attribute, "bytes")
    return value


_ENCODERS: Final = {
    ValueKind.BOOL: _encode_bool,
    ValueKind.ULONG: _encode_ulong,
    ValueKind.ULONG_ARRAY: _encode_ulongs,
    ValueKind.TEXT: _encode_text,
    ValueKind.DATE: _encode_date,
    ValueKind.BYTES: _encode_bytes,
}


def encode_value(attribute: Attribute, value: object) -> bytes:
    """Encode one plain value as the module reads it. Raises ParameterError on a wrong type or size."""
    kind = VALUE_KINDS[attribute]
    if kind is ValueKind.TEMPLATE:
        raise ParameterError(f"CKA_{attribute.name} must not be inside another template")
    encoded = _ENCODERS[kind](attribute, value)
    if len(encoded) > MAX_ATTRIBUTE_BYTES:
        raise ParameterError(f"CKA_{attribute.name} must not exceed {MAX_ATTRIBUTE_BYTES} bytes")
    return encoded


def decode_value(attribute: Attribute, encoded: bytes) -> PlainValue | None:
    """Decode a plain value that the module gave; None for a date that is not set.

    Raises ModuleContractError when the bytes cannot be a value of this attribute's type.
    """
    kind = VALUE_KINDS[attribute]
    if kind is ValueKind.BYTES:
        return encoded
    if kind is ValueKind.TEXT:
        return encoded.decode("utf-8", "replace")
    if kind is ValueKind.BOOL and len(encoded) == 1:
        return encoded != b"\x00"
    if kind is ValueKind.ULONG and len(encoded) == ULONG_BYTES:
        return int.from_bytes(encoded, sys.byteorder)
    if kind is ValueKind.ULONG_ARRAY and len(encoded) % ULONG_BYTES == 0:
        items = (encoded[i : i + ULONG_BYTES] for i in range(0, len(encoded), ULONG_BYTES))
        return tuple(int.from_bytes(item, sys.byteorder) for item in items)
    if kind is ValueKind.DATE:
        return _decode_date(attribute, encoded)
    raise ModuleContractError(f"CKA_{attribute.name} came with {len(encoded)} bytes")


def _decode_date(attribute: Attribute, encoded: bytes) -> date | None:
    if not encoded.strip(b"\x00 0"):
        return None
    try:
        if len(encoded) != 8 or not encoded.isdigit():
            raise ValueError
        return date(int(encoded[:4]), int(encoded[4:6]), int(encoded[6:]))
    except ValueError:
        raise ModuleContractError(f"CKA_{attribute.name} is not a date") from None
