"""Random bytes of the operating system."""

import os

_POOL_BYTES = 4_096


def random_bytes(n_bytes: int) -> bytes:
    """Return bytes from the kernel's cryptographic generator (getrandom(2)).

    ``os.urandom`` would let go of the interpreter lock for so little, and another thread would take it.
    """
    drawn = os.getrandom(n_bytes)
    return drawn if len(drawn) == n_bytes else os.urandom(n_bytes)  # a signal may cut over 256 bytes short


class RandomPool:
    """Random bytes for what is public anyway, such as nonces and request ids, fetched 4 KiB at a time.

    Each call of the kernel lets go of the interpreter lock, which costs far more than the bytes when other
    threads wait for it. Bytes that wait in the pool can be read in memory: never take keys from it. For one
    thread; not to be used on both sides of a fork.
    """

    __slots__ = ("_at", "_bytes")

    def __init__(self) -> None:
        self._bytes = b""
        self._at = 0

    def take(self, n_bytes: int) -> bytes:
        """Return ``n_bytes`` that were never returned before. Raises ValueError over 4,096."""
        if n_bytes > _POOL_BYTES:
            raise ValueError(f"a pool gives {_POOL_BYTES} bytes at most")
        end = self._at + n_bytes
        if end > len(self._bytes):
            self._bytes = random_bytes(_POOL_BYTES)
            self._at, end = 0, n_bytes
        taken = self._bytes[self._at : end]
        self._at = end
        return taken
