"""Objects: finding them, reading and changing their attributes, creating, copying and destroying them."""

from collections.abc import Sequence
from typing import Any

from strongroom.hsm.cryptoki._attributes import VALUE_KINDS, Attribute, AttributeValue, Template, ValueKind
from strongroom.hsm.cryptoki._calls import Calls
from strongroom.hsm.cryptoki._declarations import ULONG_POINTER, ULONGS_TYPE, UNAVAILABLE_INFORMATION, ffi
from strongroom.hsm.cryptoki._errors import ModuleContractError, ParameterError
from strongroom.hsm.cryptoki._limits import (
    MAX_ATTRIBUTE_BYTES,
    MAX_ATTRIBUTES,
    MAX_OBJECTS,
    check_count,
    check_ulong,
)
from strongroom.hsm.cryptoki._return_values import (
    CKR_ATTRIBUTE_SENSITIVE,
    CKR_ATTRIBUTE_TYPE_INVALID,
    CKR_BUFFER_TOO_SMALL,
    CKR_OK,
    error_for,
)
from strongroom.hsm.cryptoki._templates import ATTRIBUTE_STRUCT_BYTES, AttributeArray

_BATCH = 256
_ANY_LENGTH = frozenset({ValueKind.BYTES, ValueKind.TEXT, ValueKind.ULONG_ARRAY})
# C_GetAttributeValue goes through the whole template although it returns one of these.
_PARTIAL = frozenset({CKR_OK, CKR_ATTRIBUTE_SENSITIVE, CKR_ATTRIBUTE_TYPE_INVALID, CKR_BUFFER_TOO_SMALL})


class ObjectCalls(Calls):
    """The part of ``Module`` that deals with objects."""

    def find_objects(self, session: int, template: Template, *, limit: int = 1024) -> list[int]:
        """Return handles of at most ``limit`` objects that have all these attributes; all, if it is empty.

        The search is always ended (C_FindObjectsFinal), also after an error.
        """
        check_ulong(session, "session")
        check_count(limit, "limit", MAX_OBJECTS)
        wanted = AttributeArray.of(template)
        try:
            self._call("C_FindObjectsInit", session, wanted.pointer, wanted.count)
            try:
                found = self._found(session, limit)
            except BaseException:
                self._functions["C_FindObjectsFinal"](session)
                raise
            self._call("C_FindObjectsFinal", session)
        finally:
            wanted.zeroize()
        return found

    def _found(self, session: int, limit: int) -> list[int]:
        found: list[int] = []
        handles: Any = ffi.new(ULONGS_TYPE, _BATCH)
        count = ffi.new(ULONG_POINTER)
        while len(found) < limit:
            room = min(_BATCH, limit - len(found))
            self._call("C_FindObjects", session, handles, room, count)
            if count[0] == 0:
                break
            if count[0] > room:
                raise ModuleContractError(f"C_FindObjects found {count[0]} objects in {room}")
            found.extend(handles[0 : count[0]])
        return found

    def get_attributes(
        self, session: int, obj: int, attributes: Sequence[Attribute]
    ) -> dict[Attribute, AttributeValue]:
        """Read attributes of an object.

        What the token will not show (CKR_ATTRIBUTE_SENSITIVE), what the object does not have
        (CKR_ATTRIBUTE_TYPE_INVALID), and dates that are not set are absent from the answer. So a caller that
        needs an attribute to be there says ``answer[attribute]``, and a missing one is never taken for false.
        Raises ObjectHandleInvalidError and others.
        """
        check_ulong(session, "session")
        check_ulong(obj, "obj")
        for attribute in attributes:
            if not isinstance(attribute, Attribute):
                raise ParameterError("attributes must be members of Attribute")
        wanted = list(dict.fromkeys(attributes))
        values = self._read_plain(
            session, obj, [name for name in wanted if VALUE_KINDS[name] is not ValueKind.TEMPLATE]
        )
        for name in wanted:
            if VALUE_KINDS[name] is ValueKind.TEMPLATE:
                template = self._read_template(session, obj, name)
                if template is not None:
                    values[name] = template
        return {attribute: values[attribute] for attribute in wanted if attribute in values}

    def _read_plain(
        self, session: int, obj: int, wanted: Sequence[Attribute]
    ) -> dict[Attribute, AttributeValue]:
        if not wanted:
            return {}
        array = AttributeArray.room_for(wanted)
        try:
            returned = self._read(session, obj, array)
            values = array.values()
        finally:
            array.zeroize()
        if returned != CKR_OK:
            # Of several reasons the module names one, so any value that is missing may just have been too long.
            missing = [name for name in wanted if name not in values and VALUE_KINDS[name] in _ANY_LENGTH]
            values |= self._read_long(session, obj, missing)
        return values

    def _read(self, session: int, obj: int, array: AttributeArray) -> int:
        returned = self._functions["C_GetAttributeValue"](session, obj, array.pointer, array.count)
        if returned not in _PARTIAL:
            raise error_for(returned, "C_GetAttributeValue")
        return returned

    def _read_long(
        self, session: int, obj: int, attributes: Sequence[Attribute]
    ) -> dict[Attribute, AttributeValue]:
        """Read what did not fit the usual room: ask for the sizes, then for the values."""
        if not attributes:
            return {}
        asking = AttributeArray.room_for(attributes)
        for index in range(asking.count):
            asking.pointer[index].pValue = ffi.NULL
            asking.pointer[index].ulValueLen = UNAVAILABLE_INFORMATION
        self._read(session, obj, asking)
        sizes = [(attribute, length) for attribute, length in asking.lengths() if length is not None]
        for attribute, length in sizes:
            if length > MAX_ATTRIBUTE_BYTES:
                raise ModuleContractError(f"CKA_{attribute.name} would have {length} bytes")
        if not sizes:
            return {}
        array = AttributeArray(sizes)
        try:
            returned = self._read(session, obj, array)
            if returned == CKR_BUFFER_TOO_SMALL:  # it grew in between, or the module miscounts
                raise error_for(returned, "C_GetAttributeValue")
            return array.values()
        finally:
            array.zeroize()

    def _read_template(self, session: int, obj: int, attribute: Attribute) -> AttributeValue | None:
        """Read an attribute that is a template: how many it holds, then which and how long, then their values.

        PKCS#11 2.40, C_GetAttributeValue, on CKF_ARRAY_ATTRIBUTE. In between, the module reads the pointers in
        our array, so this never shares a call with attributes that are read into a room of guessed size.
        """
        asking = AttributeArray([(attribute, 0)])
        asking.pointer[0].pValue = ffi.NULL
        asking.pointer[0].ulValueLen = UNAVAILABLE_INFORMATION
        self._read(session, obj, asking)
        ((_, length),) = asking.lengths()
        if not length:  # it has no such attribute, or an empty one
            return None if length is None else {}
        count, rest = divmod(length, ATTRIBUTE_STRUCT_BYTES)
        if rest or count > MAX_ATTRIBUTES:
            raise ModuleContractError(f"CKA_{attribute.name} would have {length} bytes")
        blank = AttributeArray.blank(count)
        self._read(session, obj, AttributeArray.around(attribute, blank))
        described = blank.described(attribute)
        if described is None:
            return None
        # One byte more than it takes: a length that stays as it was means that nothing was written.
        room = AttributeArray.marked([(name, n_bytes + 1) for name, n_bytes in described])
        array = AttributeArray.around(attribute, room)
        try:
            self._read(session, obj, array)
            return array.values().get(attribute)
        finally:
            array.zeroize()

    def set_attributes(self, session: int, obj: int, template: Template) -> None:
        """C_SetAttributeValue. Raises AttributeReadOnlyError, ActionProhibitedError and others."""
        check_ulong(session, "session")
        check_ulong(obj, "obj")
        array = AttributeArray.of(template)
        try:
            self._call("C_SetAttributeValue", session, obj, array.pointer, array.count)
        finally:
            array.zeroize()

    def create_object(self, session: int, template: Template) -> int:
        """C_CreateObject: make an object from values that we have. Returns its handle."""
        check_ulong(session, "session")
        array = AttributeArray.of(template)
        try:
            return self._call_for_number("C_CreateObject", session, array.pointer, array.count)
        finally:
            array.zeroize()

    def copy_object(self, session: int, obj: int, template: Template) -> int:
        """C_CopyObject: copy an object, changing what the template names. Returns the copy's handle."""
        check_ulong(session, "session")
        check_ulong(obj, "obj")
        array = AttributeArray.of(template)
        try:
            return self._call_for_number("C_CopyObject", session, obj, array.pointer, array.count)
        finally:
            array.zeroize()

    def destroy_object(self, session: int, obj: int) -> None:
        """C_DestroyObject: for good. Raises ObjectHandleInvalidError, ActionProhibitedError and others."""
        check_ulong(session, "session")
        self._call("C_DestroyObject", session, check_ulong(obj, "obj"))
