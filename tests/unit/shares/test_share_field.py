"""Arithmetic over whole values, against the tables of the reference."""

import ast
import inspect

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shamir_mnemonic.shamir import EXP_TABLE, LOG_TABLE, RawShare, _interpolate

from strongroom.shares import _checksum, _field, _words
from strongroom.shares._field import interpolate, inverse, times


def _product(one, other):
    return EXP_TABLE[(LOG_TABLE[one] + LOG_TABLE[other]) % 255] if one and other else 0


def test_every_product_of_two_bytes_is_right():
    every = bytes(range(256))
    for factor in range(256):
        products = b"".join(
            times(int.from_bytes(every[at : at + 64]), factor).to_bytes(64) for at in range(0, 256, 64)
        )
        assert products == bytes(_product(byte, factor) for byte in every)


def test_every_byte_but_zero_has_its_inverse():
    assert all(times(byte, inverse(byte)) == 1 for byte in range(1, 256))


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(st.integers(0, 255), st.binary(min_size=32, max_size=32), min_size=1, max_size=6),
    st.integers(0, 255),
)
def test_a_polynomial_is_that_of_the_reference(points, x):
    ours = interpolate({at: int.from_bytes(value) for at, value in points.items()}, x)
    theirs = _interpolate([RawShare(at, value) for at, value in points.items()], x)
    assert ours.to_bytes(32) == theirs


@pytest.mark.parametrize(
    "function",
    [_field.times, _field.interpolate, _checksum._state, _words._word_at],
    ids=lambda one: one.__name__,
)
def test_nothing_secret_is_an_index(function):
    """What is secret there are values and places of words: no list is looked into by them."""
    (written,) = ast.parse(inspect.getsource(function)).body
    assert not [node for line in written.body for node in ast.walk(line) if isinstance(node, ast.Subscript)]
