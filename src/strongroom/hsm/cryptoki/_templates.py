"""Templates to CK_ATTRIBUTE arrays and back.

All values of a template lie in one buffer of ours, each aligned as a CK_ULONG must be, so that one call can
overwrite them afterwards: a template may hold a key (CKA_VALUE).
"""

import sys
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

from strongroom.hsm.cryptoki._attributes import (
    VALUE_KINDS,
    Attribute,
    AttributeValue,
    Template,
    ValueKind,
)
from strongroom.hsm.cryptoki._declarations import (
    ATTRIBUTES_TYPE,
    BYTES_TYPE,
    ULONG_MAX,
    UNAVAILABLE_INFORMATION,
    ffi,
)
from strongroom.hsm.cryptoki._errors import ModuleContractError, ParameterError
from strongroom.hsm.cryptoki._limits import MAX_ATTRIBUTE_BYTES, MAX_ATTRIBUTES

_ULONG_BYTES: Final = ffi.sizeof("CK_ULONG")
_UNWRITTEN: Final = b"\xa5"
_FIRST_GUESS: Final = {
    ValueKind.BOOL: 1,
    ValueKind.ULONG: _ULONG_BYTES,
    ValueKind.DATE: 8,
    ValueKind.TEXT: 256,
    ValueKind.BYTES: 1024,
    ValueKind.ULONG_ARRAY: 64 * _ULONG_BYTES,
}


def _wrong_type(attribute: Attribute, wanted: str) -> ParameterError:
    return ParameterError(f"CKA_{attribute.name} must be {wanted}")


def _encode_bool(attribute: Attribute, value: object) -> bytes:
    if not isinstance(value, bool):
        raise _wrong_type(attribute, "a bool")
    return b"\x01" if value else b"\x00"


def _encode_ulong(attribute: Attribute, value: object) -> bytes:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= ULONG_MAX:
        raise _wrong_type(attribute, f"an integer from 0 to {ULONG_MAX}")
    return value.to_bytes(_ULONG_BYTES, sys.byteorder)


def _encode_ulongs(attribute: Attribute, value: object) -> bytes:
    if not isinstance(value, tuple):
        raise _wrong_type(attribute, "a tuple of integers")
    return b"".join(_encode_ulong(attribute, item) for item in value)


def _encode_text(attribute: Attribute, value: object) -> bytes:
    try:
        if isinstance(value, str):
            return value.encode()
    except UnicodeEncodeError:
        pass
    raise _wrong_type(attribute, "a str that UTF-8 can encode")


def _encode_date(attribute: Attribute, value: object) -> bytes:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise _wrong_type(attribute, "a date")
    return f"{value.year:04d}{value.month:02d}{value.day:02d}".encode()


def _encode_bytes(attribute: Attribute, value: object) -> bytes:
    if not isinstance(value, bytes):
        raise _wrong_type(attribute, "bytes")
    return value


_ENCODERS: Final = {
    ValueKind.BOOL: _encode_bool,
    ValueKind.ULONG: _encode_ulong,
    ValueKind.ULONG_ARRAY: _encode_ulongs,
    ValueKind.TEXT: _encode_text,
    ValueKind.DATE: _encode_date,
    ValueKind.BYTES: _encode_bytes,
}


def encode_value(attribute: Attribute, value: AttributeValue) -> bytes:
    """Encode one value as the module reads it. Raises ParameterError on a wrong type or size."""
    encoded = _ENCODERS[VALUE_KINDS[attribute]](attribute, value)
    if len(encoded) > MAX_ATTRIBUTE_BYTES:
        raise ParameterError(f"CKA_{attribute.name} must not exceed {MAX_ATTRIBUTE_BYTES} bytes")
    return encoded


def decode_value(attribute: Attribute, encoded: bytes) -> AttributeValue | None:
    """Decode what the module gave; None for a date that is not set.

    Raises ModuleContractError when the bytes cannot be a value of this attribute's type.
    """
    kind = VALUE_KINDS[attribute]
    if kind is ValueKind.BYTES:
        return encoded
    if kind is ValueKind.TEXT:
        return encoded.decode("utf-8", "replace")
    if kind is ValueKind.BOOL and len(encoded) == 1:
        return encoded != b"\x00"
    if kind is ValueKind.ULONG and len(encoded) == _ULONG_BYTES:
        return int.from_bytes(encoded, sys.byteorder)
    if kind is ValueKind.ULONG_ARRAY and len(encoded) % _ULONG_BYTES == 0:
        items = (encoded[i : i + _ULONG_BYTES] for i in range(0, len(encoded), _ULONG_BYTES))
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


def _aligned(n_bytes: int) -> int:
    return -(-max(n_bytes, 1) // _ULONG_BYTES) * _ULONG_BYTES


class AttributeArray:
    """A CK_ATTRIBUTE array and the buffer that its values lie in.

    ``pointer`` is NULL when there are no attributes. The caller zeroizes it after the call, whatever happened.
    """

    __slots__ = ("_buffer", "_is_marked", "_places", "count", "pointer")

    def __init__(self, attributes: Sequence[tuple[Attribute, int]]) -> None:
        """Make room for attributes with these numbers of bytes each."""
        if len(attributes) > MAX_ATTRIBUTES:
            raise ParameterError(f"a template has at most {MAX_ATTRIBUTES} attributes")
        self.count = len(attributes)
        self._is_marked = False
        self.pointer: Any = ffi.new(ATTRIBUTES_TYPE, self.count) if attributes else ffi.NULL
        self._buffer: Any = ffi.new(BYTES_TYPE, sum(_aligned(size) for _, size in attributes))
        self._places: list[tuple[Attribute, int, int]] = []
        offset = 0
        for index, (attribute, size) in enumerate(attributes):
            entry = self.pointer[index]
            entry.type = attribute
            entry.pValue = self._buffer + offset
            entry.ulValueLen = size
            self._places.append((attribute, offset, size))
            offset += _aligned(size)

    @classmethod
    def of(cls, template: Template) -> "AttributeArray":
        """Encode a template. Raises ParameterError before anything is sent."""
        for attribute in template:
            if not isinstance(attribute, Attribute):
                raise ParameterError("a template is a mapping from Attribute to a value")
        values = [(attribute, encode_value(attribute, value)) for attribute, value in template.items()]
        array = cls([(attribute, len(encoded)) for attribute, encoded in values])
        for (_, encoded), (_, offset, _) in zip(values, array._places, strict=True):  # our own
            ffi.memmove(array._buffer + offset, encoded, len(encoded))
        return array

    @classmethod
    def room_for(cls, attributes: Sequence[Attribute]) -> "AttributeArray":
        """Make room for values of the usual sizes, filled so that ``values`` knows what was never written."""
        array = cls([(attribute, _FIRST_GUESS[VALUE_KINDS[attribute]]) for attribute in attributes])
        array._is_marked = True
        size = len(array._buffer)
        ffi.memmove(array._buffer, _UNWRITTEN * size, size)
        return array

    def lengths(self) -> list[tuple[Attribute, int | None]]:
        """Read the lengths that the module wrote; None where it gave no value."""
        return [
            (place[0], None if length == UNAVAILABLE_INFORMATION else length)
            for place, length in (
                (place, self.pointer[index].ulValueLen) for index, place in enumerate(self._places)
            )
        ]

    def values(self) -> dict[Attribute, AttributeValue]:
        """Decode what the module wrote; what it gave no value for is absent. Raises ModuleContractError.

        A module that stops at the first attribute it will not show leaves the others as they were, although it
        must not. Taken for an answer, that would be a false: not extractable, for one.
        """
        decoded: dict[Attribute, AttributeValue] = {}
        for index, (attribute, offset, room) in enumerate(self._places):
            length = self.pointer[index].ulValueLen
            if length == UNAVAILABLE_INFORMATION:
                continue
            if length > room:
                raise ModuleContractError(f"CKA_{attribute.name}: {length} bytes in a buffer of {room}")
            encoded = ffi.buffer(self._buffer + offset, length)[:]
            if self._is_marked and length == room and encoded == _UNWRITTEN * room:
                continue
            value = decode_value(attribute, encoded)
            if value is not None:
                decoded[attribute] = value
        return decoded

    def zeroize(self) -> None:
        """Overwrite all values."""
        ffi.memmove(self._buffer, bytes(len(self._buffer)), len(self._buffer))
