"""The encoding of SSH (RFC 4251 section 5), strict and bounded: strings with their lengths, numbers, nothing left over."""

import struct
from typing import Final

_LENGTH: Final = struct.Struct(">I")
MAX_STRING_BYTES: Final = 4096


class WireError(ValueError):
    """The bytes are cut off, too long or not in the one form that is accepted."""


class WireReader:
    """Reads fields one after the other. ``end`` must come last: what is left over is refused."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, n_bytes: int) -> bytes:
        """Return so many bytes. Raises WireError when they are not there."""
        taken = self._data[self._at : self._at + n_bytes]
        if len(taken) != n_bytes:
            raise WireError("the structure is cut off")
        self._at += n_bytes
        return taken

    def uint32(self) -> int:
        """Return a number of four bytes, big endian. Raises WireError."""
        (number,) = _LENGTH.unpack(self.take(4))
        return int(number)

    def string(self, *, max_bytes: int = MAX_STRING_BYTES) -> bytes:
        """Return a string of up to so many bytes. Raises WireError."""
        length = self.uint32()
        if length > max_bytes:
            raise WireError("a field is too long")
        return self.take(length)

    def mpint(self) -> int:
        """Return a positive number in its shortest form. Raises WireError."""
        raw = self.string()
        if not raw or raw[0] & 0x80 or (raw[0] == 0 and (len(raw) == 1 or not raw[1] & 0x80)):
            raise WireError("a number is not positive, or not in its shortest form")
        return int.from_bytes(raw, "big")

    def end(self) -> None:
        """Raise WireError if anything is left."""
        if self._at != len(self._data):
            raise WireError("bytes are left over")


def wire_string(data: bytes) -> bytes:
    """Return a string with its length before it."""
    return _LENGTH.pack(len(data)) + data


def wire_mpint(number: int) -> bytes:
    """Return a number that is not negative, in its shortest form, with its length before it."""
    return wire_string(number.to_bytes(number.bit_length() // 8 + 1, "big") if number else b"")
