"""Templates: what goes in comes out, what cannot be is refused, nothing stays in memory."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.hsm.cryptoki import Attribute, ModuleContractError, ParameterError
from strongroom.hsm.cryptoki._attribute_values import decode_value, encode_value
from strongroom.hsm.cryptoki._attributes import VALUE_KINDS, ValueKind
from strongroom.hsm.cryptoki._declarations import ULONG_MAX, ffi
from strongroom.hsm.cryptoki._templates import AttributeArray

ULONGS = st.integers(0, ULONG_MAX)
VALUES = {
    ValueKind.BOOL: st.booleans(),
    ValueKind.ULONG: ULONGS,
    ValueKind.BYTES: st.binary(max_size=2000),
    ValueKind.TEXT: st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    ValueKind.DATE: st.dates(),
    ValueKind.ULONG_ARRAY: st.lists(ULONGS, max_size=80).map(tuple),
}
PLAIN = [attribute for attribute in Attribute if VALUE_KINDS[attribute] is not ValueKind.TEMPLATE]
HOLDING = [attribute for attribute in Attribute if attribute not in PLAIN]
PAIRS = st.sampled_from(PLAIN).flatmap(
    lambda attribute: st.tuples(st.just(attribute), VALUES[VALUE_KINDS[attribute]])
)
NESTED = st.tuples(st.sampled_from(HOLDING), st.lists(PAIRS, min_size=1, max_size=6).map(dict))
TEMPLATES = st.lists(PAIRS | NESTED, max_size=12).map(dict)


@given(PAIRS)
def test_a_value_survives_encoding(pair):
    attribute, value = pair
    again = decode_value(attribute, encode_value(attribute, value))
    assert again == value
    assert type(again) is type(value)


@given(TEMPLATES)
def test_a_template_survives_the_trip_through_c_memory(template):
    array = AttributeArray.of(template)
    assert array.count == len(template)
    assert array.values() == template
    for index in range(array.count):
        assert int(ffi.cast("uintptr_t", array.pointer[index].pValue)) % ffi.sizeof("CK_ULONG") == 0


@given(TEMPLATES)
def test_no_pointer_is_null_where_there_are_attributes(template):
    array = AttributeArray.of(template)
    assert (array.pointer == ffi.NULL) == (not template)
    assert all(array.pointer[index].pValue != ffi.NULL for index in range(array.count))


@given(st.binary(min_size=1, max_size=100))
def test_zeroizing_overwrites_every_value(secret):
    array = AttributeArray.of({Attribute.LABEL: "x", Attribute.VALUE: secret})
    place = ffi.cast("CK_BYTE *", array.pointer[1].pValue)
    assert ffi.buffer(place, len(secret))[:] == secret
    array.zeroize()
    assert ffi.buffer(place, len(secret))[:] == bytes(len(secret))


@given(st.binary(min_size=1, max_size=100))
def test_zeroizing_reaches_the_templates_inside(secret):
    array = AttributeArray.of({Attribute.UNWRAP_TEMPLATE: {Attribute.VALUE: secret}})
    place = ffi.cast("CK_BYTE *", ffi.cast("CK_ATTRIBUTE *", array.pointer[0].pValue)[0].pValue)
    assert ffi.buffer(place, len(secret))[:] == secret
    array.zeroize()
    assert ffi.buffer(place, len(secret))[:] == bytes(len(secret))


WRONG = st.one_of(
    st.none(), st.floats(), st.integers(), st.booleans(), st.text(), st.binary(), st.lists(st.integers())
)


@given(st.sampled_from(PLAIN), WRONG)
def test_a_value_of_the_wrong_type_is_refused(attribute, value):
    right = {
        ValueKind.BOOL: lambda: isinstance(value, bool),
        ValueKind.ULONG: lambda: isinstance(value, int) and not isinstance(value, bool) and value >= 0,
        ValueKind.BYTES: lambda: isinstance(value, bytes),
        ValueKind.TEXT: lambda: isinstance(value, str),
        ValueKind.DATE: lambda: False,
        ValueKind.ULONG_ARRAY: lambda: False,
    }[VALUE_KINDS[attribute]]()
    if right and not (isinstance(value, int) and value > ULONG_MAX):
        encode_value(attribute, value)
    else:
        with pytest.raises(ParameterError, match=f"CKA_{attribute.name}"):
            encode_value(attribute, value)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        (Attribute.CLASS, ULONG_MAX + 1),
        (Attribute.CLASS, -1),
        (Attribute.CLASS, True),
        (Attribute.ALLOWED_MECHANISMS, (-1,)),
        (Attribute.LABEL, "\ud800"),
        (Attribute.END_DATE, datetime(2030, 1, 1, tzinfo=UTC)),
        (Attribute.VALUE, bytes(2**20 + 1)),
        (Attribute.UNWRAP_TEMPLATE, {}),
        (Attribute.UNWRAP_TEMPLATE, b"template"),
        (Attribute.UNWRAP_TEMPLATE, ((Attribute.SENSITIVE, True),)),
        (Attribute.UNWRAP_TEMPLATE, {Attribute.UNWRAP_TEMPLATE: {Attribute.SENSITIVE: True}}),
        (Attribute.UNWRAP_TEMPLATE, {Attribute.ID: bytes(2**19), Attribute.VALUE: bytes(2**19 + 1)}),
    ],
)
def test_values_out_of_bounds_are_refused(attribute, value):
    with pytest.raises(ParameterError, match=f"CKA_{attribute.name}"):
        AttributeArray.of({attribute: value})


def test_a_template_is_keyed_by_attribute():
    with pytest.raises(ParameterError):
        AttributeArray.of({3: "label"})
    with pytest.raises(ParameterError):
        AttributeArray.of({Attribute.UNWRAP_TEMPLATE: {3: "label"}})


def test_a_value_of_the_wrong_type_inside_a_template_is_refused():
    with pytest.raises(ParameterError, match="CKA_SENSITIVE"):
        AttributeArray.of({Attribute.UNWRAP_TEMPLATE: {Attribute.SENSITIVE: 1}})


@given(st.sampled_from(Attribute), st.binary(max_size=40))
def test_whatever_a_module_answers_is_decoded_or_refused(attribute, answer):
    try:
        value = decode_value(attribute, answer)
    except ModuleContractError:
        return
    if value is None:
        assert VALUE_KINDS[attribute] is ValueKind.DATE
    elif VALUE_KINDS[attribute] not in {ValueKind.TEXT, ValueKind.BOOL}:
        assert encode_value(attribute, value) == answer


@pytest.mark.parametrize("unset", [b"", b"00000000", bytes(8), b"        "])
def test_a_date_that_is_not_set_is_no_value(unset):
    assert decode_value(Attribute.START_DATE, unset) is None


def test_a_date_is_read():
    assert decode_value(Attribute.END_DATE, b"20300228") == date(2030, 2, 28)


@pytest.mark.parametrize("impossible", [b"20300230", b"2030023", b"2030-2-2", b"2030010A"])
def test_an_impossible_date_is_the_modules_fault(impossible):
    with pytest.raises(ModuleContractError):
        decode_value(Attribute.END_DATE, impossible)


def test_a_length_beyond_the_room_is_the_modules_fault():
    array = AttributeArray.room_for([Attribute.SENSITIVE])
    array.pointer[0].ulValueLen = 2
    with pytest.raises(ModuleContractError):
        array.values()
