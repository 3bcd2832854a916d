"""Attributes that are templates: read from a module that keeps to the specification, and from ones that do not.

The module here is written in Python and gets the very C structures that a library would get.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.hsm.cryptoki import Attribute, KeyType, Module, ModuleContractError
from strongroom.hsm.cryptoki._attribute_values import encode_value
from strongroom.hsm.cryptoki._declarations import UNAVAILABLE_INFORMATION, ffi
from strongroom.hsm.cryptoki._library import Library

A = Attribute
OK, TYPE_INVALID = 0, 0x12
STRUCT_BYTES = ffi.sizeof("CK_ATTRIBUTE")
TEMPLATE = {A.SENSITIVE: True, A.WRAP: False, A.KEY_TYPE: KeyType.AES, A.ID: b"\xa5", A.LABEL: "x" * 3000}
ENCODED = {int(name): encode_value(name, value) for name, value in TEMPLATE.items()}


class Answering:
    """C_GetAttributeValue of an object whose only attribute is CKA_UNWRAP_TEMPLATE (PKCS#11 2.40, 5.7)."""

    def __init__(self, encoded):
        self.encoded = encoded

    def __call__(self, _session, _obj, template, count):
        assert count == 1
        entry = template[0]
        if entry.type != A.UNWRAP_TEMPLATE or self.encoded is None:
            entry.ulValueLen = UNAVAILABLE_INFORMATION
            return TYPE_INVALID
        if entry.pValue != ffi.NULL:
            inner = ffi.cast("CK_ATTRIBUTE *", entry.pValue)
            if inner[0].pValue == ffi.NULL:
                self.describe(inner)
            else:
                self.fill(inner)
        entry.ulValueLen = self.outer_length()
        return OK

    def outer_length(self):
        return len(self.encoded) * STRUCT_BYTES

    def describe(self, inner):
        for index, (number, value) in enumerate(self.encoded.items()):
            inner[index].type, inner[index].ulValueLen = number, len(value)

    def fill(self, inner):
        for index, value in enumerate(self.encoded.values()):
            assert inner[index].ulValueLen >= len(value)
            ffi.memmove(inner[index].pValue, value, len(value))
            inner[index].ulValueLen = len(value)


def read_from(function):
    module = Module(Library("/nowhere", None, {"C_GetAttributeValue": function}))
    return module.get_attributes(1, 1, (A.UNWRAP_TEMPLATE,))


def test_a_template_is_read_as_it_was_set():
    assert read_from(Answering(ENCODED)) == {A.UNWRAP_TEMPLATE: TEMPLATE}


def test_an_object_without_the_attribute_has_none_and_an_empty_template_is_told_apart():
    assert read_from(Answering(None)) == {}
    assert read_from(Answering({})) == {A.UNWRAP_TEMPLATE: {}}


class WrongOuterLength(Answering):
    def __init__(self, length):
        super().__init__(ENCODED)
        self.length = length

    def outer_length(self):
        return self.length


@pytest.mark.parametrize("length", [1, STRUCT_BYTES - 1, STRUCT_BYTES + 1, 129 * STRUCT_BYTES, 2**40])
def test_a_length_that_no_template_has_is_the_modules_fault(length):
    with pytest.raises(ModuleContractError):
        read_from(WrongOuterLength(length))


class Describing(Answering):
    """Describes its template in the second call as it is told, whatever it said in the first."""

    def __init__(self, *described):
        super().__init__(dict(enumerate(described)))
        self.described = described

    def describe(self, inner):
        for index, (number, length) in enumerate(self.described):
            inner[index].type, inner[index].ulValueLen = number, length

    def fill(self, inner):
        raise AssertionError("no value may be asked for")


@pytest.mark.parametrize(
    "described",
    [
        [(0x80001234, 1)],
        [(A.SENSITIVE, 1), (A.SENSITIVE, 1)],
        [(A.UNWRAP_TEMPLATE, STRUCT_BYTES)],
        [(A.VALUE, 2**20 + 1)],
        [(A.VALUE, 2**62)],
    ],
    ids=["unknown", "twice", "nested again", "too long", "absurd"],
)
def test_what_no_template_can_hold_is_the_modules_fault(described):
    with pytest.raises(ModuleContractError):
        read_from(Describing(*described))


def test_a_template_of_which_the_token_hides_a_part_is_absent():
    assert read_from(Describing((A.SENSITIVE, 1), (A.VALUE, UNAVAILABLE_INFORMATION))) == {}


class Silent(Answering):
    """Says how many, then writes nothing more."""

    def describe(self, inner):
        pass


def test_types_that_were_never_written_are_not_taken_for_an_answer():
    with pytest.raises(ModuleContractError):
        read_from(Silent({int(A.CLASS): b""}))


class Lazy(Answering):
    """Describes everything, and writes no value."""

    def fill(self, inner):
        pass


def test_values_that_were_never_written_are_absent():
    assert read_from(Lazy(ENCODED)) == {A.UNWRAP_TEMPLATE: {}}


class Shallow(Answering):
    """Knows no templates: copies the array that it was once given, pointers and all, as plain bytes."""

    def __init__(self, *, from_the):
        super().__init__(ENCODED)
        self.call = from_the
        self.old = ffi.new("CK_ATTRIBUTE[]", len(ENCODED))
        super().describe(self.old)
        for index in range(len(ENCODED)):
            self.old[index].pValue = ffi.cast("void *", 0xDEAD)

    def describe(self, inner):
        super().describe(inner)
        if self.call == "second call":
            ffi.memmove(inner, self.old, ffi.sizeof(self.old))

    def fill(self, inner):
        ffi.memmove(inner, self.old, ffi.sizeof(self.old))


@pytest.mark.parametrize("call", ["second call", "third call"])
def test_an_array_that_was_copied_as_plain_bytes_is_not_taken_for_values(call):
    with pytest.raises(ModuleContractError, match="CKA_UNWRAP_TEMPLATE"):
        read_from(Shallow(from_the=call))


class Overlong(Answering):
    def fill(self, inner):
        super().fill(inner)
        inner[0].ulValueLen = 3


def test_a_value_longer_than_its_room_is_the_modules_fault():
    with pytest.raises(ModuleContractError, match="CKA_SENSITIVE"):
        read_from(Overlong(ENCODED))


NUMBERS = st.one_of(st.sampled_from([int(name) for name in Attribute]), st.integers(0, 2**64 - 1))
LENGTHS = st.one_of(st.integers(0, 40), st.integers(0, 2**64 - 1))


class Hostile(Answering):
    """Says truly how many there are, for whom we make room; everything after that is made up."""

    def __init__(self, answers, later_lengths):
        super().__init__(dict(enumerate(answers)))
        self.answers = answers
        self.lengths = [super().outer_length(), *later_lengths]

    def outer_length(self):
        return self.lengths.pop(0)

    def describe(self, inner):
        for index, (number, length) in enumerate(self.answers):
            inner[index].type, inner[index].ulValueLen = number, length

    fill = describe


@given(
    st.lists(st.tuples(NUMBERS, LENGTHS), min_size=1, max_size=5), st.lists(LENGTHS, min_size=2, max_size=2)
)
def test_whatever_a_module_answers_is_a_template_or_refused(answers, later_lengths):
    try:
        read = read_from(Hostile(answers, later_lengths))
    except ModuleContractError:
        return
    assert set(read) <= {A.UNWRAP_TEMPLATE}
