"""Length-framed bytes: 4 bytes big endian, then that many bytes; bounded, so nobody can make us hold much."""

from collections.abc import Iterator

from strongroom.core import StrongroomError

MAX_FRAME_BYTES = 1 << 20
"""Largest payload of a frame. A peer that announces more is cut off."""

_LENGTH_BYTES = 4


class FrameError(StrongroomError):
    """The peer sent something that is no frame; the connection is of no further use."""


def frame(payload: bytes) -> bytes:
    """Put the length before a payload. Raises FrameError when it is over MAX_FRAME_BYTES."""
    if len(payload) > MAX_FRAME_BYTES:
        raise FrameError(f"a frame of {len(payload)} bytes is over the limit of {MAX_FRAME_BYTES}")
    return len(payload).to_bytes(_LENGTH_BYTES, "big") + payload


class FrameBuffer:
    """Collects bytes as they come and gives whole payloads."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Add bytes and yield each payload that is complete. Raises FrameError on a length over the limit."""
        self._buffer += data
        start = 0
        while len(self._buffer) - start >= _LENGTH_BYTES:
            length = int.from_bytes(self._buffer[start : start + _LENGTH_BYTES], "big")
            if length > MAX_FRAME_BYTES:
                raise FrameError(f"a frame of {length} bytes is over the limit of {MAX_FRAME_BYTES}")
            end = start + _LENGTH_BYTES + length
            if len(self._buffer) < end:
                break
            yield bytes(self._buffer[start + _LENGTH_BYTES : end])
            start = end
        del self._buffer[:start]
