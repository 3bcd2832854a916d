"""Templates to CK_ATTRIBUTE arrays and back.

All values of a template lie in one buffer of ours, each aligned as a CK_ULONG must be, so that one call can
overwrite them afterwards: a template may hold a key (CKA_VALUE). A value that is a template itself
(CKA_UNWRAP_TEMPLATE) is an array of its own, which the outer one keeps alive; templates nest no deeper.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from strongroom.hsm.cryptoki._attribute_values import ULONG_BYTES, decode_value, encode_value, wrong_type
from strongroom.hsm.cryptoki._attributes import (
    VALUE_KINDS,
    Attribute,
    AttributeValue,
    PlainValue,
    Template,
    ValueKind,
)
from strongroom.hsm.cryptoki._declarations import (
    ATTRIBUTES_TYPE,
    BYTES_TYPE,
    UNAVAILABLE_INFORMATION,
    ffi,
)
from strongroom.hsm.cryptoki._errors import ModuleContractError, ParameterError
from strongroom.hsm.cryptoki._limits import MAX_ATTRIBUTE_BYTES, MAX_ATTRIBUTES

ATTRIBUTE_STRUCT_BYTES: Final = ffi.sizeof("CK_ATTRIBUTE")
_UNWRITTEN: Final = b"\xa5"
_FIRST_GUESS: Final = {
    ValueKind.BOOL: 1,
    ValueKind.ULONG: ULONG_BYTES,
    ValueKind.DATE: 8,
    ValueKind.TEXT: 256,
    ValueKind.BYTES: 1024,
    ValueKind.ULONG_ARRAY: 64 * ULONG_BYTES,
}


def _check_names(template: Mapping[Attribute, object]) -> None:
    for attribute in template:
        if not isinstance(attribute, Attribute):
            raise ParameterError("a template is a mapping from Attribute to a value")


def _aligned(n_bytes: int) -> int:
    return -(-max(n_bytes, 1) // ULONG_BYTES) * ULONG_BYTES


class AttributeArray:
    """A CK_ATTRIBUTE array and the buffer that its values lie in.

    ``pointer`` is NULL when there are no attributes. The caller zeroizes it after the call, whatever happened.
    """

    __slots__ = ("_buffer", "_is_marked", "_nested", "_places", "count", "pointer")

    def __init__(self, attributes: Sequence[tuple[Attribute, int]]) -> None:
        """Make room for attributes with these numbers of bytes each."""
        if len(attributes) > MAX_ATTRIBUTES:
            raise ParameterError(f"a template has at most {MAX_ATTRIBUTES} attributes")
        self.count = len(attributes)
        self._is_marked = False
        self._nested: dict[int, AttributeArray] = {}
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
        encoded: list[tuple[Attribute, bytes]] = []
        nested: dict[int, AttributeArray] = {}
        _check_names(template)
        for index, (attribute, value) in enumerate(template.items()):
            if VALUE_KINDS[attribute] is ValueKind.TEMPLATE:
                nested[index] = cls._of_nested(attribute, value)
                encoded.append((attribute, b""))
            else:
                encoded.append((attribute, encode_value(attribute, value)))
        array = cls._holding(encoded)
        for index, inner in nested.items():
            array._nest(index, inner)  # noqa: SLF001  # our own
        return array

    @classmethod
    def _of_nested(cls, outer: Attribute, template: object) -> "AttributeArray":
        if not isinstance(template, Mapping) or not template:
            raise wrong_type(outer, "a template that is not empty")
        _check_names(template)
        encoded = [(attribute, encode_value(attribute, value)) for attribute, value in template.items()]
        if sum(len(value) for _, value in encoded) > MAX_ATTRIBUTE_BYTES:
            raise ParameterError(f"CKA_{outer.name} must not exceed {MAX_ATTRIBUTE_BYTES} bytes")
        return cls._holding(encoded)

    @classmethod
    def _holding(cls, encoded: Sequence[tuple[Attribute, bytes]]) -> "AttributeArray":
        array = cls([(attribute, len(value)) for attribute, value in encoded])
        for (_, value), (_, offset, _) in zip(encoded, array._places, strict=True):  # our own
            ffi.memmove(array._buffer + offset, value, len(value))
        return array

    @classmethod
    def around(cls, attribute: Attribute, inner: "AttributeArray") -> "AttributeArray":
        """Make an array of one attribute, whose value is another array."""
        array = cls([(attribute, 0)])
        array._nest(0, inner)
        return array

    @classmethod
    def blank(cls, count: int) -> "AttributeArray":
        """Make an array in which the module shall write types and lengths; it has no room for values."""
        array = cls([])
        array.count = count
        array.pointer = ffi.new(ATTRIBUTES_TYPE, count)
        for index in range(count):
            array.pointer[index].type = UNAVAILABLE_INFORMATION  # if it stays so, the module wrote nothing
        return array

    @classmethod
    def room_for(cls, attributes: Sequence[Attribute]) -> "AttributeArray":
        """Make room for values of the usual sizes, filled so that ``values`` knows what was never written."""
        return cls.marked([(attribute, _FIRST_GUESS[VALUE_KINDS[attribute]]) for attribute in attributes])

    @classmethod
    def marked(cls, attributes: Sequence[tuple[Attribute, int]]) -> "AttributeArray":
        """Make room for attributes with these numbers of bytes each, filled as ``room_for`` does."""
        array = cls(attributes)
        array._is_marked = True
        size = len(array._buffer)
        ffi.memmove(array._buffer, _UNWRITTEN * size, size)
        return array

    def _nest(self, index: int, inner: "AttributeArray") -> None:
        entry = self.pointer[index]
        entry.pValue = inner.pointer
        entry.ulValueLen = inner.count * ATTRIBUTE_STRUCT_BYTES
        self._nested[index] = inner

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
            if index in self._nested:
                decoded[attribute] = self._nested[index].values_inside(attribute, length)
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

    def values_inside(self, outer: Attribute, length: int) -> dict[Attribute, PlainValue]:
        """Decode what lies in an array that is the value of ``outer``. Raises ModuleContractError."""
        is_ours = length == self.count * ATTRIBUTE_STRUCT_BYTES
        for index, (attribute, offset, _) in enumerate(self._places):
            entry = self.pointer[index]
            is_ours = is_ours and entry.type == attribute and entry.pValue == self._buffer + offset
        if not is_ours:
            raise ModuleContractError(f"CKA_{outer.name} did not come into the room that was made for it")
        return {name: value for name, value in self.values().items() if not isinstance(value, Mapping)}

    def described(self, outer: Attribute) -> list[tuple[Attribute, int]] | None:
        """Read the types and lengths that the module wrote into a ``blank`` array, the value of ``outer``.

        Returns None when it does not give one of the lengths. Raises ModuleContractError on a pointer, on a type
        that is not known, occurs twice or is a template again, and when all of it would exceed the bound of one
        attribute.
        """
        found: dict[Attribute, int] = {}
        for index in range(self.count):
            entry = self.pointer[index]
            if entry.pValue != ffi.NULL:
                # NSS softokn knows no templates and copies the array as plain bytes, with somebody's old pointers.
                raise ModuleContractError(f"CKA_{outer.name} came with pointers that are not ours")
            if entry.type not in Attribute.__members__.values() or entry.type in found:
                raise ModuleContractError(f"CKA_{outer.name} holds attribute {entry.type:#x}, which is odd")
            found[Attribute(entry.type)] = entry.ulValueLen
        if UNAVAILABLE_INFORMATION in found.values():
            return None
        kinds = {VALUE_KINDS[attribute] for attribute in found}
        if ValueKind.TEMPLATE in kinds or sum(found.values()) > MAX_ATTRIBUTE_BYTES:
            raise ModuleContractError(f"CKA_{outer.name} holds more than a template may")
        return list(found.items())

    def zeroize(self) -> None:
        """Overwrite all values."""
        ffi.memmove(self._buffer, bytes(len(self._buffer)), len(self._buffer))
        for inner in self._nested.values():
            inner.zeroize()
