"""The pin, by which a member recognises its genesis and the newest record that it followed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes_custody import UNHURRIED
from strongroom.custody import (
    MAX_PIN_BYTES,
    ChainError,
    CustodyError,
    Pin,
    newest_pin,
    read_pin_document,
    write_pin,
)

G, H = "ab" * 32, "cd" * 32
HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)


@UNHURRIED
@given(HASHES, st.integers(1, 10**6), HASHES)
def test_a_pin_is_read_as_it_was_written(genesis, sequence, head):
    pin = Pin(genesis, sequence, head)
    data = write_pin(pin)
    assert read_pin_document(data) == pin
    assert len(data) <= MAX_PIN_BYTES // 2


@UNHURRIED
@given(st.binary(max_size=300))
def test_other_bytes_are_refused(data):
    with pytest.raises(CustodyError):
        read_pin_document(data)


@pytest.mark.parametrize(
    "data",
    [
        write_pin(Pin(G, 3, H))[:-1], write_pin(Pin(G, 3, H)) + b" ", write_pin(Pin(G, 3, H)).replace(b"v1", b"v2"), write_pin(Pin(G, 0, H)),
        write_pin(Pin(G, 3, H)).replace(b'"sequence":3', b'"sequence":-3'), b"{}" * 900,
    ],
)  # fmt: skip
def test_what_is_nearly_a_pin_is_refused(data):
    with pytest.raises(CustodyError):
        read_pin_document(data)
    with pytest.raises(ChainError, match="damaged"):
        newest_pin([data])


def test_of_several_pins_the_newest_counts_and_a_broken_one_beside_it_not():
    old, new = write_pin(Pin(G, 0, G)), write_pin(Pin(G, 3, H))
    assert newest_pin([]) is None
    assert newest_pin([old, new, b"", new[:50]]) == Pin(G, 3, H)


@pytest.mark.parametrize("other", [Pin(H, 0, H), Pin(G, 3, G)])
def test_pins_that_contradict_each_other_are_refused(other):
    with pytest.raises(ChainError, match="contradict"):
        newest_pin([write_pin(Pin(G, 3, H)), write_pin(other)])
