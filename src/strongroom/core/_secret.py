"""``Secret``: bytes that must not end in a log, a traceback, a pickle or a comparison by ``==``."""

import hmac
from typing import NoReturn, Self


class Secret:
    """Secret bytes, kept in a buffer of our own that can be overwritten.

    ``reveal`` is the only way to the bytes, so a reviewer finds every use by searching for that word. What
    ``reveal`` returns is an ordinary ``bytes`` object, which Python cannot overwrite: keep it for the length
    of one call. ``zeroize`` overwrites our buffer; copies that a library made are out of reach.
    """

    __slots__ = ("_buffer",)

    def __init__(self, value: bytes | bytearray | memoryview) -> None:
        self._buffer = bytearray(value)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Take a PIN or passphrase as UTF-8."""
        return cls(text.encode())

    def reveal(self) -> bytes:
        """Return a copy of the secret bytes."""
        return bytes(self._buffer)

    def matches(self, other: "Secret") -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self._buffer, other.reveal())

    def zeroize(self) -> None:
        """Overwrite the buffer with zeros; the length stays."""
        self._buffer[:] = bytes(len(self._buffer))

    def __len__(self) -> int:
        return len(self._buffer)

    def __repr__(self) -> str:
        return f"Secret(<{len(self._buffer)} bytes>)"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return repr(self)

    def __eq__(self, _other: object) -> NoReturn:
        raise TypeError("compare secrets with Secret.matches, which takes constant time")

    __hash__ = None  # type: ignore[assignment]  # unhashable on purpose: hashing would leak through timing

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled")
