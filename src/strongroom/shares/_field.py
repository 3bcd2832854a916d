"""GF(256) with the polynomial of SLIP-0039 (x^8 + x^4 + x^3 + x + 1): all bytes of a value at once, without tables.

A value is one integer. Multiplying it by x is a shift and a mask over the whole of it, whatever it holds; the other factor is
always public (it comes of the numbers of shares), so only that one steers a branch. docs/shares.md says what Python leaves open.
"""

from collections.abc import Mapping
from typing import Final

MAX_VALUE_BYTES: Final = 64
_HIGH_BITS: Final = int.from_bytes(b"\x80" * MAX_VALUE_BYTES, "big")
_LOW_BITS: Final = int.from_bytes(b"\x7f" * MAX_VALUE_BYTES, "big")


def times(value: int, factor: int) -> int:
    """Return each byte of ``value`` times ``factor``, which is public and 0 to 255."""
    product = 0
    for bit in range(8):
        if factor >> bit & 1:
            product ^= value
        carried = (value & _HIGH_BITS) >> 7
        value = (value & _LOW_BITS) << 1 ^ carried ^ carried << 1 ^ carried << 3 ^ carried << 4
    return product


def inverse(factor: int) -> int:
    """Return what times ``factor`` is 1. ``factor`` is public, and not 0: its 254th power."""
    power = 1
    for _ in range(254):
        power = times(power, factor)
    return power


def interpolate(points: Mapping[int, int], x: int) -> int:
    """Return the value at ``x`` of the polynomial of the least degree through all points (x → value)."""
    result = 0
    for own, value in points.items():
        numerator = denominator = 1
        for other in points:
            if other != own:
                numerator = times(numerator, x ^ other)
                denominator = times(denominator, own ^ other)
        result ^= times(value, times(numerator, inverse(denominator)))
    return result
